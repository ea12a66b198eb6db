"""The duel: champion and challenger on the same captured requests."""

import csv
import io
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from mlops import aws
from mlops.contest import duel
from mlops.contest import rounds as one_by_one
from mlops.contest.rounds import Lost, Round, Row
from mlops.errors import BadInput, Failure
from mlops.hosting import deployment
from mlops.monitoring import performance
from mlops.monitoring.captures import Captured, Side
from mlops.registry import approval
from mlops.settings.compute import Stage
from mlops.settings.criteria import Compared, Comparison
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Capture

COMPARISON = Comparison(
    positive="ill",
    resamples=400,
    metrics=(Compared(metric="roc_auc", may_lose=0.01), Compared(metric="recall", may_lose=0.01)),
)
SETTINGS = Settings(
    project="churn",
    package="churn",
    region="eu-west-1",
    scenario="advanced",
    environments=(
        {"name": "dev", "account": "111111111111"},  # type: ignore[arg-type]
        {
            "name": "prod",
            "account": "222222222222",
            "approval": "manual",
            "endpoint": {"capture": {"percent": 100, "decision": "label"}},
        },  # type: ignore[arg-type]
    ),
    stages={"train": Stage(job="training")},
    comparison=COMPARISON,
)


def capturing(environment: Environment) -> Environment:
    endpoint = environment.endpoint.model_copy(update={"capture": Capture(percent=100, decision="label")})  # type: ignore[union-attr]
    return environment.model_copy(update={"endpoint": endpoint})


def serve(world: Any, label: str, *contenders: Environment) -> None:
    world.promote(world.in_dev(label).fingerprint, world.prod)
    for contender in contenders:
        approval.approve(world.settings, contender, by="ines", why="good")
        deployment.deploy(world.settings, contender, world.progress)


def compared(world: Any, prod: Environment, wanted: int) -> duel.Duel:
    """The duel once SageMaker has written so many captured requests."""
    today = datetime.now(UTC).date()
    champion, end = prod.contenders[0], time.monotonic() + 20
    session = world.session(prod)
    while len(list(duel.captured(session, champion, 1, today - timedelta(days=1), today))) < wanted:
        assert time.monotonic() < end
        time.sleep(0.05)
    return duel.compare(world.settings, prod, today - timedelta(days=1), today, 100, None, world.progress)


@pytest.mark.slow
def test_both_are_asked_what_the_champion_has_captured(advanced: Any) -> None:
    prod = capturing(advanced.prod)
    serve(advanced, "first", prod.contender("challenger"), prod)
    for _ in range(3):
        advanced.answer(prod)
    with pytest.raises(Failure, match="are the same model"):
        compared(advanced, prod, 3)
    serve(advanced, "second", prod.contender("challenger"))

    found = compared(advanced, prod, 3)
    again = compared(advanced, prod, 3)

    assert (found.champion, found.challenger) == ("churn-prod-champion version 1", "churn-prod-challenger version 2")
    assert (found.requests, found.rows, found.failed, found.champion_failed) == (3, 3, 0, 0)
    assert (found.agreement.value, found.agreement.low) == (0.0, 0.0)
    assert 0 < found.agreement.high < 1
    assert found.latency_ms.low <= found.challenger_ms - found.champion_ms <= found.latency_ms.high
    # What the duel itself has asked is captured too, and is no client's request.
    assert again.requests == 3


def rounds(count: int, noise: tuple[float, float], seed: int = 3) -> tuple[list[Round], dict[tuple[str, int], str]]:
    """Requests with labels; champion and challenger see the truth through some noise."""
    random_ = random.Random(seed)
    made, labels = [], {}
    for number in range(count):
        ill = random_.random() < 0.4
        labels[f"r{number}", 0] = "ill" if ill else "well"
        answers = []
        for spread in noise:
            chance = min(1.0, max(0.0, (0.7 if ill else 0.3) + random_.gauss(0, spread)))
            answers.append({"label": "ill" if chance >= 0.5 else "well", "probability": chance})
        made.append(Round(10.0, 12.0 + random_.random(), [Row(f"r{number}", 0, *answers)]))
    return made, labels


@pytest.mark.parametrize(("noise", "word"), [((0.4, 0.05), "better"), ((0.05, 0.4), "worse")])
def test_labels_that_have_come_in_tell_who_is_better(noise: tuple[float, float], word: str) -> None:
    made, labels = rounds(400, noise)
    packages: Any = (type("Package", (), {"name": "two"}), type("Package", (), {"name": "one"}))

    found = duel.told(SETTINGS, SETTINGS.environment("prod"), packages, 400, made, labels)

    assert [(each.metric, each.word) for each in found.judgements] == [("roc_auc", word), ("recall", word)]
    assert found.labelled == 400
    assert found.latency_ms.low > 1.5
    assert found.latency_ms.high < 3.5
    same = sum(each.rows[0].champion["label"] == each.rows[0].challenger["label"] for each in made)
    assert found.agreement.value == same / 400
    assert found.agreement.low < same / 400 < found.agreement.high


class Fleet:
    """Stands for SageMaker's runtime: notes who is asked, and fails for some."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.asked: list[str] = []

    def invoke_endpoint(self, EndpointName: str, **given: Any) -> dict[str, Any]:
        self.asked.append(EndpointName)
        if EndpointName in self.failing:
            raise ClientError({"Error": {"Code": "ModelError", "Message": "no answer"}}, "InvokeEndpoint")
        return {"Body": io.BytesIO(b"1\n"), "ContentType": "text/csv"}


@pytest.mark.parametrize(
    ("failing", "lost"),
    [
        (("churn-prod-challenger",), (True, False)),
        (("churn-prod",), (False, True)),
        (("churn-prod", "churn-prod-challenger"), (True, True)),
    ],
)
def test_a_request_that_one_does_not_answer_is_that_ones_failure_whoever_is_first(
    failing: tuple[str, ...], lost: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(*failing)
    monkeypatch.setattr(aws, "client", lambda session, service: fleet)
    champion, challenger = SETTINGS.environment("prod").contenders
    side = Side("text/csv", "1\n", is_text=True)
    request = Captured("r", datetime.now(UTC), "c", "model", side, side)

    found = [one_by_one.fought(boto3.Session(), champion, challenger, request, first) for first in (False, True)]

    assert [isinstance(each, Lost) and (each.by_challenger, each.by_champion) for each in found] == [lost, lost]
    first, second = "churn-prod", "churn-prod-challenger"
    assert fleet.asked == [first, second, second, first]


def test_an_agreement_of_all_still_has_an_interval() -> None:
    found = duel.share(20, 20, 0.95)

    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.8 < found.low < 0.9


@pytest.mark.parametrize("column", ["request_id", "request"])
def test_labels_are_found_by_request_and_row(tmp_path: Path, column: str) -> None:
    file = tmp_path / "labels.csv"
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([(column, "row", "label"), ("a", 0, "ill"), ("a", 1, "well"), ("b", "", "ill")])

    assert performance.labels(file) == {("a", 0): "ill", ("a", 1): "well", ("b", 0): "ill"}


@pytest.mark.parametrize("text", ["id,label\na,ill\n", "request_id,row,label\na,first,ill\n"])
def test_labels_in_another_form_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_text(text)

    with pytest.raises(BadInput, match=r"columns are id, label; request_id, label and|row is a whole number"):
        performance.labels(tmp_path / "labels.csv")
