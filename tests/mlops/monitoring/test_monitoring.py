"""Monitoring: what an endpoint was asked, held against what the version that serves learned from."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops.errors import BadInput, DigestMismatch, Failure
from mlops.hosting import deployment, endpoints
from mlops.monitoring import monitoring
from mlops.settings.criteria import Comparison, Monitoring
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Capture

COLUMNS = ("age", "income")
ROWS = 400


def numbers(seed: str, rows: int, shift: float = 0.0) -> list[list[float]]:
    source = random.Random(seed)
    return [[source.gauss(shift, 1), source.lognormvariate(0, 1)] for _ in range(rows)]


def baseline() -> dict[str, Any]:
    """As the model's prepare.py writes it: deciles of each column, and the share of the rows between them."""
    columns = {}
    for name, values in zip(COLUMNS, zip(*numbers("then", ROWS), strict=True), strict=True):
        ordered = sorted(values)
        edges = [ordered[ROWS * part // 10] for part in range(1, 10)]
        columns[name] = {"edges": edges, "shares": [0.1] * 10, "missing": 0.0}
    return {"rows": ROWS, "columns": columns}


def watched(world: Any, **monitoring_settings: Any) -> tuple[Settings, Environment]:
    """The project with monitoring, and its dev environment with captures."""
    asked = Monitoring(**{"output": "score", **monitoring_settings})
    dev = world.dev.model_copy(
        update={"endpoint": world.dev.endpoint.model_copy(update={"capture": Capture(percent=100)})}
    )
    return world.settings.model_copy(update={"monitoring": asked}), dev


def serve(world: Any, project: Settings, dev: Environment, content: Any = None) -> str:
    """Serve a version with a baseline; the configuration that does."""
    model = world.model("first")
    bucket, _, key = model.baseline.removeprefix("s3://").partition("/")
    world.client(world.feature, "s3").put_object(
        Bucket=bucket, Key=key, Body=json.dumps(baseline() if content is None else content).encode()
    )
    world.in_dev("first")
    deployment.deploy(project, dev, world.progress)
    found = endpoints.state(world.session(dev), "churn-dev")
    assert found is not None
    return found.config


def line(rows: list[Any], answers: list[Any], request: str, when: datetime) -> str:
    """A captured request as SageMaker writes it."""

    def side(content: Any, mode: str) -> dict[str, Any]:
        kind = "application/json"
        return {"observedContentType": kind, "mode": mode, "data": json.dumps(content), "encoding": "JSON"}

    about = {"eventId": request, "inferenceTime": when.strftime("%Y-%m-%dT%H:%M:%SZ")}
    data = {
        "endpointInput": side({"instances": rows}, "INPUT"),
        "endpointOutput": side({"predictions": answers}, "OUTPUT"),
    }
    return json.dumps({"captureData": data, "eventMetadata": about, "eventVersion": "0"})


def captured(
    world: Any, config: str, rows: list[Any], hours_ago: float = 1.0, scores: list[float] | None = None
) -> None:
    """Put requests of 10 rows where SageMaker puts them."""
    when = datetime.now(UTC) - timedelta(hours=hours_ago)
    answers = [{"score": score} for score in scores or [0.5] * len(rows)]
    lines = [
        line(rows[start : start + 10], answers[start : start + 10], f"{hours_ago}-{start // 10}", when)
        for start in range(0, len(rows), 10)
    ]
    world.client(world.dev, "s3").put_object(
        Bucket=world.dev.bucket,
        Key=f"captures/churn-dev/{config}/churn-dev/model/{when:%Y/%m/%d/%H}/{hours_ago}.jsonl",
        Body="\n".join(lines).encode(),
    )


def drifted(found: monitoring.Monitored) -> set[tuple[str, str]]:
    return {(shift.name, shift.measure) for shift in found.shifts if shift.drifted}


def alarm(world: Any) -> tuple[str, float | None]:
    """State of the alarm on drift, and the newest value of its metric."""
    cloudwatch = world.client(world.dev, "cloudwatch")
    (found,) = cloudwatch.describe_alarms(AlarmNames=["churn-dev-drift"])["MetricAlarms"]
    now = datetime.now(UTC)
    data = cloudwatch.get_metric_statistics(
        Namespace=found["Namespace"], MetricName=found["MetricName"], Dimensions=found["Dimensions"],
        StartTime=now - timedelta(minutes=5), EndTime=now + timedelta(minutes=5), Period=600, Statistics=["Maximum"],
    )["Datapoints"]  # fmt: skip
    return found["StateValue"], data[0]["Maximum"] if data else None


@pytest.fixture
def served(world: Any) -> tuple[Settings, Environment, str]:
    """A project whose dev endpoint serves a version with a baseline, and has captured nothing."""
    s3 = world.client(world.dev, "s3")
    kept = s3.list_objects_v2(Bucket=world.dev.bucket, Prefix="captures/").get("Contents", [])
    for each in kept:
        s3.delete_object(Bucket=world.dev.bucket, Key=each["Key"])
    project, dev = watched(world)
    return project, dev, serve(world, project, dev)


def test_requests_like_those_that_the_model_learned_from_are_no_drift(world: Any, served: Any) -> None:
    project, dev, config = served
    captured(world, config, numbers("now", 300))

    found = monitoring.monitor(project, dev)

    assert (found.judged, found.rows, found.requests, found.unread, found.version) == (True, 300, 30, 0, 1)
    assert drifted(found) == set() and found.drifts == 0
    assert monitoring.sentence(found) == "no drift"


def test_a_feature_that_moved_is_named_and_the_alarm_fires(world: Any, served: Any) -> None:
    project, dev, config = served
    moved = [[age + 1.5, income] for age, income in numbers("now", 300)]
    captured(world, config, moved)

    found = monitoring.monitor(project, dev)

    assert drifted(found) == {("age", "psi")}
    assert monitoring.sentence(found).startswith("drift: age: psi is ")
    assert "| age | psi |" in monitoring.markdown(found).splitlines()[6]
    for _ in range(100):
        state, value = alarm(world)
        if state == "ALARM":
            break
    assert (state, value) == ("ALARM", 1.0)


@pytest.mark.slow
def test_values_that_are_missing_or_wrong_and_rows_of_other_columns_are_told(world: Any, served: Any) -> None:
    project, dev, config = served
    rows: list[Any] = [{"age": age, "income": income} for age, income in numbers("now", 300)]
    for row in rows[:40]:
        row["age"] = None
    for row in rows[40:80]:
        row["income"] = "a lot"
    rows[80:120] = [{"height": 1.0}] * 40
    captured(world, config, rows)

    found = monitoring.monitor(project, dev)

    assert drifted(found) == {("age", "missing"), ("income", "invalid"), ("rows", "unread")}
    assert found.unread == 40


@pytest.mark.slow
def test_too_few_rows_are_no_verdict(world: Any, served: Any) -> None:
    project, dev, config = served
    captured(world, config, numbers("now", 90, shift=9.0))

    found = monitoring.monitor(project, dev)

    assert (found.judged, found.drifts, found.shifts) == (False, 0, [])
    assert monitoring.sentence(found) == "no verdict: 90 rows were captured; 100 are needed to say anything"


@pytest.mark.slow
def test_what_another_version_answered_and_what_is_older_is_not_looked_at(world: Any, served: Any) -> None:
    project, dev, config = served
    captured(world, config, numbers("now", 120))
    captured(world, config, numbers("old", 300, shift=5.0), hours_ago=30)
    captured(world, "churn-dev-v9-01234567", numbers("other", 300, shift=5.0))

    assert monitoring.monitor(project, dev).rows == 120
    assert monitoring.monitor(project, dev, hours=48).rows == 420


def test_requests_that_the_endpoint_itself_captured_are_read(world: Any, served: Any) -> None:
    project, dev, _ = served
    runtime = world.client(dev, "sagemaker-runtime")
    for age, income in numbers("now", 30):
        runtime.invoke_endpoint(EndpointName="churn-dev", Body=f"{age},{income}", ContentType="text/csv")
    few = project.model_copy(update={"monitoring": Monitoring(least_rows=30, output="score")})

    for _ in range(100):
        found = monitoring.monitor(few, dev)
        if found.rows == 30:
            break
    assert (found.rows, found.unread, found.judged) == (30, 0, True)


@pytest.mark.slow
def test_labels_that_come_later_are_held_against_the_evaluation(world: Any, served: Any, tmp_path: Path) -> None:
    project, dev, config = served
    source = random.Random(1)
    truth = [source.random() < 0.5 for _ in range(300)]
    project = project.model_copy(
        update={
            "comparison": Comparison.model_validate(
                {"positive": "yes", "metrics": [{"metric": "accuracy", "may_lose": 0.1}]}
            )
        }
    )
    captured(world, config, numbers("now", 300), scores=[source.random() for _ in truth])
    file = tmp_path / "labels.csv"
    words = ["yes" if each else "no" for each in truth]
    file.write_text("request,row,label\n" + "".join(f"1.0-{n // 10},{n % 10},{w}\n" for n, w in enumerate(words)))

    found = monitoring.monitor(project, dev, labels=file)

    measured = {each.metric: each for each in found.performance}
    # The evaluation had 0.98 to 1; scores that know nothing of the labels have 0.5.
    assert measured["roc_auc"].decayed and measured["roc_auc"].low < 0.5 < measured["roc_auc"].high
    assert measured["accuracy"].evaluated is None and not measured["accuracy"].decayed
    assert found.drifts >= 1 and "roc_auc is 0." in monitoring.sentence(found)

    file.write_text("request,label\nsomebody,yes\n")
    with pytest.raises(BadInput, match="none of the 1 labels"):
        monitoring.monitor(project, dev, labels=file)


@pytest.mark.slow
def test_a_baseline_that_was_changed_is_refused(world: Any, served: Any) -> None:
    project, dev, config = served
    captured(world, config, numbers("now", 300))
    s3 = world.client(dev, "s3")
    package = world.client(dev).list_model_packages(ModelPackageGroupName="churn-dev")["ModelPackageSummaryList"][0]
    uri = world.client(dev).describe_model_package(ModelPackageName=package["ModelPackageArn"])[
        "CustomerMetadataProperties"
    ]["baseline_uri"]
    key = uri.removeprefix(f"s3://{dev.bucket}/")
    before = s3.get_object(Bucket=dev.bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=dev.bucket, Key=key, Body=before.replace(b"0.1", b"0.2", 1))

    with pytest.raises(DigestMismatch, match="not the one that was registered"):
        monitoring.monitor(project, dev)
    s3.put_object(Bucket=dev.bucket, Key=key, Body=before)


@pytest.mark.slow
def test_where_there_is_nothing_to_look_at_it_says_why_and_that_is_no_failure(world: Any) -> None:
    project, dev = watched(world)
    assert "mlops deploy --env dev makes it" in monitoring.sentence(monitoring.monitor(project, dev))

    serve(world, project, dev, {"rows": 9, "columns": {"age": {"edges": [1, 2], "shares": [1]}}})

    assert "environments.dev.endpoint.capture" in monitoring.markdown(monitoring.monitor(project, world.dev))
    with pytest.raises(Failure, match=r"no baseline as prepare\.py writes it"):
        monitoring.monitor(project, dev)
