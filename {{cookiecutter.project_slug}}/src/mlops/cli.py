"""The command line: names, help and what is printed; every decision is made in the other modules."""

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops import display
from mlops.errors import BadInput, Failure

if TYPE_CHECKING:
    from mlops.settings import Environment, Settings

app = typer.Typer(
    name="mlops",
    help="Take a model from a feature branch to production on Amazon SageMaker.\n\n"
    "mlops --debug COMMAND shows where a command failed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
groups_app = typer.Typer(help="The model groups of the registry.", no_args_is_help=True, rich_markup_mode=None)
sandbox_app = typer.Typer(help="AWS on this laptop.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(groups_app, name="groups")
app.add_typer(sandbox_app, name="sandbox")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]
EnvironmentOption = Annotated[str, typer.Option("--env", help="An environment of mlops.yaml.")]
VersionOption = Annotated[int | None, typer.Option("--version", min=1, help="A version; the newest when not given.")]
GroupOption = Annotated[
    str | None, typer.Option("--group", help="champion or challenger; the endpoint's when not given.")
]
ByOption = Annotated[str, typer.Option("--by", help="Who decides.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]

UsageError = typer.BadParameter.__mro__[1]
"""What Typer raises for a wrong option or argument; it exports only its subclass."""


def main() -> None:
    """Run the command line and end the process with its exit code; SIGTERM ends it as Ctrl-C does, with its jobs."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: list[str]) -> int:
    """Run one command in this process.

    Args:
        arguments: what follows `mlops` on the command line.

    Returns:
        0 when it did what was asked, 1 when an operation failed, 2 when what was given is not allowed.
    """
    debug = arguments[:1] == ["--debug"]
    try:
        arguments = arguments[1:] if debug else arguments
        result = app(args=arguments, prog_name="mlops", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except KeyboardInterrupt:
        display.error("interrupted; run the same command again to carry on")
        return 130
    except Exception as error:
        if debug:
            traceback.print_exc()
        return explain(error)


def explain(error: Exception) -> int:
    """Print why a command failed and give its exit code; what nobody foresaw is raised as it is."""
    if isinstance(error, BadInput | Failure):
        display.error(str(error))
        return error.exit_code
    if isinstance(error, UsageError):
        display.error(str(error.format_message()).replace("\n", " ") + " (mlops --help lists what there is)")
        return 2
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, BotoCoreError | ClientError):
        from mlops.aws import reason

        operation = error.operation_name if isinstance(error, ClientError) else "AWS"
        display.error(f"{operation}: {reason(error)}; run the same command again to carry on (--debug shows where)")
        return 1
    raise error


def connected() -> "Settings":
    """The project of this folder, with this process pointed at its AWS."""
    from mlops import sandbox, settings

    project = settings.load()
    sandbox.connect(project)
    return project


def opened(environment: str) -> "tuple[Settings, Environment]":
    """The project of this folder and one of its environments, with this process pointed at its AWS."""
    from mlops import sandbox, settings

    project = settings.load()
    chosen = project.environment(environment)
    sandbox.connect(project)
    return project, chosen


def who() -> str:
    """Who runs this command: the person that GitHub names, or the user of this machine."""
    return os.environ.get("GITHUB_ACTOR") or os.environ.get("USER") or os.environ.get("USERNAME") or "unknown"


def run_url() -> str:
    """Address of the workflow run that this command is part of; empty elsewhere."""
    parts = [os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else ""


@app.command()
def run(
    stage: Annotated[str | None, typer.Argument(help="A stage of dvc.yaml; the whole pipeline when not given.")] = None,
    env: Annotated[str | None, typer.Option("--env", help="Run on SageMaker in this environment.")] = None,
    json: JsonFlag = False,
) -> None:
    """Run the pipeline on SageMaker, or one stage here. Example: mlops run --env feature"""
    from mlops import jobs, sandbox, settings, stages

    project = settings.load()
    if env is None:
        if stage is None:
            raise BadInput("run: give a stage to run here (or `dvc repro` for all), or --env to run all on SageMaker")
        stages.run_locally(project, stage)
        return
    if stage is not None:
        raise BadInput(
            f"run: stage {stage} and --env {env} were given; on SageMaker the whole pipeline runs: leave one out"
        )
    environment = project.environment(env)
    sandbox.connect(project)
    model = jobs.run_pipeline(project, environment, display.progress)
    metrics = ", ".join(f"{name} {metric.value:.4g}" for name, metric in model.metrics.items())
    display.show(model, f"trained: {metrics}\n  {model.artefact}", json)


@app.command()
def fingerprint(json: JsonFlag = False) -> None:
    """Print the hash of all that goes into this commit's model. Example: mlops fingerprint"""
    from mlops import lineage, settings

    origin = lineage.of(settings.load())
    display.show(origin, origin.fingerprint, json)


@app.command()
def register(env: EnvironmentOption = "feature", json: JsonFlag = False) -> None:
    """Register what was trained from this commit, if it passes the gate. Example: mlops register --env feature"""
    from mlops import jobs, lineage, registration

    project, environment = opened(env)
    origin = lineage.of(project)
    model = jobs.trained_model(project, environment)
    package = registration.register(project, environment, model, origin, run_url=run_url(), registered_by=who())
    display.show(package, f"registered: {package.group} version {package.version} ({package.status})", json)


@app.command()
def promote(
    to: Annotated[str, typer.Option("--to", help="The environment to copy to.")], json: JsonFlag = False
) -> None:
    """Copy this tree's model into the next environment's group. Example: mlops promote --to dev"""
    from mlops import lineage, promotion

    project, environment = opened(to)
    packages = promotion.promote(project, environment, lineage.fingerprint(project))
    lines = [f"promoted: {package.group} version {package.version} ({package.status})" for package in packages]
    display.show(packages, "\n".join(lines), json)


@app.command()
def approve(
    by: ByOption,
    reason: ReasonOption,
    env: EnvironmentOption = "prod",
    version: VersionOption = None,
    group: GroupOption = None,
    json: JsonFlag = False,
) -> None:
    """Approve a waiting version. Example: mlops approve --env prod --by mira --reason "better recall" """
    from mlops import approval

    project, environment = opened(env)
    package = approval.approve(project, environment, by=by, why=reason, version=version, group=group)
    display.show(package, f"approved: {package.group} version {package.version}, by {by}", json)


@app.command()
def reject(
    by: ByOption,
    reason: ReasonOption,
    env: EnvironmentOption = "prod",
    version: VersionOption = None,
    group: GroupOption = None,
    json: JsonFlag = False,
) -> None:
    """Reject a version, so that it is never deployed. Example: mlops reject --by mira --reason "wrong data" """
    from mlops import approval

    project, environment = opened(env)
    package = approval.reject(project, environment, by=by, why=reason, version=version, group=group)
    display.show(package, f"rejected: {package.group} version {package.version}, by {by}", json)


@app.command()
def deploy(env: EnvironmentOption, json: JsonFlag = False) -> None:
    """Deploy the newest approved version and wait until it serves. Example: mlops deploy --env dev"""
    from mlops import deployment

    project, environment = opened(env)
    result = deployment.deploy(project, environment, display.progress)
    display.write_outputs({"endpoint": result.endpoint, "version": str(result.version)})
    what = f"in {result.seconds:.0f} s" if result.changed else "already, nothing to do"
    display.show(result, f"deployed: {result.endpoint} serves version {result.version}, {what}", json)


@app.command()
def verify(env: EnvironmentOption, json: JsonFlag = False) -> None:
    """Send the requests of tests/contract.yaml to an endpoint. Example: mlops verify --env dev"""
    from mlops import contract

    project, environment = opened(env)
    checks = contract.verify(project, environment, display.progress)
    display.show(checks, f"verified: {environment.endpoint_name} answers all {len(checks)} requests as agreed", json)


@app.command()
def rollback(
    env: EnvironmentOption = "prod",
    to: Annotated[int | None, typer.Option("--to", min=1, help="A version; the one before when not given.")] = None,
    json: JsonFlag = False,
) -> None:
    """Go back to the version that served before, and reject this one. Example: mlops rollback --env prod"""
    from mlops import deployment

    project, environment = opened(env)
    result = deployment.rollback(project, environment, display.progress, to)
    display.show(result, f"rolled back: {result.endpoint} serves version {result.version}", json)


@app.command()
def predict(
    file: Annotated[Path, typer.Argument(help="A CSV or JSON file of requests; - for standard input.")],
    env: EnvironmentOption = "dev",
    json: JsonFlag = False,
) -> None:
    """Ask an endpoint. Example: mlops predict requests.csv --env dev"""
    from mlops import endpoints

    try:
        body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise BadInput(f"file is {file}: {error.strerror}; give a CSV or JSON file") from error
    project, environment = opened(env)
    content_type = "application/json" if body.lstrip()[:1] in (b"{", b"[") else "text/csv"
    accept = "application/json" if json else content_type
    answer = endpoints.predict(project, environment, body, content_type, accept)
    print(answer.body.decode("utf-8", errors="replace").rstrip())


@app.command()
def status(json: JsonFlag = False) -> None:
    """Show each environment's newest version and what serves. Example: mlops status"""

    from mlops import status as environments

    project = connected()
    columns = ["environment", "group", "version", "status", "serving", "endpoint_status"]
    display.show_table(environments.status(project), columns, json, "no model yet: mlops run --env feature trains one")


@app.command()
def history(json: JsonFlag = False) -> None:
    """Show who registered, promoted, approved and deployed what, and when. Example: mlops history"""
    from mlops import history as events

    project = connected()
    columns = ["when", "what", "group", "version", "who", "why"]
    display.show_table(events.history(project), columns, json, "nothing has happened yet")


@app.command()
def reproduce(package: Annotated[str, typer.Argument(help="ARN of a model package.")], json: JsonFlag = False) -> None:
    """Train a registered model again, here, and compare its metrics. Example: mlops reproduce ARN"""
    from mlops import reproduce as reproduction

    project = connected()
    result = reproduction.reproduce(project, package, display.progress)
    metrics = ", ".join(f"{name} {value:.6g}" for name, value in result.again.items())
    display.show(result, f"reproduced: {metrics}, as registered", json)
    if not result.same:
        raise Failure(f"{package}: the metrics differ: registered {result.registered}, again {result.again}")


@groups_app.command("create")
def create_groups(json: JsonFlag = False) -> None:
    """Create the model groups that are not there. Example: mlops groups create"""
    from mlops import groups

    project = connected()
    display.show_table(groups.create(project), ["name", "environment", "versions"], json, "there are no groups")


@groups_app.command("list")
def list_groups(json: JsonFlag = False) -> None:
    """List the model groups. Example: mlops groups list --json"""
    from mlops import groups

    project = connected()
    rows = groups.listing(project)
    display.show_table(rows, ["name", "environment", "versions"], json, "no groups yet: mlops groups create makes them")


@sandbox_app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run_in_sandbox(command: Annotated[list[str], typer.Argument(help="The command, after --.")]) -> int:
    """Run a command with AWS pointing at the sandbox. Example: mlops sandbox run -- aws s3 ls"""
    from mlops import sandbox, settings

    return sandbox.run(settings.load(), command)


@sandbox_app.command("start")
def start_sandbox(
    time_scale: Annotated[
        float, typer.Option(min=1, max=10000, help="Service seconds per second while rollouts wait.")
    ] = 60.0,
) -> None:
    """Keep the sandbox running until Ctrl-C; other commands then use it. Example: mlops sandbox start"""
    from mlops import sandbox, settings

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


@sandbox_app.command("reset")
def reset_sandbox() -> None:
    """Remove all that the sandbox keeps: groups, models, endpoints, buckets. Example: mlops sandbox reset"""
    from mlops import sandbox, settings

    print(f"removed {sandbox.reset(settings.load())}")


@app.command()
def demo(json: JsonFlag = False) -> None:
    """Run a model's whole life in a sandbox of its own. Example: mlops demo"""
    from mlops import demo as story
    from mlops import settings

    raise typer.Exit(story.tell(settings.load(), as_json=json))
