"""Commands that take a model on: copy, decide, deploy, test, go back, ask."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from mlops import display
from mlops.cli.options import EnvironmentOption, GroupOption, JsonFlag, VersionOption, connected, meant, opened
from mlops.errors import BadInput

app = typer.Typer()

DAY = "%Y-%m-%d"

CHAMPION = "champion"
"""Where a promotion may lead, beside the environments: from the challenger's endpoint to the champion's."""

ByOption = Annotated[
    str, typer.Option("--by", help="Who decides. Required, but in a workflow: there it is who has reviewed its run.")
]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="Why. Required, but in a workflow: there it is what the reviewers wrote.")
]
FirstDayOption = Annotated[
    datetime | None, typer.Option("--from", formats=[DAY], metavar="YYYY-MM-DD", help="First day; a week ago.")
]
LastDayOption = Annotated[
    datetime | None, typer.Option("--to", formats=[DAY], metavar="YYYY-MM-DD", help="Last day; today, in UTC.")
]


def reviewed(gate: str, state: Literal["approved", "rejected"], by: str, reason: str) -> tuple[str, str]:
    """Who decides and why, as they were given; in a workflow that gives neither, as the reviewers in its gate did."""
    from mlops import github

    if by or reason or not github.active():
        for option, value in [("--by", by), ("--reason", reason)]:
            if not value:
                raise BadInput(f"Missing option '{option}'; say who decides and why")
        return by, reason
    review = github.review(gate, state)
    return review.who, review.why


@app.command()
def promote(
    to: Annotated[str, typer.Option("--to", help="The environment to copy to; or champion, for what is challenger.")],
    json: JsonFlag = False,
) -> None:
    """Copy this tree's model into the next environment's groups. Example: mlops promote --to dev"""
    from mlops import git, github
    from mlops.registry import lineage, promotion

    if to == CHAMPION:
        return succeed(json)
    if newer := github.superseded():
        return pass_over(to, newer, json)
    project, environment = opened(to)
    commit = git.commit_of(project.root, "HEAD")
    packages = promotion.promote(project, environment, lineage.fingerprint(project, commit), display.progress, commit)
    display.write_outputs({"current": "true", **promotion.outputs(packages)})
    lines = [f"promoted: {package.group} version {package.version} ({package.status})" for package in packages]
    display.show(packages, "\n".join(lines), json)


def pass_over(to: str, newer: str, json: bool) -> None:
    """Bring nothing, and say so: a run of an older commit would make its model the newest version.

    GitHub starts no run for a commit with [skip ci], nor for what a workflow has pushed with its own token.
    """
    from mlops import github
    from mlops.settings import project as settings

    project = settings.load()
    said = f"nothing is brought to {project.environment(to).name}: the branch is at {newer[:12]} by now"
    by_hand = f"start {github.workflow()[0]} by hand on the branch, where it can be, or push a commit"
    then = f"The run of that commit brings its model. When there is none, as after [skip ci]: {by_hand}"
    github.summary(f"## {project.project}: passed over\n\n{said}. {then}.\n")
    github.annotate(f"{said}. {then}")
    display.write_outputs({"current": "false"})
    display.show({"current": False, "newer": newer}, f"passed over: {said}", json)


def succeed(json: bool) -> None:
    """Let the challenger's model take the champion's place: `mlops promote --to champion`."""
    from mlops.contest import succession

    result = succession.succeed(connected(warm=True), display.progress)
    display.write_outputs({"endpoint": result.endpoint, "version": str(result.version)})
    what = f"in {result.seconds:.0f} s" if result.changed else "already, nothing to do"
    display.show(result, f"champion: {result.endpoint} serves version {result.version}, {what}", json)


def decide(
    what: Literal["approved", "rejected"],
    by: str,
    reason: str,
    env: str,
    version: int | None,
    group: str | None,
    json: bool,
) -> None:
    """Write a decision on a version, and say so."""
    from mlops import github
    from mlops.laptop import sandbox
    from mlops.registry import approval

    project, environment = meant(env, group, serves=True)
    from_review = not (by or reason)
    by, reason = reviewed(environment.approval_environment, what, by, reason)
    sandbox.connect(project)
    decision = approval.approve if what == "approved" else approval.reject
    run = github.run_id() if from_review else ""
    said: list[str] = []
    package = decision(
        project, environment, by=by, why=reason, version=version, only_waiting=from_review, run=run, told=said.append
    )
    display.show(package, said[0] if said else f"{what} for {environment.label}: {package.name}, by {by}", json)


@app.command()
def approve(
    by: ByOption = "",
    reason: ReasonOption = "",
    env: EnvironmentOption = "prod",
    version: VersionOption = None,
    group: GroupOption = None,
    json: JsonFlag = False,
) -> None:
    """Approve a waiting version. Example: mlops approve --env prod --by mira --reason "better recall" """
    decide("approved", by, reason, env, version, group, json)


@app.command()
def reject(
    by: ByOption = "",
    reason: ReasonOption = "",
    env: EnvironmentOption = "prod",
    version: VersionOption = None,
    group: GroupOption = None,
    json: JsonFlag = False,
) -> None:
    """Reject a version, so that it is never deployed. Example: mlops reject --by mira --reason "wrong data" """
    decide("rejected", by, reason, env, version, group, json)


@app.command()
def deploy(
    env: EnvironmentOption,
    version: Annotated[
        str, typer.Option("--version", help="The version brought here, by number or ARN: fails when it is rejected.")
    ] = "",
    group: GroupOption = None,
    json: JsonFlag = False,
) -> None:
    """Deploy the newest approved version and wait until it serves. Example: mlops deploy --env dev"""
    from mlops.compute import instances
    from mlops.hosting import choice, deployment

    project, environment = opened(env, warm=True, group=group, serves=True)
    instances.refuse_unknown(project)
    brought = choice.version_of(version, environment) if version else None
    result = deployment.deploy(project, environment, display.progress, brought)
    changed = str(result.brought).lower()
    display.write_outputs({"endpoint": result.endpoint, "version": str(result.version), "changed": changed})
    what = f"in {result.seconds:.0f} s" if result.changed else "already, nothing to do"
    display.show(result, f"deployed: {result.endpoint} serves version {result.version}, {what}", json)
    if waits := choice.waiting(project, environment):
        display.warning(waits)


@app.command()
def verify(
    env: EnvironmentOption,
    group: GroupOption = None,
    or_rollback: Annotated[bool, typer.Option("--or-rollback", help="Reject what fails, and go back.")] = False,
    of_version: Annotated[
        bool, typer.Option("--of-version", help="By the contract and checks of the commit that brought the version.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Check an endpoint: its contract, the checks in tests/endpoint, its load. Example: mlops verify --env dev"""
    from mlops.checks import verification

    project, environment = opened(env, warm=True, group=group, serves=True)
    check = verification.verify_or_go_back if or_rollback else verification.verify
    with verification.judge(project, environment, display.progress, of_version) as own:
        found = check(project, environment, display.progress, own)
    display.show(found, f"verified: {found}", json)


@app.command()
def rollback(
    env: EnvironmentOption = "prod",
    to: Annotated[int | None, typer.Option("--to", min=1, help="A version; the one before when not given.")] = None,
    group: GroupOption = None,
    json: JsonFlag = False,
) -> None:
    """Go back to the version that served before, and reject this one. Example: mlops rollback --env prod"""
    from mlops.hosting import rollback as way_back

    project, environment = opened(env, warm=True, group=group, serves=True)
    result = way_back.rollback(project, environment, display.progress, to)
    said = f"rolled back {environment.label}: {result.endpoint} serves version {result.version}"
    if not result.changed:
        said += f" already; further back goes mlops rollback {environment.options} --to VERSION"
    display.show(result, said, json)


@app.command()
def teardown(
    env: EnvironmentOption,
    confirm: Annotated[str, typer.Option("--confirm", help="The endpoint's name, so that no slip deletes it.")],
    group: GroupOption = None,
    json: JsonFlag = False,
) -> None:
    """Delete an endpoint; versions stay, and deploy brings it back. Example: mlops teardown --env dev --confirm NAME"""
    from mlops.hosting import teardown as end

    project, environment = opened(env, group=group, serves=True)
    result = end.teardown(project, environment, confirm, display.progress)
    what = "is deleted" if result.deleted else "was not there"
    again = f"mlops deploy {environment.options} brings it back"
    display.show(result, f"torn down: {result.endpoint} {what}; {again}", json)


@app.command()
def schedule(
    what: Annotated[Literal["start", "stop"], typer.Argument(help="start, or stop so that nothing is paid for.")],
    env: EnvironmentOption,
    json: JsonFlag = False,
) -> None:
    """Stop an environment's endpoints, or start them as they were. Example: mlops schedule stop --env dev"""
    from mlops.hosting import schedule as hours

    project, environment = opened(env, warm=what == "start", serves=True)
    deed = hours.begin if what == "start" else hours.end
    changes = deed(project, environment, display.progress)
    display.show(changes, "\n".join(f"{each.endpoint}: {each.done}" for each in changes), json)


@app.command()
def predict(
    file: Annotated[Path, typer.Argument(help="CSV or JSON, as in tests/contract.yaml; - for standard input.")],
    env: EnvironmentOption = "dev",
    group: GroupOption = None,
    json: JsonFlag = False,
) -> None:
    """Ask an endpoint. Example: mlops predict requests.csv --env dev"""
    from mlops.hosting import invocations

    try:
        body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise BadInput(f"file is {file}: {error.strerror}; give a CSV or JSON file") from error
    project, environment = opened(env, warm=True, group=group, serves=True)
    content_type = "application/json" if body.lstrip()[:1] in (b"{", b"[") else "text/csv"
    accept = "application/json" if json else content_type
    answer = invocations.predict(project, environment, body, content_type, accept)
    print(answer.body.decode("utf-8", errors="replace").rstrip())


@app.command()
def transform(
    source: Annotated[str, typer.Argument(help="A file, or s3://BUCKET/KEY; with a slash at the end, all below it.")],
    env: EnvironmentOption = "prod",
    output: Annotated[Path | None, typer.Option(help="Folder here that gets the answers too.")] = None,
    group: GroupOption = None,
    json: JsonFlag = False,
) -> None:
    """Send whole files through the newest approved version. Example: mlops transform cases.csv --env prod"""
    from mlops.compute import instances
    from mlops.hosting import batch

    project, environment = opened(env, warm=True, group=group, serves=True)
    instances.refuse_unknown(project)
    result = batch.transform(project, environment, source, output, display.progress)
    rows = sum(count or 0 for count in result.rows.values())
    what = f"{rows} rows of {len(result.rows)} files by version {result.version}"
    display.show(result, f"transformed: {what}, in {result.output}", json)


@app.command()
def predictions(
    env: EnvironmentOption = "prod",
    since: FirstDayOption = None,
    until: LastDayOption = None,
    output: Annotated[Path, typer.Option(help="Folder of the data set.")] = Path("predictions"),
    group: GroupOption = None,
    json: JsonFlag = False,
) -> None:
    """Write what an endpoint was asked and answered as Parquet by day. Example: mlops predictions --env prod"""
    from mlops.monitoring import predictionlog

    project, environment = opened(env, group=group, serves=True)
    last = (until or datetime.now(UTC)).date()
    first = since.date() if since else last - timedelta(days=6)
    log = predictionlog.write(project, environment, first, last, output, display.progress)
    what = f"{log.predictions} predictions of {log.endpoint} on {len(log.days)} days"
    display.show(log, f"written: {what}, from {first} to {last}, in {log.output}", json)


@app.command()
def compare(
    env: EnvironmentOption = "prod",
    since: FirstDayOption = None,
    until: LastDayOption = None,
    requests: Annotated[int, typer.Option(min=1, help="How many captured requests at most.")] = 500,
    labels: Annotated[
        Path | None, typer.Option(help="CSV: request_id, label, and row where there are several.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Compare the challenger with the champion on its captured requests. Example: mlops compare --env prod"""
    from mlops.contest import duel

    project, environment = opened(env, warm=True, group="challenger")
    last = (until or datetime.now(UTC)).date()
    first = since.date() if since else last - timedelta(days=6)
    found = duel.compare(project, environment, first, last, requests, labels, display.progress)
    display.show(found, str(found), json)
