"""Commands that need no AWS account: the sandbox and the demo."""

from typing import Annotated

import typer

from mlops.cli.options import JsonFlag
from mlops.errors import BadInput

app = typer.Typer()
sandbox_commands = typer.Typer(help="AWS on this laptop.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def demo(json: JsonFlag = False) -> None:
    """Run a model's whole life in a sandbox of its own. Example: mlops demo"""
    from mlops.laptop import demo as story
    from mlops.settings import project as settings

    raise typer.Exit(story.tell(settings.load(), as_json=json))


@sandbox_commands.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run_in_sandbox(command: Annotated[list[str], typer.Argument(help="The command, after --.")]) -> int:
    """Run a command with AWS pointing at the sandbox. Example: mlops sandbox run -- aws s3 ls"""
    from mlops.laptop import sandbox
    from mlops.settings import project as settings

    return sandbox.run(settings.load(), command)


@sandbox_commands.command("start")
def start_sandbox(
    time_scale: Annotated[
        float, typer.Option(min=1, max=10000, help="Service seconds per second while rollouts wait.")
    ] = 60.0,
) -> None:
    """Keep the sandbox running until Ctrl-C; other commands then use it. Example: mlops sandbox start"""
    from mlops.laptop import sandbox
    from mlops.settings import project as settings

    project = settings.load()
    if (server := sandbox.running(sandbox.folder(project))) is not None:
        raise BadInput(f"the sandbox runs already, at {server.url}")
    process = sandbox.start(project, time_scale)
    server = sandbox.running(sandbox.folder(project))
    print(f"the sandbox answers at {server.url if server else '?'}; Ctrl-C ends it", flush=True)
    try:
        process.wait()
    except KeyboardInterrupt:
        sandbox.stop(process)


@sandbox_commands.command("reset")
def reset_sandbox() -> None:
    """Remove all that the sandbox keeps: groups, models, endpoints, buckets. Example: mlops sandbox reset"""
    from mlops.laptop import sandbox
    from mlops.settings import project as settings

    print(f"removed {sandbox.reset(settings.load())}")
