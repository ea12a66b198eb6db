"""The duel: champion and challenger on the same requests, those that the champion's endpoint has captured."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from pathlib import Path
from statistics import NormalDist
from typing import Any

import boto3

from mlops import aws
from mlops.contest import rounds as one_by_one
from mlops.contest.rounds import Lost, Round, Row
from mlops.display import Progress
from mlops.errors import BadInput, Failure
from mlops.hosting import endpoints
from mlops.monitoring import captures, performance, predictionlog
from mlops.monitoring.captures import Captured
from mlops.quality.judgements import Judgement
from mlops.registry import packages
from mlops.registry.packages import ModelPackage
from mlops.settings.criteria import BUILT_IN
from mlops.settings.project import Environment, Settings

CONFIDENCE, RESAMPLES, SEED = 0.95, 2000, 7
"""Of the interval of latency, where the settings have no comparison."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Duel:
    """How a challenger does beside its champion.

    Attributes:
        failed: requests that the challenger did not answer, or not with as many rows.
        champion_failed: requests that the champion, asked again for its time, did not answer; they say nothing of the
            challenger and are left out, but for those that it failed too.
        agreement: share of the rows to which both answer the same: decisions where settings name them, else outputs.
        latency_ms: by how much the challenger takes longer, on average, as this client sees it; below 0 it is faster.
        labelled: rows whose label has come in.
        judgements: each metric of the settings on those rows; the challenger is the candidate.
    """

    champion: str
    challenger: str
    requests: int
    failed: int
    rows: int
    agreement: Estimate
    champion_ms: float
    challenger_ms: float
    latency_ms: Estimate
    labelled: int = 0
    judgements: list[Judgement] = field(default_factory=list)
    champion_failed: int = 0

    def __str__(self) -> str:
        """A few lines for a person."""
        same, slower = self.agreement, self.latency_ms
        lines = [
            f"{self.challenger} beside {self.champion}, on {self.requests} captured requests ({self.rows} rows)",
            f"agreement: {same.value:.2%} ({same.low:.2%} to {same.high:.2%})",
            f"latency: champion {self.champion_ms:.1f} ms, challenger {self.challenger_ms:.1f} ms, "
            f"{slower.value:+.1f} ms ({slower.low:+.1f} to {slower.high:+.1f})",
            f"failed: {self.failed} requests by the challenger, {self.champion_failed} by the champion asked again",
        ]
        if self.labelled:
            lines += [f"on {self.labelled} rows with labels:", *(f"  {each}" for each in self.judgements)]
        return "\n".join(lines)


def compare(
    settings: Settings,
    environment: Environment,
    first: date,
    last: date,
    most: int,
    labels: Path | None,
    progress: Progress,
) -> Duel:
    """Ask both endpoints what the champion was asked, and compare the challenger's answers with those it gave then.

    Args:
        settings: the project.
        environment: in which both serve.
        first: day of the captured requests, in UTC.
        last: day, itself included.
        most: how many requests, the first ones.
        labels: a CSV file with `request_id`, `label` and, for requests of several rows, `row` from 0.
        progress: told what begins.

    Raises:
        BadInput: there is no contest, or the labels are not in their form.
        Failure: both serve the same model, one serves none, or nothing was captured.
    """
    champion, challenger = environment.contenders[0], environment.contender("challenger")
    if first > last:
        raise BadInput(f"--from is {first}, after --to {last}")
    known = performance.labels(labels) if labels else {}
    session = aws.session(settings, environment, "deploy")
    ours, theirs = (serving(session, each) for each in (challenger, champion))
    if ours.fingerprint == theirs.fingerprint:
        raise Failure(
            f"{ours.name} and {theirs.name} are the same model (fingerprint {ours.fingerprint[:12]}): there is nothing "
            "to compare"
        )
    requests = list(islice(captured(session, champion, theirs.version, first, last), most))
    if not requests:
        raise Failure(
            f"{champion.endpoint_name} has captured nothing of version {theirs.version} from {first} to {last}; "
            f"environments.{environment.name}.endpoint.capture in mlops.yaml has requests captured"
        )
    progress(f"asking both endpoints {len(requests)} requests that {champion.endpoint_name} has captured")
    rounds = [one_by_one.fought(session, champion, challenger, each, n % 2 == 1) for n, each in enumerate(requests)]
    answered = [each for each in rounds if isinstance(each, Round)]
    lost = [each for each in rounds if isinstance(each, Lost)]
    failed, again = sum(each.by_challenger for each in lost), sum(each.by_champion for each in lost)
    if not answered:
        raise Failure(
            f"of {len(requests)} captured requests {challenger.endpoint_name} failed {failed}, and "
            f"{champion.endpoint_name}, asked again, {again}: none is left to compare; first: {lost[0].why}"
        )
    found = told(settings, champion, (ours, theirs), len(requests), answered, known)
    return replace(found, failed=failed, champion_failed=again)


def serving(session: boto3.Session, environment: Environment) -> ModelPackage:
    """The version that an endpoint serves.

    Raises:
        Failure: it serves none.
    """
    found = endpoints.state(session, environment.endpoint_name)
    version = endpoints.version_of(found.config) if found else None
    if version is None:
        raise Failure(f"{environment.endpoint_name} serves no model; mlops deploy {environment.options} brings one")
    return packages.of_version(session, environment.group, version)


def captured(
    session: boto3.Session, champion: Environment, version: int, first: date, last: date
) -> Iterator[Captured]:
    """What the champion's version was asked and answered."""
    for folder in captures.folders(session, champion, champion.endpoint_name):
        ours = folder.config.startswith(f"{champion.group}-v") and folder.variant == endpoints.VARIANT
        if ours and endpoints.version_of(folder.config) == version:
            for day in captures.days(session, folder, first, last):
                yield from (each for each in captures.of_day(session, folder, day) if each.asked.is_text)


def told(
    settings: Settings,
    champion: Environment,
    both: tuple[ModelPackage, ModelPackage],
    asked: int,
    rounds: list[Round],
    labels: dict[tuple[str, int], str],
) -> Duel:
    """What the rounds say."""
    rows = [row for each in rounds for row in each.rows]
    capture = champion.endpoint.capture if champion.endpoint else None

    def said(output: Any) -> Any:
        decided = predictionlog.decision(output, capture)
        return output if decided is None else decided

    same = sum(said(row.champion) == said(row.challenger) for row in rows)
    confidence = settings.comparison.confidence if settings.comparison else CONFIDENCE
    slower = latency(rounds, confidence)
    labelled = [(row, labels[row.request, row.row]) for row in rows if (row.request, row.row) in labels]
    return Duel(
        champion=both[1].name,
        challenger=both[0].name,
        requests=asked,
        failed=asked - len(rounds),
        rows=len(rows),
        agreement=share(same, len(rows), confidence),
        champion_ms=sum(each.champion_ms for each in rounds) / len(rounds),
        challenger_ms=sum(each.challenger_ms for each in rounds) / len(rounds),
        latency_ms=slower,
        labelled=len(labelled),
        judgements=judged(settings, labelled) if labels else [],
    )


def share(count: int, total: int, confidence: float) -> Estimate:
    """A share with Wilson's interval, which holds near 0 and 1 too."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    value = count / total
    centre = (value + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(value * (1 - value) / total + z * z / (4 * total * total))
    return Estimate(value, max(0.0, centre - half), min(1.0, centre + half))


def latency(rounds: list[Round], confidence: float) -> Estimate:
    """By how much the challenger takes longer on the same requests, by a paired bootstrap."""
    np, resampling = numeric()
    times = np.array([[each.challenger_ms for each in rounds], [each.champion_ms for each in rounds]])
    none = np.zeros(len(rounds))
    lines = resampling.Rows(none.astype(bool), np.array([none, none]), 0.5, {"latency": times})
    (found,) = resampling.compare(lines, [resampling.Question("latency")], RESAMPLES, confidence, SEED)
    return Estimate(found.candidate - found.serving, found.low, found.high)


def judged(settings: Settings, labelled: list[tuple[Row, str]]) -> list[Judgement]:
    """The metrics of the settings on rows whose labels have come in, by the gate's own paired bootstrap.

    Raises:
        BadInput: the settings compare nothing, or an answer has no probability.
        Failure: no row has the label that the settings name.
    """
    if settings.comparison is None:
        raise BadInput("--labels: mlops.yaml has no section comparison, which names the metrics; give one")
    if not labelled:
        raise BadInput("--labels: no label is of a captured request; its request_id has to be the captured one")
    numeric()
    from mlops.quality import comparison
    from mlops.quality.predictions import Predictions

    ids = [(f"{row.request}/{row.row}", 0) for row, _ in labelled]
    known = [label for _, label in labelled]
    ours = Predictions(ids, known, [probability(row.challenger) for row, _ in labelled], {})
    theirs = Predictions(ids, known, [probability(row.champion) for row, _ in labelled], {})
    built_in = tuple(each for each in settings.comparison.metrics if each.metric in BUILT_IN)
    asked = settings.comparison.model_copy(update={"slices": (), "metrics": built_in})
    return comparison.judge(asked, ours, theirs, comparison.pairs_of(ours, theirs), "--labels")


def probability(output: Any) -> float:
    """The probability in an answer: the member `probability`, or the one number among the cells of CSV.

    Raises:
        BadInput: there is none.
    """
    found: list[Any] = (
        [output.get("probability")] if isinstance(output, dict) else output if isinstance(output, list) else []
    )
    numbers = []
    for each in found:
        try:
            numbers.append(float(each))
        except (TypeError, ValueError):
            continue
    if len(numbers) != 1:
        raise BadInput(f"--labels: an answer is {str(output)[:80]!r}, one number in it is needed as the probability")
    return numbers[0]


def numeric() -> tuple[Any, Any]:
    """Numpy, and the bootstrap that needs it.

    Raises:
        BadInput: it is not installed.
    """
    try:
        import numpy

        from mlops.quality import resampling
    except ImportError as error:
        raise BadInput("mlops compare needs numpy: uv sync --group gate, or pip install numpy") from error
    return numpy, resampling
