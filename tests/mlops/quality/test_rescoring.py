"""What serves is asked again when the test set has changed: once, by its own code, in its own image."""

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops import access, storage
from mlops.cli import model as model_commands
from mlops.compute import attempts, jobs, runs
from mlops.errors import DigestMismatch, Failure
from mlops.quality import gate
from mlops.registry import lineage, packages, promotion, registration
from mlops.registry.packages import ModelPackage
from mlops.retraining import waiting
from mlops.retraining.waiting import StillTraining
from mlops.settings import project as settings

SCORE = """
import argparse, csv, os, sys, tarfile
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--digest")
parser.parse_args()
with tarfile.open(Path(os.environ["SM_CHANNEL_MODEL"], "model.tar.gz")) as files:
    (label,) = [each for each in files if each.name.endswith("label")]
    quality = files.extractfile(label).read().decode()
if quality == "stubborn":
    sys.exit("column age is gone")
sure = {"good": 0.9, "bad": 0.4}[quality]
with Path(os.environ["SM_CHANNEL_PREPARED"], "test.parquet").open() as file:
    rows = [line.split(",") for line in file.read().splitlines()]
with Path(os.environ["SM_OUTPUT_DATA_DIR"], "predictions.csv").open("w") as file:
    lines = csv.writer(file)
    lines.writerow(["row", "label", "probability"])
    lines.writerows([row, label, sure if label == "yes" else 1 - sure] for row, label in rows)
"""

OLD, NEW = range(200), range(100, 300)
SURE = {"good": 0.9, "bad": 0.4, "stubborn": 0.9}


def rows(numbers: range) -> bytes:
    """A test set, as the small score.py reads it."""
    return "".join(f"r{n},{'yes' if n % 3 else 'no'}\n" for n in numbers).encode()


def predicted(quality: str, numbers: range) -> bytes:
    """What the evaluation of a model wrote."""
    sure = SURE[quality]
    lines = [f"r{n},yes,{sure}" if n % 3 else f"r{n},no,{1 - sure}" for n in numbers]
    return "\n".join(["row,label,probability", *lines, ""]).encode()


class Team:
    """Registers models of a quality, measured on a test set."""

    def __init__(self, world: Any, root: Path) -> None:
        self.world, self.settings = world, settings.load(root)

    def register(self, quality: str, numbers: range, after: str = "") -> ModelPackage:
        world, session = self.world, self.world.session(self.world.feature)
        lineage = dataclasses.replace(world.lineage(), commit=git(self.settings.root, "rev-parse", "HEAD"))
        home = f"s3://churn-feature-111111111111/jobs/{lineage.fingerprint}"
        storage.write(session, f"{home}/report/predictions.csv", predicted(quality, numbers))
        storage.write(session, f"{home}/prepared/test.parquet", rows(numbers))
        model = dataclasses.replace(world.model(quality), report=f"{home}/report/", prepared=f"{home}/prepared/")
        return registration.register(
            self.settings, world.feature, model, lineage, "", "somebody", world.progress, after
        )

    def promote(self, package: ModelPackage, environment: Any) -> ModelPackage:
        (found,) = promotion.promote(self.settings, environment, package.fingerprint, self.world.progress)
        return self.world.verified(found) if environment == self.world.dev else found

    def started(self) -> set[str]:
        """The processing jobs that were started since the record of calls began; a call is there for each right."""
        calls = self.world.server.control("GET", "calls")
        return {call["resource"] for call in calls if call["operation"] == "CreateProcessingJob"}

    def jobs(self, environment: Any) -> list[dict[str, Any]]:
        """The scoring jobs of an environment since the record of calls began."""
        sagemaker, started = self.world.client(environment), self.started()
        found = sagemaker.list_processing_jobs(MaxResults=100)["ProcessingJobSummaries"]
        scoring = [each for each in found if each["ProcessingJobName"].startswith(f"churn-{environment.name}-score-")]
        newest = sorted(scoring, key=lambda each: each["CreationTime"])[-len(started) :] if started else []
        names = [each["ProcessingJobName"] for each in newest]
        return [sagemaker.describe_processing_job(ProcessingJobName=name) for name in names]

    def decision(self, package: ModelPackage, environment: Any) -> Any:
        return json.loads(storage.read(self.world.session(environment), package.metadata["gate_uri"]))


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    done = subprocess.run(["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def team(world: Any, tmp_path: Path) -> Team:
    """A team whose package has a score.py of this test's own: no two tests have the same jobs."""
    root = Path(shutil.copytree(world.settings.root, tmp_path / "project", ignore=shutil.ignore_patterns("state")))
    text = (root / "mlops.yaml").read_text()
    asked = "{positive: 'yes', resamples: 400, metrics: [{metric: log_loss, may_lose: 0.05}]}"
    (root / "mlops.yaml").write_text(f"{text}comparison: {asked}\n")
    (root / "src" / "churn").mkdir(parents=True)
    (root / "src" / "churn" / "__init__.py").write_text("")
    (root / "src" / "churn" / "score.py").write_text(f"# {tmp_path}\n{SCORE}")
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "first")
    return Team(world, root)


def test_on_changed_data_what_serves_is_asked_once_and_every_gate_compares_all_rows(team: Team, world: Any) -> None:
    team.promote(team.register("bad", OLD), world.dev)
    world.forget_calls()

    second = team.register("good", NEW)
    dev = team.promote(second, world.dev)

    (job,) = team.jobs(world.feature)
    assert (job["ProcessingJobStatus"], job["RoleArn"].rpartition("/")[2]) == ("Completed", "churn-feature-execution")
    name = job["ProcessingJobName"]
    assert second.metadata["gate_answers"] == f"scored anew on this test set by job {name}"
    assert dev.metadata["gate_answers"] == "scored anew on this test set by the job of an earlier gate"
    for package, environment in ((second, world.feature), (dev, world.dev)):
        found = team.decision(package, environment)
        assert (found["rows"], found["common"]) == (200, 200)
        (judgement,) = found["judgements"]
        assert (judgement["serving"], judgement["word"]) == (pytest.approx(0.9162907), "better")


@pytest.mark.slow
def test_a_gate_whose_job_outlasts_the_session_leaves_it_to_be_taken_up(
    team: Team, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, score = tmp_path / "go", team.settings.root / "src" / "churn" / "score.py"
    score.write_text(f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)\n{SCORE}")
    git(team.settings.root, "commit", "--quiet", "--all", "--message", "slower")
    team.promote(team.register("bad", OLD), world.dev)
    monkeypatch.setenv("GITHUB_WORKFLOW_REF", "team/churn/.github/workflows/feature.yml@refs/heads/feature/a")
    monkeypatch.setenv(access.WAITS_UNTIL, "1")

    with pytest.raises(StillTraining, match="the workflow training-finished goes on with it") as left:
        team.register("good", NEW)

    session = world.session(world.feature)
    job = attempts.describe(session, "processing", left.value.job)
    assert job is not None
    commit = git(team.settings.root, "rev-parse", "HEAD")
    assert waiting.of(session, job) == [waiting.Waiting(commit, "feature.yml", "feature/a")]
    go.touch()
    attempts.wait(session, job, world.progress)
    package = team.register("good", NEW, after=left.value.job)
    assert package.metadata["gate_answers"].endswith(left.value.job)


def test_where_nobody_is_told_of_a_jobs_end_its_run_is_to_be_run_again(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = attempts.Job("processing", "churn-prod-score-01234567-1", "InProgress", "", {})
    monkeypatch.setattr(attempts, "describe", lambda *given: job)
    monkeypatch.setattr(waiting, "note", lambda *given: pytest.fail("a note that nobody reads"))
    run = SimpleNamespace(recipe=world.settings, environment=world.prod, session=None)

    with pytest.raises(StillTraining, match="when the job has ended, run this one again: it goes on with it"):
        runs.left(run, SimpleNamespace(name="score"), job)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_gate_that_is_taken_up_after_its_job_has_failed_starts_none(team: Team, world: Any) -> None:
    team.promote(team.register("stubborn", OLD), world.dev)
    world.forget_calls()
    team.register("good", NEW)
    (job,) = team.jobs(world.feature)
    world.forget_calls()

    package = team.register("good", NEW, after=job["ProcessingJobName"])

    assert world.calls("CreateProcessingJob") == []
    assert "can not answer the new test set" in package.metadata["gate_answers"]


def test_on_the_same_test_set_nothing_is_started(team: Team, world: Any) -> None:
    team.promote(team.register("bad", OLD), world.dev)
    world.forget_calls()

    second = team.register("good", OLD)
    dev = team.promote(second, world.dev)

    assert world.calls("CreateProcessingJob") == []
    assert {each.metadata["gate_answers"] for each in (second, dev)} == {"its stored answers: the test set is the same"}


def test_a_worse_model_on_changed_data_is_refused_and_asking_again_costs_nothing(team: Team, world: Any) -> None:
    team.promote(team.register("good", OLD), world.dev)
    world.forget_calls()

    for _ in range(2):
        with pytest.raises(Failure, match=r"the gate refuses this model: log_loss is worse against what serves"):
            team.register("bad", NEW)

    assert len(team.started()) == 1


def test_production_asks_its_own_model_under_its_own_role_in_its_own_image(team: Team, world: Any) -> None:
    first = team.register("bad", OLD)
    team.promote(first, world.dev)
    prod = team.promote(first, world.prod)
    packages.set_status(world.session(world.prod), prod, "Approved", "")
    # Another one serves in dev by now: what it answered is of no use to production.
    team.promote(team.register("good", OLD), world.dev)
    third = team.register("good", NEW)
    team.promote(third, world.dev)
    world.forget_calls()

    waiting = team.promote(third, world.prod)

    (job,) = team.jobs(world.prod)
    inputs = {each["InputName"]: each["S3Input"]["S3Uri"] for each in job["ProcessingInputs"]}
    assert inputs["model"] == prod.artefact
    assert all(uri.startswith("s3://churn-prod-222222222222/") for uri in inputs.values())
    assert (job["RoleArn"], job["AppSpecification"]["ImageUri"]) == (world.prod.execution_role, prod.image)
    assert waiting.metadata["gate_answers"].endswith(job["ProcessingJobName"])
    assert team.decision(waiting, world.prod)["common"] == 200


def test_a_model_that_can_not_answer_new_rows_does_not_stop_the_next_one(team: Team, world: Any) -> None:
    team.promote(team.register("stubborn", OLD), world.dev)

    second = team.register("good", NEW)

    found = team.decision(second, world.feature)
    assert "it can not answer the new test set" in found["answers"]["how"]
    assert found["note"].startswith("not compared with churn-dev version 1: it has predicted 100 of the 200 rows")


def test_an_artefact_that_is_no_longer_what_was_registered_is_not_asked(team: Team, world: Any) -> None:
    first = team.register("good", OLD)
    team.promote(first, world.dev)
    storage.write(world.session(world.feature), first.artefact, b"something else")

    with pytest.raises(DigestMismatch, match=f"{first.digest} was registered"):
        team.register("good", NEW)


def test_a_report_starts_no_job(team: Team, world: Any) -> None:
    team.promote(team.register("good", OLD), world.dev)
    session, home = world.session(world.feature), "s3://churn-feature-111111111111/jobs/reported"
    storage.write(session, f"{home}/predictions.csv", predicted("good", NEW))
    storage.write(session, f"{home}/test.parquet", rows(NEW))
    model = dataclasses.replace(world.model("good"), report=f"{home}/", prepared=f"{home}/")
    lineage = dataclasses.replace(world.lineage(), commit=git(team.settings.root, "rev-parse", "HEAD"))
    world.forget_calls()

    found = gate.of_trained(session, team.settings, world.feature, model, lineage, world.progress, start=False)

    assert world.calls("CreateProcessingJob") == []
    assert found.answers is not None
    assert found.answers.how.endswith("no job has scored it on the new test set yet")


def test_a_registration_that_waits_no_longer_ends_well_and_has_nothing_run_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = attempts.Job("processing", "churn-feature-score-01234567-1", "InProgress", "", {})

    def register(*given: Any) -> None:
        assert given[-1] == "ended"
        raise StillTraining("score", job)

    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    monkeypatch.setattr(model_commands, "opened", lambda env, serves: (SimpleNamespace(project="churn"), None))
    monkeypatch.setattr(lineage, "of", lambda project: None)
    monkeypatch.setattr(jobs, "trained_model", lambda project, environment: None)
    monkeypatch.setattr(registration, "register", register)

    model_commands.register(after="ended")

    assert (tmp_path / "outputs").read_text() == "trained=false\n"
    assert capsys.readouterr().out.startswith(f"still training: score: job {job.name} is still at it")
