"""A job that several runs wait for: whose cancellation stops it, and what becomes of the others then."""

import pytest

from mlops.compute import jobs, runs
from mlops.errors import Failure
from mlops.retraining.waiting import StillTraining


@pytest.fixture
def as_run(monkeypatch):
    """Makes this process part of a run of the workflow feature."""
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "team/churn")
    monkeypatch.setenv("GITHUB_WORKFLOW_REF", "team/churn/.github/workflows/feature.yml@refs/heads/feature/a")
    return lambda number: monkeypatch.setenv("GITHUB_RUN_ID", str(number))


@pytest.fixture
def begun(cloud, unseen, trained, progress, tmp_path, as_run):
    """The name of a training job that run 1 has started and left, and the file that it waits for."""
    go = unseen.gated(tmp_path)
    as_run(1)
    with pytest.raises(StillTraining) as left:
        jobs.run_pipeline(unseen.settings, unseen.feature, progress, until=0)
    yield left.value.job, go
    go.touch()


def ended(cloud, name: str) -> str:
    """How a training job has ended, or is about to."""
    return cloud.jobs()[name].replace("Stopping", "Stopped")


def test_a_job_of_another_run_that_is_stopped_is_followed_by_another_attempt(cloud, unseen, said, begun, as_run):
    name, go = begun
    as_run(2)

    def told(line: str) -> None:
        said.append(line)
        if "is at it already" in line:
            cloud.client("sagemaker").stop_training_job(TrainingJobName=name)
            go.touch()

    model = jobs.run_pipeline(unseen.settings, unseen.feature, told)

    assert ended(cloud, name) == "Stopped"
    assert model.training_job.endswith(f"{name.removesuffix('-1')}-2")


@pytest.mark.slow
def test_a_job_that_is_stopped_under_its_own_run_fails_that_run(cloud, unseen, begun):
    name, _ = begun

    def told(line: str) -> None:
        if line == f"{name}: training":
            cloud.client("sagemaker").stop_training_job(TrainingJobName=name)

    with pytest.raises(Failure, match=f"train: job {name} is Stopped"):
        jobs.run_pipeline(unseen.settings, unseen.feature, told)


def cancelled(line: str) -> None:
    """GitHub cancels the run while it waits for its training job."""
    if line.endswith(": training"):
        raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(1, "Stopped"), (2, "InProgress")], ids=["own", "other"])
def test_a_cancelled_run_stops_an_adopted_job_if_an_attempt_of_its_own_started_it(
    cloud, unseen, begun, as_run, number, status
):
    name, _ = begun
    as_run(number)

    with pytest.raises(KeyboardInterrupt):
        jobs.run_pipeline(unseen.settings, unseen.feature, cancelled)

    assert ended(cloud, name) == status


@pytest.mark.slow
def test_a_cancelled_run_leaves_a_job_that_another_run_was_first_to_start(
    cloud, unseen, trained, progress, tmp_path, as_run, monkeypatch
):
    go, whole, left = unseen.gated(tmp_path), runs.only_declared, []

    def late(*given):
        monkeypatch.setattr(runs, "only_declared", whole)
        as_run(1)
        with pytest.raises(StillTraining) as first:
            jobs.run_pipeline(unseen.settings, unseen.feature, progress, until=0)
        left.append(first.value.job)
        as_run(2)
        whole(*given)

    as_run(2)
    monkeypatch.setattr(runs, "only_declared", late)
    with pytest.raises(KeyboardInterrupt):
        jobs.run_pipeline(unseen.settings, unseen.feature, cancelled)

    assert ended(cloud, *left) == "InProgress"
    go.touch()
