"""Commands of the registry: what is registered, what serves, what has happened, what is taken in and removed."""

from datetime import datetime
from typing import Annotated

import typer

from mlops import display
from mlops.cli.options import EnvironmentOption, GroupOption, JsonFlag, connected, opened

app = typer.Typer()
group_commands = typer.Typer(help="The model groups of the registry.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def status(json: JsonFlag = False) -> None:
    """Show each environment's newest version and what serves. Example: mlops status"""
    from mlops.registry import status as environments

    project = connected()
    columns = ["environment", "group", "version", "status", "kind", "serving", "endpoint_status"]
    # Prices are the team's to give: where there are none, no column is empty.
    columns += ["monthly_cost"] if project.prices else []
    display.show_table(
        environments.status(project, display.warning), columns, json, "no model yet: mlops run --env feature trains one"
    )


@app.command()
def history(json: JsonFlag = False) -> None:
    """Show who registered, promoted, approved and deployed what, and when. Example: mlops history"""
    from mlops.registry import history as events

    project = connected()
    columns = ["when", "what", "group", "version", "who", "why"]
    display.show_table(events.history(project, display.warning), columns, json, "nothing has happened yet")


@app.command()
def prune(
    yes: Annotated[bool, typer.Option("--yes", help="Remove what is listed; without it nothing is.")] = False,
    json: JsonFlag = False,
) -> None:
    """List what nothing needs any more, and remove it with --yes. Example: mlops prune --yes"""
    pruned(yes, json)


def pruned(yes: bool, json: bool, now: datetime | None = None) -> int:
    """List what is old at a moment and not needed, or remove it. Returns the exit code."""
    from mlops.registry import prune as housekeeping

    items = housekeeping.prune(connected(), display.progress, act=yes, now=now)
    columns = ["environment", "kind", "name", "days", "why"]
    display.show_table(items, columns, json, "there is nothing that is old and not needed")
    if items and not json:
        print(
            f"\n{len(items)} removed"
            if yes
            else f"\nnothing is removed yet: mlops prune --yes removes these {len(items)}"
        )
    return 0


@app.command()
def adopt(
    endpoint: Annotated[str, typer.Option("--endpoint", help="Its name, in the environment's account.")],
    env: EnvironmentOption,
    by: Annotated[str, typer.Option("--by", help="Who decides.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    group: GroupOption = None,
    json: JsonFlag = False,
) -> None:
    """Take what an endpoint serves that was made before into the registry, under an administrator's credentials.

    Example: mlops adopt --endpoint churn-2019 --env prod --by mira --reason "serves since 2019"
    """
    from mlops.registry import adoption

    project, environment = opened(env, group=group, serves=True)
    found = adoption.adopt(project, environment, endpoint, by, reason, display.progress)
    what = "" if found.changed else " already, nothing to do"
    display.show(found, f"adopted: {endpoint} is {found.group} version {found.version} ({found.status}){what}", json)


@group_commands.command("create")
def create_groups(
    env: Annotated[
        list[str] | None, typer.Option("--env", metavar="NAME", help="Only this environment's; may be repeated.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Create the model groups that are not there; after a switch of the scenario, move what serves into them.

    Example: mlops groups create --env prod
    """
    from mlops.contest import switch
    from mlops.registry import groups

    project = connected()
    chosen = [project.environment(name) for name in env or []]
    made = groups.create(project, chosen)
    last = project.environments[-1]
    if not chosen or last in chosen:
        if moved := switch.switch(project, last, display.progress):
            display.progress(f"{moved.endpoint} serves version {moved.version}, in {moved.seconds:.0f} s")
            made = groups.listing(project, display.warning)
        if name := switch.left_behind(project, last):
            display.warning(f"{name} still runs and costs: aws sagemaker delete-endpoint --endpoint-name {name}")
    display.show_table(made, ["name", "environment", "versions"], json, "there are no groups")


@group_commands.command("list")
def list_groups(json: JsonFlag = False) -> None:
    """List the model groups. Example: mlops groups list --json"""
    from mlops.registry import groups

    project = connected()
    rows = groups.listing(project, display.warning)
    display.show_table(rows, ["name", "environment", "versions"], json, "no groups yet: mlops groups create makes them")
