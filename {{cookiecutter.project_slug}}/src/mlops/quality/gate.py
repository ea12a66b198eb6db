"""The quality gate: a model's metrics and data against limits, its predictions against those of what serves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING

import boto3

from mlops import storage
from mlops.errors import Failure, NotFound
from mlops.hosting import incumbent
from mlops.quality import dataquality, predictions, rescoring, thresholds
from mlops.quality.dataquality import Looked, NoBaseline
from mlops.quality.predictions import Predictions
from mlops.quality.rescoring import Answers, Scorer, TestSet
from mlops.quality.thresholds import Measured, Verdict
from mlops.quality.verdicts import Decision
from mlops.registry import packages, places
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings

if TYPE_CHECKING:
    from mlops.compute.jobs import TrainedModel
    from mlops.registry.lineage import Lineage


@dataclass(frozen=True)
class Value:
    """A metric as a package's metadata holds it."""

    value: float


@dataclass(frozen=True)
class Candidate:
    """The model that is judged: its metrics, and the `s3://` addresses of its predictions and its baseline, if any."""

    metrics: Mapping[str, Measured]
    predictions: str
    baseline: str


def of_trained(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    model: "TrainedModel",
    lineage: "Lineage",
    progress: Callable[[str], None],
    start: bool = True,
    after: str = "",
) -> Decision:
    """What the gate says of a model that was just trained, against what serves in the environment after this one.

    What serves there came from here, so its predictions and its artefact are here too: in the bucket of this role.

    Args:
        session: holds that role.
        settings: the project.
        environment: the one that trains.
        model: what SageMaker trained.
        lineage: what it was made from.
        progress: told what begins and what ends.
        start: what serves may be scored anew by a job.
        after: name of a job that has ended and is taken up: when it has failed, none is started again.
    """
    following = settings.after(environment)
    new = Candidate(model.metrics, f"{model.report}{predictions.FILE}", model.baseline)
    if following is None or not (settings.comparison or settings.data):
        return decide(session, settings, new)
    serving = newest_approved(session, packages.group_arn(settings.region, following.account, following.group))
    if serving is None:
        return decide(session, settings, new, note=f"nothing serves in {following.name} yet")
    if serving.fingerprint == lineage.fingerprint:
        return decide(session, settings, new, note=f"it is what serves in {following.name}")
    here = packages.find(session, environment.group, serving.fingerprint)
    if here is None or here.digest != serving.digest:
        why = f"not compared with {serving.name}: {environment.group} does not hold the same artefact"
        return decide(session, settings, new, note=why)

    def test() -> TestSet | None:
        uri = f"{model.prepared}{rescoring.TEST}"
        there = model.prepared and storage.exists(session, uri)
        return TestSet(uri, storage.digest(session, uri)) if there else None

    scorer = Scorer(session, settings, environment, lineage.fingerprint, test, lineage.commit, progress, start, after)
    return decide(session, settings, new, serving.name, here, scorer)


def of_package(
    session: boto3.Session,
    settings: Settings,
    target: Environment,
    source: ModelPackage,
    progress: Callable[[str], None],
) -> Decision:
    """What the gate says of a registered model that is about to come into an environment, against what serves there.

    The session holds the role that deploys there. The model may be there already, and waits.
    """
    metrics = {name: Value(value) for name, value in metrics_of(source).items()}
    new = Candidate(metrics, *(source.metadata.get(key, "") for key in ("predictions_uri", "baseline_uri")))
    if not (settings.comparison or settings.data):
        return decide(session, settings, new)
    serving = incumbent.of(session, target, source)
    if serving is None:
        return decide(session, settings, new, note=f"nothing serves in {target.name} yet")
    if serving.fingerprint == source.fingerprint:
        return replace(decide(session, settings, new, note=f"it is what serves in {target.name}"), serving=serving.arn)

    def test() -> TestSet | None:
        uri = source.metadata.get("test_uri")
        # The job's role reads the bucket of its own environment and no other.
        own = places.copied(session, target, uri, source.fingerprint) if uri else ""
        return TestSet(own, places.digest_in(own)) if own else None

    scorer = Scorer(session, settings, target, source.fingerprint, test, progress=progress)
    return replace(decide(session, settings, new, serving.name, serving, scorer), serving=serving.arn)


def decide(
    session: boto3.Session,
    settings: Settings,
    new: Candidate,
    against: str = "",
    serving: ModelPackage | None = None,
    scorer: Scorer | None = None,
    note: str = "",
) -> Decision:
    """Hold metrics and data against their limits and, when something serves, predictions against its own.

    Args:
        session: reads both.
        settings: what is asked for.
        new: the new model.
        against: name of the version that serves; empty when there is none to compare with.
        serving: that model, as a package whose files this session reads.
        scorer: what asks it again when the test set has changed.
        note: why there is nothing to compare with.
    """
    held = thresholds.verdicts(new.metrics, settings.gate)
    data = looked(session, settings, new, serving)
    floors = floors_of(session, settings, new)
    early = Decision(held, note=note, data=data, floors=floors)
    if serving is None or scorer is None or settings.comparison is None:
        return early
    # No job is paid for a model that is refused anyway.
    scorer = replace(scorer, start=scorer.start and early.passed)
    return replace(against_serving(session, settings, held, new, against, serving, scorer), data=data, floors=floors)


def looked(session: boto3.Session, settings: Settings, new: Candidate, serving: ModelPackage | None) -> Looked | None:
    """What is said of the data that a model learned from; None when the settings ask for nothing.

    Raises:
        NoBaseline: its baseline can not be read, so nothing can be said.
    """
    if settings.data is None:
        return None
    if not new.baseline:
        raise NoBaseline("this model was registered without a baseline, which `data` in mlops.yaml is held against")
    ours, theirs, why = dataquality.parse(storage.read(session, new.baseline), new.baseline), None, ""
    if serving is not None and (uri := serving.metadata.get("baseline_uri")):
        try:
            theirs = dataquality.parse(storage.read(session, uri), uri)
        except (NotFound, NoBaseline) as error:
            # What was wrong with an earlier model must not stop every later one.
            why = f"not held against the data of what serves: {error}"
    found = dataquality.look(settings.data, ours, theirs)
    return replace(found, note=why) if why else found


def floors_of(session: boto3.Session, settings: Settings, new: Candidate) -> list[Verdict]:
    """What the groups of the test set reach that have a limit of their own.

    Raises:
        Failure: the model was registered without its predictions; or as `compared`.
    """
    asked = settings.comparison
    if asked is None or not any(each.limit for each in asked.slices):
        return []
    if not new.predictions:
        raise Failure("this model was registered without its predictions, of which comparison.slices asks at_least")
    candidate = predictions.parse(storage.read(session, new.predictions), new.predictions)
    found: list[Verdict] = comparing().floors(asked, candidate, new.predictions)
    return found


def comparing() -> ModuleType:
    """The module that compares, which needs numpy.

    Raises:
        Failure: it is not installed.
    """
    try:
        from mlops.quality import comparison
    except ModuleNotFoundError as error:
        raise Failure(f"the gate compares models with numpy ({error}): uv sync --group gate") from error
    return comparison


def against_serving(
    session: boto3.Session,
    settings: Settings,
    thresholds: list[Verdict],
    new: Candidate,
    against: str,
    serving: ModelPackage,
    scorer: Scorer,
) -> Decision:
    """What the predictions of both models say; or why they can not be had."""

    def not_compared(why: str, rows: int = 0, found: Answers | None = None) -> Decision:
        return Decision(thresholds, against, f"not compared with {against}: {why}", rows=rows, answers=found)

    if not new.predictions:
        return not_compared("this model was registered without its predictions")
    candidate = predictions.parse(storage.read(session, new.predictions), new.predictions)
    if serving.is_adopted:
        # Nobody knows how its image would be asked in a job.
        return not_compared("it was adopted without predictions on a test set", len(candidate))
    found = rescoring.answers(scorer, serving)
    if not found.uri:
        return not_compared(f"{against} was registered without its predictions", len(candidate), found)
    try:
        other = predictions.parse(storage.read(session, found.uri), found.uri)
    except (NotFound, predictions.Unreadable) as error:
        return not_compared(str(error), len(candidate), found)
    return compared(settings, thresholds, against, candidate, other, new.predictions, found)


def compared(
    settings: Settings,
    thresholds: list[Verdict],
    against: str,
    candidate: Predictions,
    serving: Predictions,
    place: str,
    found: Answers,
) -> Decision:
    """What the gate says once both models' predictions are at hand.

    When the one that serves has answered too few rows of the test set, the two are not compared, and that is said.

    Raises:
        Failure: numpy is not installed.
    """
    comparison, asked = comparing(), settings.comparison
    if asked is None:
        return Decision(thresholds)
    pairs = comparison.pairs_of(candidate, serving)
    rows, common = len(candidate), len(pairs)
    if common < asked.common * rows:
        note = (
            f"not compared with {against}: it has predicted {common} of the {rows} rows of the test set, "
            f"{asked.common:.0%} are needed"
        )
        return Decision(thresholds, against, note, rows=rows, common=common, answers=found)
    judgements = comparison.judge(asked, candidate, serving, pairs, place)
    return Decision(
        thresholds=thresholds,
        against=against,
        judgements=judgements,
        rows=rows,
        common=common,
        confidence=asked.confidence,
        resamples=comparison.draws(asked, sum(each.gain is not None for each in judgements)),
        answers=found,
    )


def newest_approved(session: boto3.Session, group: str) -> ModelPackage | None:
    """The newest Approved version of a group, the nearest to what serves that another environment's role can see.

    None when there is none, or no such group yet.
    """
    try:
        return packages.newest(session, group, "Approved")
    except NotFound:
        return None


def metrics_of(package: ModelPackage) -> dict[str, float]:
    """The metrics in a package's metadata, without the ends of their intervals."""
    found = {key.removeprefix("metric."): value for key, value in package.metadata.items() if key.startswith("metric.")}
    return {name: float(value) for name, value in found.items() if not name.endswith((".low", ".high"))}
