"""Commands that watch what serves: drift of what an endpoint is asked."""

from pathlib import Path
from typing import Annotated

import typer

from mlops import display
from mlops.cli.options import EnvironmentOption, GroupOption, JsonFlag, opened

app = typer.Typer()


@app.command()
def monitor(
    env: EnvironmentOption = "prod",
    group: GroupOption = None,
    hours: Annotated[
        int | None, typer.Option("--hours", min=1, help="How far back; the settings' if not given.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="CSV: request_id, label, and row where there are several.")
    ] = None,
    fail_on_drift: Annotated[bool, typer.Option("--fail-on-drift", help="End with 1 when there is drift.")] = False,
    json: JsonFlag = False,
) -> None:
    """Hold what an endpoint was asked against what its model learned from. Example: mlops monitor --env prod"""
    from mlops import github
    from mlops.errors import BadInput, Failure
    from mlops.monitoring import monitoring

    project, environment = opened(env, group=group, serves=True)
    asked = [environment] if group else environment.contenders
    if labels and len(asked) > 1:
        raise BadInput("--labels belong to one endpoint: give --group champion or challenger with them")
    found = [monitoring.monitor(project, each, hours, labels) for each in asked]
    text = "\n".join(map(monitoring.markdown, found))
    github.summary(text)
    drifted = [each for each in found if each.drifts]
    display.write_outputs({"drift": str(bool(drifted)).lower()})
    display.show(found if len(found) > 1 else found[0], text.rstrip(), json)
    if fail_on_drift and drifted:
        raise Failure("; ".join(f"{each.endpoint}: {monitoring.sentence(each)}" for each in drifted))
