"""Commands that make a model: run the pipeline, name what it makes, register it, make it again."""

import math
import time
from typing import TYPE_CHECKING, Annotated

import typer

from mlops import display
from mlops.cli.options import EnvironmentOption, JsonFlag, connected, meant, opened
from mlops.errors import BadInput, Failure

if TYPE_CHECKING:
    from mlops.retraining.waiting import StillTraining
    from mlops.settings.project import Settings

app = typer.Typer()


@app.command()
def run(
    stage: Annotated[str | None, typer.Argument(help="A stage of dvc.yaml; the whole pipeline when not given.")] = None,
    env: Annotated[str | None, typer.Option("--env", help="Run on SageMaker in this environment.")] = None,
    after: Annotated[
        str, typer.Option("--after", help="A job that has ended; one that failed is not tried again.")
    ] = "",
    json: JsonFlag = False,
) -> None:
    """Run the pipeline on SageMaker, or one stage here. Example: mlops run --env feature"""
    from mlops.compute import stages
    from mlops.settings import project as settings

    project = settings.load()
    if env is None:
        if stage is None:
            raise BadInput("run: give a stage to run here (or `dvc repro` for all), or --env to run all on SageMaker")
        output = stages.run_locally(project, stage, aside=json)
        if json:
            display.show({"stage": stage, "output": output}, "", json)
        return
    if stage is not None:
        raise BadInput(
            f"run: stage {stage} and --env {env} were given; on SageMaker the whole pipeline runs: leave one out"
        )
    from mlops import access, github
    from mlops.compute import instances, jobs
    from mlops.laptop import sandbox
    from mlops.retraining.waiting import StillTraining

    project, environment = meant(env, None, serves=False)
    instances.refuse_unknown(project)
    sandbox.connect(project, warm=True)
    # Only the session of a workflow's role ends; at a desk one may wait as long as it takes.
    until = time.monotonic() + access.longest_wait(project) if github.active() else math.inf
    try:
        model = jobs.run_pipeline(project, environment, display.progress, until=until, after=after)
    except StillTraining as still:
        left(project.project, still, json)
        return
    display.write_outputs({"trained": "true"})
    metrics = ", ".join(f"{name} {metric.value:.4g}" for name, metric in model.metrics.items())
    display.show(model, f"trained: {metrics}\n  {model.artefact}", json)


def left(project: str, still: "StillTraining", json: bool) -> None:
    """Say that a run leaves a job that is still at it, and have nothing after it run."""
    from mlops import github

    display.write_outputs({"trained": "false"})
    github.summary(f"## {project}: still training\n\n{still}.\n")
    display.show({"trained": False, "job": still.job}, f"still training: {still}", json)


@app.command()
def fingerprint(json: JsonFlag = False) -> None:
    """Print the hash of all that goes into this commit's model. Example: mlops fingerprint"""
    from mlops.registry import lineage
    from mlops.settings import project as settings

    project = settings.load()
    origin = lineage.of(project)
    left_out(project)
    display.show(origin, origin.fingerprint, json)


def left_out(project: "Settings") -> None:
    """Say which changes play no part, since they are not committed."""
    from mlops.registry import lineage

    if files := lineage.uncommitted(project):
        display.warning(f"not committed, so they play no part: {', '.join(files)}")


@app.command()
def register(
    env: EnvironmentOption = "feature",
    after: Annotated[
        str, typer.Option("--after", help="A job that has ended; one that failed is not tried again.")
    ] = "",
    json: JsonFlag = False,
) -> None:
    """Register what was trained from this commit, if it passes the gate. Example: mlops register --env feature"""
    from mlops import actor, github
    from mlops.compute import jobs
    from mlops.registry import lineage, registration
    from mlops.retraining.waiting import StillTraining

    project, environment = opened(env, serves=False)
    origin = lineage.of(project)
    model = jobs.trained_model(project, environment)
    who, run = actor.who(), github.run_url()
    try:
        package = registration.register(project, environment, model, origin, run, who, display.progress, after)
    except StillTraining as still:
        left(project.project, still, json)
        return
    display.write_outputs({"trained": "true", "package": package.arn, "version": str(package.version)})
    display.show(package, f"registered: {package.group} version {package.version} ({package.status})", json)


@app.command()
def reproduce(package: Annotated[str, typer.Argument(help="ARN of a model package.")], json: JsonFlag = False) -> None:
    """Train a registered model again, here, and compare its metrics. Example: mlops reproduce ARN"""
    from mlops.compute import reproduce as reproduction

    project = connected()
    result = reproduction.reproduce(project, package, display.progress)
    metrics = ", ".join(f"{name} {value:.6g}" for name, value in result.again.items())
    display.show(result, f"reproduced: {metrics}, as registered", json)
    if not result.same:
        raise Failure(f"{package}: the metrics differ: registered {result.registered}, again {result.again}")
