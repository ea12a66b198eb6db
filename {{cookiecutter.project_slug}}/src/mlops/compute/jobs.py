"""The whole pipeline of a commit on SageMaker, and the trained model that comes out of it."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass

from mlops import aws, git, storage
from mlops.compute import attempts, checkout, dataset, imports, pipeline, runs, training
from mlops.compute.attempts import Job
from mlops.compute.pipeline import Stage
from mlops.compute.runs import Run, Source
from mlops.display import Progress
from mlops.errors import BadInput, Failure, NotFound
from mlops.registry import lineage
from mlops.retraining.waiting import StillTraining
from mlops.settings.project import Environment, Settings


@dataclass(frozen=True)
class Metric:
    """A measured value; low and high are the ends of its confidence interval, when it has one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class TrainedModel:
    """What the pipeline made of a commit.

    Args:
        artefact: `s3://` address of model.tar.gz.
        digest: its SHA-256.
        training_job: ARN of the job that made it.
        image: it was trained in.
        metrics: of the evaluation.
        baseline: `s3://` address of the statistics that drift is measured against.
        report: `s3://` prefix of all that the evaluation wrote.
        dataset: `s3://` prefix of the raw data.
        hyperparameters: of the training job.
        prepared: `s3://` prefix of the sets of rows that it learned from and was measured on.
        processing_jobs: names of the other jobs that it took, in the order of the pipeline.
    """

    artefact: str
    digest: str
    training_job: str
    image: str
    metrics: dict[str, Metric]
    baseline: str
    report: str
    dataset: str
    hyperparameters: dict[str, str]
    prepared: str = ""
    processing_jobs: tuple[str, ...] = ()


def run_pipeline(
    settings: Settings,
    environment: Environment,
    progress: Progress,
    commit: str = "HEAD",
    until: float = math.inf,
    after: str = "",
) -> TrainedModel:
    """Run on SageMaker what no job has made yet of a commit's pipeline.

    Running it again finds the same jobs by their names: what is unchanged is not paid for twice, a job that is still
    at it is waited for, one that failed is tried again.

    Args:
        settings: of the project.
        environment: whose account, bucket and role are used.
        progress: told what begins and what ends.
        commit: whose files count; the work tree's do not.
        until: when it waits for jobs no longer, by the clock of `time.monotonic`.
        after: name of a job that has ended and is taken up: when it has failed, that is said and nothing is started.

    Raises:
        BadInput: files of the model are not committed, or the pipeline is not as it has to be.
        StillTraining: a job is at it longer than that.
        Failure: a job fails, or AWS refuses a request.
    """
    if commit == "HEAD":
        lineage.refuse_uncommitted(settings)
    full = git.commit_of(settings.root, commit)
    session = aws.session(settings, environment, aws.duty_in(settings, environment))
    with checkout.checkout(settings, full) as recipe:
        run = Run(recipe, environment, session, full, settings.root, progress, until, after)
        stages = pipeline.read(recipe)
        for stage in stages:
            imports.refuse_undeclared(stage, recipe.package, recipe.root)
            run.kind(stage)
        sources = {
            path: Source(
                dataset.ensure(settings, session, environment, full, path, progress),
                lineage.pointer(settings, full, path),
            )
            for path in pipeline.raw_inputs(stages)
        }
        return walked(run, stages, sources, runs.done)


def trained_model(
    settings: Settings, environment: Environment, commit: str = "HEAD", seen: Callable[[Job], None] = lambda job: None
) -> TrainedModel:
    """The model that `run_pipeline` has made of a commit; nothing is started.

    Args:
        settings: the project.
        environment: the one that trains.
        commit: whose model it is.
        seen: told the last job of each stage that was begun, also of one that failed.

    Raises:
        NotFound: nobody trained this commit, or what was made has been damaged since.
        StillTraining: a job is still at it.
        Failure: a job has failed; with its reason and the last lines of its log.
    """
    full = git.commit_of(settings.root, commit)
    session = aws.session(settings, environment, aws.duty_in(settings, environment))
    with checkout.checkout(settings, full) as recipe:
        run = Run(recipe, environment, session, full, settings.root, lambda line: None)
        stages = pipeline.read(recipe)
        md5s = {path: lineage.pointer(settings, full, path) for path in pipeline.raw_inputs(stages)}
        sources = {path: Source(f"s3://{environment.bucket}/data/{md5}/", md5) for path, md5 in md5s.items()}

        def looked_for(run: Run, stage: Stage, sources: dict[str, Source]) -> Job:
            if (last := runs.latest(run, stage, sources)) is not None:
                seen(last)
            return found(run, stage, sources)

        return walked(run, stages, sources, looked_for)


def found(run: Run, stage: Stage, sources: dict[str, Source]) -> Job:
    """The job that has made a stage.

    Raises:
        NotFound: there is none, or its output was damaged.
        StillTraining: it is still at it.
        Failure: it has failed.
    """
    job = runs.completed(run, stage, sources)
    if job is None:
        last = runs.latest(run, stage, sources)
        if last is not None and not last.ended:
            raise StillTraining(stage.name, last)
        if last is not None and last.status != "Completed":
            raise attempts.failure(run.session, stage.name, last)
        raise NotFound(
            f"nobody trained commit {run.commit[:12]} in {run.environment.name}: no completed job, undamaged, "
            f"of stage {stage.name}: run `mlops run --env {run.environment.name}`"
        )
    return job


def walked(
    run: Run,
    stages: list[Stage],
    sources: dict[str, Source],
    job_of: Callable[[Run, Stage, dict[str, Source]], Job],
) -> TrainedModel:
    """Go through the stages in order; each reads what those before it made."""
    trains = pipeline.training_stage(stages, run.recipe)
    evaluates = pipeline.evaluation_stage(stages, trains)
    raw = next(iter(sources.values()), None)
    if raw is None:
        raise BadInput(
            "dvc.yaml: no stage reads raw data; a dep such as data/raw with its pointer data/raw.dvc is needed"
        )
    if job_of is runs.done and runs.completed(run, stages[0], sources) is None and stages[0] != trains:
        training.import_ahead()
    made: dict[str, Job] = {}
    for stage in stages:
        job = made[stage.name] = job_of(run, stage, sources)
        output = runs.output_of(job)
        # A processing job's folder is what its key says; a model is the bytes that were trained, once.
        identity = storage.digest(run.session, output) if job.kind == "training" else job.key
        sources = {**sources, stage.output: Source(output, identity)}
    return result(run, made, trains, evaluates, sources, raw)


def result(
    run: Run, made: dict[str, Job], trains: Stage, evaluates: Stage, sources: dict[str, Source], raw: Source
) -> TrainedModel:
    """The trained model, with the evaluation's metrics read from S3."""
    trained, report = made[trains.name], runs.output_of(made[evaluates.name])
    before = sources[trains.inputs[0]].uri
    return TrainedModel(
        artefact=sources[trains.output].uri,
        digest=sources[trains.output].identity,
        training_job=trained.arn,
        image=str(trained.description["AlgorithmSpecification"]["TrainingImage"]),
        metrics=metrics(storage.read(run.session, f"{report}metrics.json"), f"{report}metrics.json"),
        baseline=f"{before}baseline.json",
        report=report,
        dataset=raw.uri,
        hyperparameters=trains.arguments,
        prepared=before,
        processing_jobs=tuple(job.name for job in made.values() if job.kind == "processing"),
    )


def metrics(content: bytes, place: str) -> dict[str, Metric]:
    """The metrics of a metrics.json.

    Raises:
        Failure: it is not as evaluate.py has to write it.
    """
    try:
        measured = json.loads(content)["metrics"]
        return {name: Metric(each["value"], each.get("low"), each.get("high")) for name, each in measured.items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Failure(f'{place}: holds no {{"metrics": {{NAME: {{"value": NUMBER}}}}}}: {error!r}') from error
