"""The quality gate: a model's metrics against thresholds, its predictions against those of the model that serves."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import boto3

from mlops import checks, packages, places, predictions, rescoring, storage
from mlops.checks import Measured, Verdict
from mlops.errors import Failure, NotFound
from mlops.judgements import Judgement
from mlops.packages import ModelPackage
from mlops.predictions import Predictions
from mlops.rescoring import Answers, Scorer, TestSet
from mlops.settings import Environment, Settings

if TYPE_CHECKING:
    from mlops.jobs import TrainedModel
    from mlops.lineage import Lineage

FILE = "gate.json"
KEYS = ("gate", "gate_uri", "gate_against", "gate_answers", "gate_gains")
"""What a package's metadata says of the gate that it passed last."""


@dataclass(frozen=True)
class Value:
    """A metric as a package's metadata holds it."""

    value: float


@dataclass(frozen=True)
class Candidate:
    """The model that is judged: its metrics, and the `s3://` address of its predictions, empty when it has none."""

    metrics: Mapping[str, Measured]
    predictions: str


@dataclass(frozen=True)
class Decision:
    """What the gate says of a model, with all that it looked at.

    Attributes:
        passed: nothing refuses it.
        thresholds: each metric against its threshold.
        against: the version that serves, by its group and number; empty when there was nothing to compare with.
        note: why there was not, or why it could not be compared.
        judgements: each comparison.
        rows: in the current test set.
        common: of them, those that both models have predicted.
        answers: of the model that serves: stored ones, or those of a job that asked it again.
    """

    thresholds: list[Verdict]
    against: str = ""
    note: str = ""
    judgements: list[Judgement] = field(default_factory=list)
    rows: int = 0
    common: int = 0
    confidence: float | None = None
    resamples: int | None = None
    answers: Answers | None = None

    @property
    def refusals(self) -> list[str]:
        """Why the model goes no further; nothing when it passes."""
        below = [str(each) for each in self.thresholds if not each.passed]
        return below + [str(each) for each in self.judgements if each.word == "worse"]

    @property
    def passed(self) -> bool:
        """Whether nothing refuses it."""
        return not self.refusals


def of_trained(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    model: "TrainedModel",
    lineage: "Lineage",
    progress: Callable[[str], None],
    start: bool = True,
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
    """
    after = settings.after(environment)
    new = Candidate(model.metrics, f"{model.report}{predictions.FILE}")
    if settings.comparison is None or after is None:
        return decide(session, settings, new)
    serving = newest_approved(session, packages.group_arn(settings.region, after.account, after.group))
    if serving is None:
        return decide(session, settings, new, note=f"nothing serves in {after.name} yet")
    if serving.fingerprint == lineage.fingerprint:
        return decide(session, settings, new, note=f"it is what serves in {after.name}")
    here = packages.find(session, environment.group, serving.fingerprint)
    if here is None or here.digest != serving.digest:
        why = f"not compared with {serving.name}: {environment.group} does not hold the same artefact"
        return decide(session, settings, new, note=why)

    def test() -> TestSet | None:
        uri = f"{model.prepared}{rescoring.TEST}"
        there = model.prepared and storage.exists(session, uri)
        return TestSet(uri, storage.digest(session, uri)) if there else None

    scorer = Scorer(session, settings, environment, lineage.fingerprint, test, lineage.commit, progress, start)
    return decide(session, settings, new, serving.name, here, scorer)


def of_package(
    session: boto3.Session,
    settings: Settings,
    target: Environment,
    source: ModelPackage,
    progress: Callable[[str], None],
) -> Decision:
    """What the gate says of a registered model that is about to come into an environment, against what serves there."""
    metrics = {name: Value(value) for name, value in metrics_of(source).items()}
    new = Candidate(metrics, source.metadata.get("predictions_uri", ""))
    if settings.comparison is None:
        return decide(session, settings, new)
    serving = newest_approved(session, target.group)
    if serving is None:
        return decide(session, settings, new, note=f"nothing serves in {target.name} yet")
    if serving.fingerprint == source.fingerprint:
        return decide(session, settings, new, note=f"it is what serves in {target.name}")

    def test() -> TestSet | None:
        uri = source.metadata.get("test_uri")
        # The job's role reads the bucket of its own environment and no other.
        own = places.copied(session, target, uri, source.fingerprint) if uri else ""
        return TestSet(own, places.digest_in(own)) if own else None

    scorer = Scorer(session, settings, target, source.fingerprint, test, progress=progress)
    return decide(session, settings, new, serving.name, serving, scorer)


def decide(
    session: boto3.Session,
    settings: Settings,
    new: Candidate,
    against: str = "",
    serving: ModelPackage | None = None,
    scorer: Scorer | None = None,
    note: str = "",
) -> Decision:
    """Hold metrics against their thresholds and, when something serves, predictions against its own.

    Args:
        session: reads both.
        settings: what is asked for.
        new: the new model.
        against: name of the version that serves; empty when there is none to compare with.
        serving: that model, as a package whose files this session reads.
        scorer: what asks it again when the test set has changed.
        note: why there is nothing to compare with.
    """
    thresholds = checks.verdicts(new.metrics, settings.gate)
    if serving is None or scorer is None or settings.comparison is None:
        return Decision(thresholds, note=note)
    if not new.predictions:
        return Decision(
            thresholds, against, f"not compared with {against}: this model was registered without its predictions"
        )
    candidate = predictions.parse(storage.read(session, new.predictions), new.predictions)
    found = rescoring.answers(scorer, serving)
    if not found.uri:
        why = f"not compared with {against}: {against} was registered without its predictions"
        return Decision(thresholds, against, why, rows=len(candidate), answers=found)
    try:
        other = predictions.parse(storage.read(session, found.uri), found.uri)
    except (NotFound, predictions.Unreadable) as error:
        # What was wrong with an earlier model must not stop every later one.
        return Decision(
            thresholds, against, f"not compared with {against}: {error}", rows=len(candidate), answers=found
        )
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
    try:
        from mlops import comparison
    except ModuleNotFoundError as error:
        raise Failure(f"the gate compares models with numpy ({error}): uv sync --group gate") from error
    asked = settings.comparison
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
    return Decision(
        thresholds=thresholds,
        against=against,
        judgements=comparison.judge(asked, candidate, serving, pairs, place),
        rows=rows,
        common=common,
        confidence=asked.confidence,
        resamples=asked.resamples,
        answers=found,
    )


def newest_approved(session: boto3.Session, group: str) -> ModelPackage | None:
    """The version that serves from a group; None when there is none, or no such group yet."""
    try:
        return packages.newest(session, group, "Approved")
    except NotFound:
        return None


def metrics_of(package: ModelPackage) -> dict[str, float]:
    """The metrics in a package's metadata, without the ends of their intervals."""
    found = {key.removeprefix("metric."): value for key, value in package.metadata.items() if key.startswith("metric.")}
    return {name: float(value) for name, value in found.items() if not name.endswith((".low", ".high"))}


def refuse(decision: Decision) -> None:
    """Stop a model that the gate refuses.

    Raises:
        Failure: every reason is named with its numbers.
    """
    if decision.refusals:
        raise Failure(f"the gate refuses this model: {'; '.join(decision.refusals)}")


def document(decision: Decision) -> bytes:
    """A decision as JSON, with every number; JSON has no NaN, so what is no number is null."""
    content = {"passed": decision.passed, **asdict(decision)}
    return json.dumps(finite(content), indent=2, sort_keys=True, allow_nan=False).encode() + b"\n"


def finite(value: Any) -> Any:
    """A value as JSON holds it."""
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def metadata(decision: Decision, uri: str) -> dict[str, str]:
    """What a package's metadata says of the gate; the rest stands in the file at `uri`."""
    gains = [f"{each.name} {each.gain:+.4g} {each.word}" for each in decision.judgements if each.gain is not None]
    found = {
        "gate": "passed" if decision.passed else "refused",
        "gate_uri": uri,
        "gate_against": " - ".join(filter(None, [decision.against, decision.note])),
        "gate_answers": decision.answers.how if decision.answers else "",
        "gate_gains": " / ".join(gains),
    }
    return {key: value for key, value in found.items() if value}


def stored(session: boto3.Session, package: ModelPackage) -> dict[str, Any]:
    """The decision that a package passed last, as its file holds it; empty when it has none, or it is gone."""
    uri = package.metadata.get("gate_uri")
    try:
        found = json.loads(storage.read(session, uri)) if uri else {}
    except NotFound:
        return {}
    return found if isinstance(found, dict) else {}
