"""Batch: whole files through the newest approved version, held against what was sent, once for the same files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlops import storage
from mlops.checks import contract, verification
from mlops.compute import attempts, transforms
from mlops.compute.attempts import Job
from mlops.errors import BadInput, Failure, NotFound, NotVerified
from mlops.hosting import batch, deployment, invocations, logbook
from mlops.monitoring import records
from mlops.monitoring.records import FORMATS, Table
from mlops.registry import approval, history, packages, status
from mlops.settings.project import Environment
from mlops.settings.serving import Batch


def in_batch(environment: Environment, **given: Any) -> Environment:
    return environment.model_copy(update={"endpoint": Batch(kind="batch", **given)})


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """A file of requests, each with an answer of one row."""
    file = tmp_path / "requests.json"
    file.write_text('{"instances": [[1, 2]]}')
    return file


def test_a_deployment_makes_the_newest_approved_version_ready_and_no_endpoint(world: Any) -> None:
    dev = in_batch(world.dev)
    package = world.in_dev("first")
    world.forget_calls()

    made = deployment.deploy(world.settings, dev, world.progress)
    again = deployment.deploy(world.settings, dev, world.progress)

    assert (made.version, made.changed, again.changed) == (package.version, True, False)
    assert world.calls("CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint") == []
    (row,) = [each for each in status.status(world.settings_with(dev)) if each.environment == "dev"]
    assert (row.kind, row.serving, row.endpoint, row.endpoint_status) == ("batch", 1, "", "")
    told = [each for each in history.history(world.settings_with(dev)) if each.what == "deployed"]
    assert [(each.version, each.why) for each in told] == [(1, "for transform jobs")]
    with pytest.raises(BadInput, match="dev is of kind batch: mlops transform FILE --env dev"):
        invocations.predict(world.settings, dev, b"1,2", "text/csv", "text/csv")


def test_a_file_comes_back_with_as_many_rows_and_is_transformed_once(
    world: Any, requests: Path, tmp_path: Path
) -> None:
    dev = in_batch(world.dev)
    world.in_dev("first")
    world.forget_calls()

    first = batch.transform(world.settings, dev, str(requests), tmp_path / "answers", world.progress)
    again = batch.transform(world.settings, dev, str(requests), None, world.progress)

    assert json.loads((tmp_path / "answers" / "requests.json.out").read_text())["label"] == "first"
    assert first.rows == {"requests.json": 1}
    assert (first.version, first.changed, again.changed, again.output) == (1, True, False, first.output)
    assert first.job.startswith("churn-dev-batch-")
    assert again.job == first.job

    world.in_dev("second")
    newer = batch.transform(world.settings, dev, str(requests), None, world.progress)

    assert (newer.version, newer.changed) == (2, True)
    assert b'"second"' in storage.read(world.session(dev), f"{newer.output}requests.json.out")


def test_a_prefix_of_the_bucket_is_transformed_and_files_of_several_formats_are_not(world: Any) -> None:
    dev = in_batch(world.dev)
    world.in_dev("first")
    session, prefix = world.session(dev), f"s3://{dev.bucket}/cases/"
    for name in ("a.json", "more/b.json"):
        storage.write(session, f"{prefix}{name}", b'[{"x": 1}]')

    found = batch.transform(world.settings, dev, prefix, None, world.progress)

    assert found.rows == {"a.json": 1, "more/b.json": 1}
    one = batch.transform(world.settings, dev, f"{prefix}a.json", None, world.progress)
    assert (one.rows, one.changed) == ({"a.json": 1}, True)
    storage.write(session, f"{prefix}c.csv", b"1,2\n")
    with pytest.raises(BadInput, match=r"the input holds a\.json, c\.csv, more/b\.json; files of one of the formats"):
        batch.transform(world.settings, dev, prefix, None, world.progress)
    with pytest.raises(BadInput, match="nothing is there"):
        batch.transform(world.settings, dev, f"{prefix}none.json", None, world.progress)


def test_a_file_whose_name_begins_others_is_not_sent_with_them(world: Any) -> None:
    dev = in_batch(world.dev)
    world.in_dev("first")
    for name in ("day1.json", "day1.json.bak", "day1.json.gz"):
        storage.write(world.session(dev), f"s3://{dev.bucket}/days/{name}", b'[{"x": 1}]')
    world.forget_calls()

    with pytest.raises(BadInput, match=r"every key that begins so, day1\.json\.bak, day1\.json\.gz too: give the file"):
        batch.transform(world.settings, dev, f"s3://{dev.bucket}/days/day1.json", None, world.progress)

    assert world.calls("CreateTransformJob") == []


def test_a_key_that_leads_out_of_the_folder_for_answers_is_refused_before_a_job(world: Any, tmp_path: Path) -> None:
    dev = in_batch(world.dev)
    world.in_dev("first")
    storage.write(world.session(dev), f"s3://{dev.bucket}/in/../../out.json", b'[{"x": 1}]')
    world.forget_calls()

    with pytest.raises(BadInput, match=r"the input holds '\.\./\.\./out\.json', which is no path below .*rename it"):
        batch.transform(world.settings, dev, f"s3://{dev.bucket}/in/", tmp_path / "a" / "b", world.progress)

    assert world.calls("CreateTransformJob") == []
    assert list(tmp_path.iterdir()) == []


def test_a_job_of_another_input_whose_key_begins_alike_is_not_taken(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = in_batch(world.dev)
    world.in_dev("first")
    name_of = attempts.name_of
    monkeypatch.setattr(attempts, "name_of", lambda *given: name_of(*given[:3], "0" * 64, given[4]))
    found = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "rows.json").write_text(f'{{"instances": [[{number}, 2]]}}')
        found.append(batch.transform(world.settings, dev, str(folder / "rows.json"), None, world.progress))

    assert [each.job.rpartition("-")[2] for each in found] == ["1", "2"]
    assert all(each.changed for each in found)
    again = batch.transform(world.settings, dev, str(tmp_path / "1" / "rows.json"), None, world.progress)
    assert (again.job, again.changed) == (found[1].job, False)


def test_rows_that_are_missing_in_the_answers_are_a_failure(world: Any, tmp_path: Path) -> None:
    dev = in_batch(world.dev)
    world.in_dev("first")
    file = tmp_path / "two.json"
    file.write_text("[[1, 2], [3, 4]]")

    # The model answers any request with one object.
    with pytest.raises(Failure, match=r"two\.json\.out: 1 rows, 2 rows were sent from s3://"):
        batch.transform(world.settings, dev, str(file), None, world.progress)


def test_a_refusal_fails_the_job_with_what_its_log_says_and_the_next_run_is_another_attempt(
    world: Any, tmp_path: Path
) -> None:
    dev = in_batch(world.dev)
    world.in_dev("first")
    file = tmp_path / "bad.csv"
    file.write_text("bad\n")

    for attempt in (1, 2):
        with pytest.raises(Failure, match=rf"batch: job churn-dev-batch-\w+-{attempt} is Failed: ClientError") as told:
            batch.transform(world.settings, dev, str(file), None, world.progress)
        assert "column a is missing" in str(told.value)


def test_verify_sends_what_a_model_has_to_answer_through_jobs(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dev = in_batch(world.dev)
    world.in_dev("first")

    checks = contract.verify(world.settings, dev, world.progress)

    assert [(each.name, each.status) for each in checks] == [("a label comes back", 200)]
    assert any("1 of 2 requests" in line for line in world.said)
    broken = [
        each.model_copy(update={"body": "1,2\n3,4\n"}) for each in contract.read(world.settings.root / contract.FILE)
    ]
    monkeypatch.setattr(contract, "read", lambda file: broken[:1])
    with pytest.raises(Failure, match="a label comes back: 1 rows came back, 2 were sent"):
        contract.verify(world.settings, dev, world.progress)


def verified(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`mlops verify` in dev, as the action `deploy` runs it."""
    return subprocess.run(
        [sys.executable, "-m", "mlops", "verify", "--env", "dev", *options],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(Path(batch.__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_the_command_verifies_in_batch_and_rejects_what_fails(world: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(world.settings.root, tmp_path / "project", ignore=shutil.ignore_patterns("state")))
    text = (root / "mlops.yaml").read_text()
    served = "{instance_type: ml.m5.large, rollout: {kind: all_at_once, bake_seconds: 0}}"
    assert served in text
    (root / "mlops.yaml").write_text(text.replace(served, "{kind: batch}"))
    world.committed(root, "first")
    good = verified(root, "--or-rollback", "--json")

    assert good.returncode == 0, good.stderr
    found = json.loads(good.stdout)
    assert found["contract"] == [{"name": "a label comes back", "status": 200}]
    assert (found["endpoint"], found["own"], found["load"]) == ("churn-dev", [], None)
    assert "without the requests that are to be refused, checks of its own and load" in found["left_out"]

    world.committed(root, "raises")
    bad = verified(root, "--or-rollback")
    assert bad.returncode == 1
    assert "the model has no answer" in bad.stderr
    assert "rolled back to version 1; version 2 is now Rejected" in bad.stderr
    assert [(each.what, each.version) for each in logged(world)] == [("rolled back", 2)]

    (root / "tests" / "contract.yaml").write_text(
        (root / "tests" / "contract.yaml").read_text().replace("value: 0.5", "value: 0.7")
    )
    assert "score: 0.7 expected, got 0.5" in (again := verified(root, "--or-rollback").stderr)
    assert "version 1 is what a rollback has gone back to, and stays" in again
    deployment.rollback(world.settings, in_batch(world.dev), world.progress)
    assert [(each.what, each.version) for each in logged(world)] == [("rolled back", 2)]
    statuses = [each.status for each in packages.listing(world.session(world.dev), "churn-dev")]
    assert statuses == ["Rejected", "Approved"]


def logged(world: Any) -> list[logbook.Entry]:
    """What the logbook of dev says."""
    return list(logbook.entries(world.session(world.dev), world.dev.bucket, world.dev.endpoint_name))


def test_a_job_that_never_reached_the_model_says_nothing_of_it(world: Any) -> None:
    dev = in_batch(world.dev)
    package = world.in_dev("first")
    world.client(dev, "s3").delete_object(Bucket=dev.bucket, Key=package.artefact.removeprefix(f"s3://{dev.bucket}/"))

    with pytest.raises(Failure) as told:
        verification.verify_or_go_back(world.settings_with(dev), dev, world.progress)

    assert not isinstance(told.value, NotVerified)
    assert packages.describe(world.session(dev), package.arn).status == "Approved"


def test_a_rollback_leaves_the_newest_version_for_the_one_before(world: Any, requests: Path) -> None:
    dev = in_batch(world.dev)
    for label in ("first", "second", "third"):
        world.in_dev(label)

    back = deployment.rollback(world.settings, dev, world.progress)
    again = deployment.rollback(world.settings, dev, world.progress)

    assert [(each.version, each.changed) for each in (back, again)] == [(2, True), (2, False)]
    assert batch.transform(world.settings, dev, str(requests), None, world.progress).version == 2
    further = deployment.rollback(world.settings, dev, world.progress, to=1)
    assert (further.version, further.changed) == (1, True)
    approval.reject(world.settings, dev, by="somebody", why="wrong data", version=1)
    with pytest.raises(NotFound, match="churn-dev has no approved version"):
        deployment.rollback(world.settings, dev, world.progress)


def test_the_last_approved_version_is_not_left_for_nothing(world: Any) -> None:
    world.in_dev("first")

    with pytest.raises(NotFound, match="churn-dev: no approved version is older than 1"):
        deployment.rollback(world.settings, in_batch(world.dev), world.progress)


def test_an_endpoint_is_no_place_for_files(world: Any, requests: Path) -> None:
    with pytest.raises(BadInput, match=r"prod is not of kind batch: mlops predict --env prod asks its endpoint"):
        batch.transform(world.settings, world.prod, str(requests), None, world.progress)


def test_a_large_file_goes_in_parts_of_the_settings_size(world: Any) -> None:
    wanted = transforms.Wanted("model", "s3://b/in.csv", {"in.csv": "1"}, "text/csv", "text/csv", by_line=True)
    dev = in_batch(world.dev, payload_mb=20, concurrent=5, instances=2, instance_type="ml.c5.xlarge")

    asked = transforms.parameters(world.settings, dev, wanted, "name")

    assert (asked["MaxPayloadInMB"], asked["MaxConcurrentTransforms"], asked["BatchStrategy"]) == (20, 5, "MultiRecord")
    assert (asked["TransformInput"]["SplitType"], asked["TransformOutput"]["AssembleWith"]) == ("Line", "Line")
    assert asked["TransformResources"] == {"InstanceType": "ml.c5.xlarge", "InstanceCount": 2}
    whole = transforms.parameters(
        world.settings,
        dev,
        transforms.Wanted("m", "s3://b/a.json", {}, "application/json", "application/json", False),
        "n",
    )
    assert "SplitType" not in whole["TransformInput"]
    assert "BatchStrategy" not in whole


def test_a_job_whose_answers_are_gone_has_not_done_it(world: Any) -> None:
    place = f"s3://{world.dev.bucket}/batch/output/gone"
    job = Job("transform", "gone", "Completed", "", {"TransformOutput": {"S3OutputPath": place}})
    wanted = transforms.Wanted("m", "s3://b/in/", {"a.csv": "1", "b.csv": "2"}, "text/csv", "text/csv", by_line=True)
    session = world.session(world.dev)
    storage.write(session, f"{place}/a.csv.out", b"1\n")

    assert not transforms.is_whole(session, wanted, job)
    storage.write(session, f"{place}/b.csv.out", b"1\n")
    assert transforms.is_whole(session, wanted, job)


@pytest.mark.parametrize(
    ("ending", "text", "expected"),
    [
        (".csv", "a,b\n1,2\n3,4\n", (2, ["2 cells"])),
        (".csv", "1,2\n\n3,4\n\n", (2, ["2 cells"])),
        (".csv", "benign,0.1\nmalignant,0.9\n", (2, ["2 cells"])),
        (".csv", '"one, two",3\n4\n', (2, ["1 cells", "2 cells"])),
        (".csv", "yes\nno\n", (2, ["1 cells"])),
        (".jsonl", '{"a": 1}\n{"a": 2}\n{"b": 3}\n', (3, ["members a", "members b"])),
        (".json", '{"predictions": [{"a": 1}, {"a": 2}]}', (2, ["members a"])),
        (".json", "[\n[1, 2],\n[3, 4]\n]", (2, ["2 cells"])),
        (".json", '{"a": [1], "b": [2]}', None),
        (".csv", "", (0, [])),
    ],
)
def test_rows_are_counted_without_their_heading(ending: str, text: str, expected: Any) -> None:
    wanted = None if expected is None else Table(expected[0], frozenset(expected[1]))

    assert records.table(FORMATS[ending], text.splitlines()) == wanted
