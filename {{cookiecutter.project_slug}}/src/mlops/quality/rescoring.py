"""What serves, scored anew: its answers to the test set of a model that it is compared with, by its own code.

Its stored answers are to the test set of its own day. When the data has changed since, a processing job in its own
image asks it again; what one gate has paid for, the gates after it use.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import boto3

from mlops import access, git, storage
from mlops.compute import checkout, imports, pipeline, runs
from mlops.compute.attempts import Job, ScriptFailed
from mlops.compute.runs import Run, Source
from mlops.errors import NotFound
from mlops.quality import predictions
from mlops.registry import places
from mlops.registry.packages import ModelPackage
from mlops.settings.compute import SCORING, Image, Stage
from mlops.settings.project import Environment, Settings

TEST = "test.parquet"

SAME = "its stored answers: the test set is the same"
STORED = "its stored answers to the rows in common"
EARLIER = "scored anew on this test set by the job of an earlier gate"
ANEW = "scored anew on this test set by job {}"


@dataclass(frozen=True)
class TestSet:
    """The rows that a model is measured on: where they are, and their SHA-256."""

    uri: str
    digest: str


@dataclass(frozen=True)
class Answers:
    """What the model that serves answered.

    Attributes:
        uri: `s3://` address of its predictions.csv; empty when there is none.
        how: in words, how they came to be.
        kept_as: the digest and the name under which the bucket keeps them for later gates; none of stored ones.
    """

    uri: str
    how: str
    kept_as: tuple[str, str] | None = None


@dataclass(frozen=True)
class Scorer:
    """What a model is scored anew with.

    Attributes:
        session: may start jobs in the environment.
        settings: the project.
        environment: whose bucket, role and instances the job has. Both models' files lie in that bucket.
        fingerprint: of the new model.
        test: rows that the new model was measured on; called when they are needed. None when it has none.
        commit: whose score.py is run.
        progress: told what begins and what ends.
        start: a job may be started; else only what one has made already is found.
        after: name of a job that has ended and is taken up: when it has failed, none is started again.
        until: when it waits for its job no longer, by the clock of `time.monotonic`.
    """

    session: boto3.Session
    settings: Settings
    environment: Environment
    fingerprint: str
    test: Callable[[], TestSet | None]
    commit: str = "HEAD"
    progress: Callable[[str], None] = field(default=lambda line: None)
    start: bool = True
    after: str = ""
    until: float = field(default_factory=access.waits_until)


def answers(scorer: Scorer, serving: ModelPackage) -> Answers:
    """The answers of the model that serves, as near to the new model's test set as can be had.

    A model that can not answer the new test set, because a column of its own is gone, must not stop every later one:
    its stored answers are all there is then, and that is said.

    Raises:
        Failure: the job can not be started, or ends by another fault than the script's; the next try may do better.
    """
    stored = serving.metadata.get("predictions_uri", "")
    test = scorer.test()
    if test is None:
        return Answers(stored, STORED)
    if stored and places.digest_in(serving.metadata.get("test_uri", "")) == test.digest:
        return Answers(stored, SAME)
    name = f"scored-{serving.digest}.csv"
    for each in (scorer.environment, scorer.settings.before(scorer.environment)):
        place = places.beside(each, scorer.fingerprint, test.digest, name) if each else ""
        if place and storage.exists(scorer.session, place):
            return Answers(place, EARLIER, (test.digest, name))
    try:
        job = scored(scorer, serving, test)
    except ScriptFailed as error:
        return Answers(stored, f"{STORED}; it can not answer the new test set: {str(error).splitlines()[0]}")
    except NotFound as error:
        return Answers(stored, f"{STORED}; {error}")
    return Answers(f"{runs.output_of(job)}{predictions.FILE}", ANEW.format(job.name), (test.digest, name))


def scored(scorer: Scorer, serving: ModelPackage, test: TestSet) -> Job:
    """The job that has scored a model on a test set; it is started when there is none yet.

    Raises:
        NotFound: the commit has no score.py; or there is no such job, and none may be started.
        DigestMismatch: its artefact is not the one that was registered.
        ScriptFailed: the model can not answer these rows.
        StillTraining: the job is at it longer than this run may wait.
        Failure: the job fails otherwise, or AWS refuses it.
    """
    settings = scorer.settings
    commit = git.commit_of(settings.root, scorer.commit)
    with checkout.checkout(settings, commit) as recipe:
        script = f"src/{recipe.package}/{SCORING}.py"
        if not (recipe.root / script).is_file():
            raise NotFound(f"{script} is not there, which would ask it about the new test set")
        on = {"stages": {**recipe.stages, SCORING: recipe.stages.get(SCORING, Stage())}}
        # Whatever the project's image is now: a model runs in the one that it was made in.
        own = recipe.model_copy(update={"image": Image.model_construct(uri=serving.image), **on})
        place = (scorer.environment, scorer.session, commit, settings.root)
        run = Run(own, *place, scorer.progress, scorer.until, scorer.after)
        stage = pipeline.Stage(
            name=SCORING,
            code=imports.needed(script, recipe.package, recipe.root),
            inputs=("prepared", "model"),
            output="scored",
            parameters={"digest": serving.digest},
            line=1,
        )
        sources = {"prepared": Source(test.uri, test.digest), "model": Source(serving.artefact, serving.digest)}
        if scorer.start:
            # The job looks too; there it would seem that the model can not answer.
            storage.refuse_other(scorer.session, serving.artefact, serving.digest)
            return runs.done(run, stage, sources)
        job = runs.completed(run, stage, sources)
    if job is None:
        raise NotFound("no job has scored it on the new test set yet")
    return job


def keep(session: boto3.Session, environment: Environment, fingerprint: str, found: Answers | None) -> None:
    """Keep answers that a job was paid for beside the package, where the next gate finds them."""
    if found is None or found.kept_as is None:
        return
    target = places.beside(environment, fingerprint, *found.kept_as)
    if not storage.exists(session, target):
        storage.copy(session, found.uri, target, storage.digest(session, found.uri), environment.kms_key)
