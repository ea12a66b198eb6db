"""Commands that workflows run: find the role of a job, whose turn it is, report on its model."""

from typing import Annotated

import typer

from mlops import display
from mlops.cli.model import left_out
from mlops.cli.options import EnvironmentOption, GroupOption, JsonFlag, connected, opened

app = typer.Typer()

WITHOUT_TRAINING = ("dev", "main")
"""Branches to which a model only comes from another one: the push that makes them brings none."""


@app.command()
def roles(
    env: EnvironmentOption = "feature",
    duty: Annotated[str, typer.Option("--duty", help="One of the environment's: train, deploy, image ...")] = "",
    json: JsonFlag = False,
) -> None:
    """Print which role a job takes on in AWS, and for how long. Example: mlops roles --env prod --duty deploy"""
    from mlops import access, github
    from mlops.settings import project as settings

    project = settings.load()
    first_push = github.branch() in WITHOUT_TRAINING and github.creates_branch()
    found = access.access(project, project.environment(env), duty, first_push)
    if found.why_not:
        github.summary(f"## {project.project}: nothing to do yet\n\n{found.why_not}.\n")
    display.write_outputs(found.outputs())
    if found.role:
        display.write_outputs(access.variables(found), "GITHUB_ENV")
    sentence = f"role: {found.role or 'none'}, for {found.seconds} s" if found.ready else f"not yet: {found.why_not}"
    display.show(found, sentence, json)


@app.command()
def door(
    env: EnvironmentOption,
    version: Annotated[str, typer.Option("--version", help="That was approved, by number or ARN.")] = "",
    group: GroupOption = None,
    json: JsonFlag = False,
) -> None:
    """Tell whether an approval is deployed here, or by the run that asked. Example: mlops door --env prod"""
    from mlops import github
    from mlops.hosting import choice
    from mlops.registry import doors

    project, environment = opened(env, group=group)
    approved = choice.version_of(version, environment) if version else None
    found = doors.door(project, environment, approved)
    display.write_outputs({"deploys": str(found.deploys).lower()})
    if not found.deploys:
        github.summary(f"## {project.project}: nothing to deploy here\n\n{found.why}.\n")
    display.show(found, f"{'deploys' if found.deploys else 'leaves it'}: {found.why}", json)


@app.command("take-up")
def take_up(
    job: Annotated[str, typer.Option("--job", help="Name of a SageMaker job that has ended.")],
    env: EnvironmentOption = "feature",
    json: JsonFlag = False,
) -> None:
    """Start the workflows again that wait for a job. Example: mlops take-up --job NAME"""
    from mlops import github
    from mlops.retraining import waiting

    project, environment = opened(env)
    taken = waiting.take_up(project, environment, job, display.progress)
    text = waiting.told(project, job, taken)
    github.summary(text)
    display.show(taken, text, json)


@app.command()
def retrain(
    reason: Annotated[str, typer.Option("--reason", help="Why to look for new data.")] = "by hand",
    env: EnvironmentOption = "feature",
    json: JsonFlag = False,
) -> None:
    """Propose the data that has come in, and train it. Example: mlops retrain --reason "new month" """
    from mlops import git, github
    from mlops.retraining import incoming, proposal

    github.required("GITHUB_TOKEN")
    project, environment = opened(env)
    arrivals = incoming.arrived(project, environment, display.progress)
    commit = git.commit_of(project.root, "HEAD")
    found = proposal.propose(project, environment, arrivals, commit, reason, display.progress) if arrivals else None
    text = proposal.told(project, found, reason)
    github.summary(text)
    display.show(found, text, json)


@app.command()
def report(
    env: EnvironmentOption = "feature",
    group: GroupOption = None,
    comment: Annotated[bool, typer.Option("--comment", help="Also as the pull request's comment.")] = False,
    json: JsonFlag = False,
) -> None:
    """Compare this commit's model with what serves, in Markdown. Example: mlops report --env feature"""
    from mlops import github
    from mlops.reporting import markdown
    from mlops.reporting import report as reports

    project, environment = opened(env, group=group)
    left_out(project)
    found = reports.report(project, environment)
    text = markdown.markdown(found)
    github.summary(text)
    if comment:
        for address in reports.publish(text):
            display.progress(f"report: {address}")
    display.show(found, text, json)


@app.command()
def image(
    folder: Annotated[str, typer.Option("--folder", help="With a Dockerfile.")] = "image",
    json: JsonFlag = False,
) -> None:
    """Build an image of your own and push it; it is used once mlops.yaml names it. Example: mlops image"""
    from mlops import github
    from mlops.compute import publication

    made = publication.publish(connected(), folder, display.progress)
    github.summary(f"## Image\n\nTo use it, write this into mlops.yaml:\n\n```yaml\nimage:\n  uri: {made.uri}\n```\n")
    display.write_outputs({"uri": made.uri})
    done = "pushed" if made.pushed else "is there already"
    display.show(made, f"{made.uri} {done}; to use it, give it as image: {{uri: ...}} in mlops.yaml", json)
