"""The prediction log: every captured prediction with the version that made it, as one Parquet data set."""

import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from mlops import storage
from mlops.errors import BadInput, Failure
from mlops.hosting import deployment, endpoints
from mlops.monitoring import captures, predictionlog
from mlops.monitoring.captures import Folder, Side
from mlops.settings.project import Environment
from mlops.settings.serving import Capture

ALL = Capture(percent=100, decision="label")


def capturing(environment: Environment, capture: Capture = ALL) -> Environment:
    assert environment.endpoint is not None
    return environment.model_copy(update={"endpoint": environment.endpoint.model_copy(update={"capture": capture})})


def until(happened: Callable[[], Any], wanted: Callable[[Any], bool], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not wanted(found := happened()):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


def ask(world: Any, environment: Environment, body: str, request: str) -> None:
    world.client(environment, "sagemaker-runtime").invoke_endpoint(
        EndpointName=environment.endpoint_name, Body=body, ContentType="text/csv", InferenceId=request
    )


def today() -> date:
    return datetime.now(UTC).date()


def logged(world: Any, environment: Environment, output: Path) -> list[dict[str, Any]]:
    """The log of yesterday and today, as a reader finds it."""
    predictionlog.write(world.settings, environment, today() - timedelta(days=1), today(), output, world.progress)
    rows = pyarrow.parquet.read_table(output).to_pylist() if output.exists() else []
    return sorted(rows, key=lambda row: str(row["request_id"]))


def test_the_log_has_what_each_version_was_asked_and_decided(world: Any, tmp_path: Path) -> None:
    dev = capturing(world.dev)
    packages = []
    for label in ("first", "second"):
        packages.append(world.in_dev(label))
        deployment.deploy(world.settings, dev, world.progress)
        ask(world, dev, "1,2", f"request-{label}")

    def own() -> list[dict[str, Any]]:
        """Without what other tests have asked this endpoint."""
        return [row for row in logged(world, dev, tmp_path / "log") if str(row["request_id"]).startswith("request-")]

    rows = until(own, lambda found: len(found) == 2)

    about = ("request_id", "version", "package", "inputs", "decision", "environment", "endpoint", "variant", "row")
    assert [tuple(row[name] for name in about) for row in rows] == [
        (f"request-{label}", number, package.arn, '["1", "2"]', label, "dev", "churn-dev", "model", 0)
        for number, (label, package) in enumerate(zip(("first", "second"), packages, strict=True), start=1)
    ]
    assert [json.loads(row["output"])["label"] for row in rows] == ["first", "second"]
    assert all(datetime.now(UTC) - row["time"] < timedelta(minutes=10) for row in rows)
    assert {str(row["date"]) for row in rows} == {row["time"].date().isoformat() for row in rows}
    assert own() == rows


def test_a_version_is_known_when_its_configuration_was_deleted(world: Any, tmp_path: Path) -> None:
    dev = capturing(world.dev)
    world.in_dev("first")
    deployment.deploy(world.settings, dev, world.progress)
    config = endpoints.state(world.session(dev), "churn-dev").config  # type: ignore[union-attr]
    ask(world, dev, "3,4", "kept")
    until(lambda: [row for row in logged(world, dev, tmp_path / "log") if row["request_id"] == "kept"], bool)

    endpoints.remove(world.session(dev), "churn-dev", world.progress)
    world.client(dev).delete_endpoint_config(EndpointConfigName=config)

    (row,) = [row for row in logged(world, dev, tmp_path / "log") if row["request_id"] == "kept"]
    assert (row["version"], row["package"].rpartition(":")[2]) == (1, "model-package/churn-dev/1")


def test_what_is_captured_counts_in_the_name_of_the_configuration(world: Any) -> None:
    package = world.in_dev("first")
    names = {
        endpoints.config_name(world.settings, environment, package)
        for environment in (
            world.dev,
            capturing(world.dev),
            capturing(world.dev, Capture(percent=10)),
            # What the log calls a decision changes nothing of the endpoint.
            capturing(world.dev, Capture(percent=10, decision="other")),
        )
    }

    assert len(names) == 3


def test_half_of_the_requests_are_captured_when_half_are_asked_for(world: Any, tmp_path: Path) -> None:
    dev = capturing(world.dev, Capture(percent=50))
    world.in_dev("first")
    deployment.deploy(world.settings, dev, world.progress)
    for number in range(8):
        ask(world, dev, "1,2", f"half-{number}")

    def halves() -> list[str]:
        return [row["request_id"] for row in logged(world, dev, tmp_path / "log") if "half" in row["request_id"]]

    assert len(until(halves, lambda found: len(found) >= 4)) == 4


def test_an_endpoint_that_never_captured_is_named_with_the_setting(world: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"churn-prod has captured nothing; give environments\.prod\.endpoint\.capture"):
        logged(world, world.prod, tmp_path / "log")
    with pytest.raises(BadInput, match="after --to"):
        predictionlog.write(
            world.settings, capturing(world.prod), today(), today() - timedelta(days=1), tmp_path, world.progress
        )


def test_a_day_ends_at_midnight_of_utc_and_not_where_its_folder_does(world: Any) -> None:
    session = world.session(world.prod)
    folder = Folder(f"s3://{world.prod.bucket}/captures/midnight/c/midnight/model/", "c", "model")
    for key, moment in (
        ("2026/03/01/23/a.jsonl", "2026-03-01T23:59:59Z"),
        ("2026/03/02/00/b.jsonl", "2026-03-01T23:59:58Z"),
        ("2026/03/02/00/c.jsonl", "2026-03-02T00:00:01Z"),
    ):
        about = {"eventId": key[-7], "inferenceTime": moment}
        one = {"observedContentType": "text/csv", "mode": "INPUT", "data": "a\u2028b", "encoding": "CSV"}
        line = {"captureData": {"endpointInput": one, "endpointOutput": one}, "eventMetadata": about}
        storage.write(session, f"{folder.uri}{key}", (json.dumps(line, ensure_ascii=False) + "\n\n").encode())
    first, second = date(2026, 3, 1), date(2026, 3, 2)

    assert captures.days(session, folder, first, second) == [first, second]
    quiet = Folder(f"s3://{world.prod.bucket}/captures/quiet/c/quiet/model/", "c", "model")
    storage.write(session, f"{quiet.uri}2026/04/01/00/d.jsonl", b"")
    storage.write(session, f"{quiet.uri}2026/04/02/01/e.jsonl", b"")
    # What March's last minutes were asked was written in April: that day has no folder of its own.
    assert captures.days(session, quiet, date(2026, 3, 1), date(2026, 3, 31)) == [date(2026, 3, 31)]
    assert captures.days(session, quiet, date(2026, 4, 1), date(2026, 4, 1)) == [date(2026, 4, 1)]
    assert captures.days(session, folder, date(2026, 3, 2), date(2026, 12, 31)) == [second]
    assert captures.days(session, folder, date(2025, 1, 1), date(2026, 2, 28)) == []
    assert {each.request for each in captures.of_day(session, folder, first)} == {"a", "b"}
    assert {each.request for each in captures.of_day(session, folder, second)} == {"c"}


def test_rows_of_a_configuration_that_was_pruned_keep_their_version_and_its_package(world: Any) -> None:
    session = world.session(world.prod)

    def served(config: str, variant: str) -> predictionlog.Served:
        return predictionlog.served_by(session, world.prod, Folder("", config, variant))

    arn = "arn:aws:sagemaker:eu-west-1:222222222222:model-package/churn-prod/7"
    assert served("churn-prod-v7-0123abcd", "model") == predictionlog.Served(7, arn)
    assert served("churn-prod-s-v7-0123abcd", "model") == predictionlog.Served(7, arn)
    assert served("churn-prod-s-v7-0123abcd", "churn-prod-v8-4567cdef") == predictionlog.Served(
        8, arn.replace("/7", "/8")
    )
    assert served("churn-prod-s-v7-0123abcd", "of-somebody") == predictionlog.Served(None, None)
    assert served("by-hand", "model") == predictionlog.Served(None, None)


def test_a_line_that_is_no_capture_is_named() -> None:
    with pytest.raises(Failure, match="s3://bucket/key line 3: no captured request"):
        captures.parsed(Folder("s3://bucket/", "c", "model"), '{"captureData": {}}', "s3://bucket/key line 3")


def text(body: str, kind: str = "application/json") -> Side:
    return Side(kind, body, is_text=True)


@pytest.mark.parametrize(
    ("asked", "answered", "expected"),
    [
        (text("1,2\n3,4\n", "text/csv"), text("a,0.1\nb,0.2\n", "text/csv; charset=utf-8"),
         [(["1", "2"], ["a", "0.1"]), (["3", "4"], ["b", "0.2"])]),
        (text("x,y\n1,2\n", "text/csv"), text('{"predictions": [{"label": "a"}]}'),
         [({"x": "1", "y": "2"}, {"label": "a"})]),
        (text('{"instances": [{"x": 1}, {"x": 2}]}'), text("[0.1, 0.2]"), [({"x": 1}, 0.1), ({"x": 2}, 0.2)]),
        (text('{"x": 1}\n{"x": 2}\n', "application/jsonlines"), text("[0.1, 0.2]"), [({"x": 1}, 0.1), ({"x": 2}, 0.2)]),
        (text("1,2", "text/csv"), text('{"label": "a"}'), [(["1", "2"], {"label": "a"})]),
        (text('{"a": [1], "b": [2]}'), text("[1]"), [('{"a": [1], "b": [2]}', "[1]")]),
        (text("[1, 2, 3]"), text("[1]"), [("[1, 2, 3]", "[1]")]),
        (text('{"x": "a\u2028b"}\n{"x": 2}\n', "application/jsonlines"), text("a\u2028b\r\nc\n", "text/csv"),
         [({"x": "a\u2028b"}, ["a\u2028b"]), ({"x": 2}, ["c"])]),
        (text("[" * 100_000), text("[1]"), [("[" * 100_000, "[1]")]),
        (text("a" * 200_000, "text/csv"), text("[1]"), [("a" * 200_000, "[1]")]),
        (Side("image/png", "iVBOR", is_text=False), text("[1]"), [("iVBOR", "[1]")]),
    ],
    ids=["csv", "csv with names", "json", "lines of json", "an object", "two arrays", "other numbers",
         "ends of lines for Python only", "too deep", "too long a cell", "no text"],
)  # fmt: skip
def test_each_row_of_a_request_is_a_prediction(asked: Side, answered: Side, expected: list[Any]) -> None:
    assert predictionlog.pairs(asked, answered) == expected


@pytest.mark.parametrize(
    ("output", "capture", "expected"),
    [
        ({"label": "malignant", "probability": 0.9}, Capture(percent=1, decision="label"), "malignant"),
        ({"approve": True}, Capture(percent=1, decision="approve"), "true"),
        (["malignant", "0.9"], Capture(percent=1, decision="label", decision_column=0), "malignant"),
        ({"probability": 0.9}, Capture(percent=1, decision="label"), None),
        (["0.9"], Capture(percent=1, decision_column=1), None),
        (0.9, Capture(percent=1, decision="label"), None),
        ({"label": "malignant"}, None, None),
    ],
)
def test_a_decision_is_what_the_settings_call_one(output: Any, capture: Capture | None, expected: str | None) -> None:
    assert predictionlog.decision(output, capture) == expected
