"""`mlops run --env feature`: the pipeline of a commit as SageMaker jobs, none of them twice."""

import hashlib
import io
import json
import signal
import tarfile

import pytest

from mlops import aws, storage
from mlops.compute import attempts, jobs, runs
from mlops.compute.jobs import Metric
from mlops.errors import BadInput, Failure, NotFound
from mlops.registry import lineage
from mlops.retraining import waiting

KEY = "arn:aws:kms:eu-west-1:111111111111:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture
def run(cloud, unseen, progress):
    """Runs the small project's pipeline."""
    return lambda commit="HEAD": jobs.run_pipeline(unseen.settings, unseen.feature, progress, commit)


def started(said) -> list[str]:
    """The stages that jobs were started for, in order."""
    return [line.split(":")[0] for line in said if "starting job" in line]


def name_in(said, stage: str) -> str:
    """The job that was started for a stage."""
    return next(line.split()[-1] for line in said if line.startswith(f"{stage}: starting job"))


@pytest.fixture
def session(small):
    """A session of the account's administrator."""
    return aws.base(small.settings, small.feature)


def test_a_run_starts_a_job_for_each_stage_and_reads_what_was_measured(trained):
    assert started(trained.said) == ["prepare", "train", "evaluate"]
    assert trained.model.metrics == {"roc_auc": Metric(0.9, 0.8, 0.9)}
    assert trained.model.hyperparameters == {"C": "1.5", "name": "a b", "gate": ""}


def test_a_second_run_of_the_same_tree_starts_nothing_and_says_so(cloud, small, trained, said, progress):
    before = cloud.jobs()
    small.write("README.md", "other words, another commit\n")
    small.commit()

    assert jobs.run_pipeline(small.settings, small.feature, progress) == trained.model
    assert jobs.trained_model(small.settings, small.feature) == trained.model

    assert cloud.jobs() == before
    assert [line.split(",")[0] for line in said] == ["prepare: unchanged", "train: unchanged", "evaluate: unchanged"]


def test_the_artefact_is_what_the_script_wrote_and_its_digest_is_of_those_bytes(cloud, small, session, trained):
    model = trained.model
    content = storage.read(session, model.artefact)
    assert hashlib.sha256(content).hexdigest() == model.digest

    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        text = archive.extractfile("model.txt").read().decode()

    assert text.splitlines() == ["A,B", "1,2", '{"--C": "1.5", "--name": "a b", "--gate": ""}']
    assert model.dataset.endswith(f"/data/{lineage.of(small.settings).dataset}/")
    assert storage.read(session, model.baseline) == b"{}"
    assert storage.exists(session, f"{model.report}metrics.json")


def test_jobs_carry_their_key_and_what_the_settings_ask_for(cloud, trained):
    sagemaker = cloud.client("sagemaker")
    train = name_in(trained.said, "train")
    training = sagemaker.describe_training_job(TrainingJobName=train)
    processing = sagemaker.describe_processing_job(ProcessingJobName=name_in(trained.said, "prepare"))

    assert train == f"tumour-classifier-feature-train-{training['Environment']['MLOPS_STAGE_KEY'][:8]}-1"
    assert training["VpcConfig"] == {"Subnets": ["subnet-0a1b"], "SecurityGroupIds": ["sg-0c2d"]}
    assert training["EnableNetworkIsolation"] is True
    assert training["OutputDataConfig"]["KmsKeyId"] == training["ResourceConfig"]["VolumeKmsKeyId"] == KEY
    assert training["ResourceConfig"]["InstanceType"] == "ml.c5.xlarge"
    assert training["StoppingCondition"] == {"MaxRuntimeInSeconds": 900, "MaxWaitTimeInSeconds": 1200}
    assert training["EnableManagedSpotTraining"] is True
    assert training["CheckpointConfig"]["S3Uri"].endswith(f"/jobs/{train}/checkpoints/")
    assert training["RoleArn"] == "arn:aws:iam::111111111111:role/tumour-classifier-feature-execution"
    assert [(each["MetricName"], each["Value"]) for each in training["FinalMetricDataList"]] == [("rows", 2.0)]
    assert processing["NetworkConfig"] == {"EnableNetworkIsolation": True, "VpcConfig": training["VpcConfig"]}
    assert processing["ProcessingOutputConfig"]["KmsKeyId"] == KEY
    assert processing["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == KEY
    assert processing["ProcessingResources"]["ClusterConfig"]["InstanceType"] == "ml.m5.xlarge"
    assert processing["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}
    for arn in (training["TrainingJobArn"], processing["ProcessingJobArn"]):
        # The budget counts by one of them.
        assert {each["Key"]: each["Value"] for each in sagemaker.list_tags(ResourceArn=arn)["Tags"]} == {
            "team": "pathology",
            "mlops:project": "tumour-classifier",
            "mlops:environment": "feature",
            "mlops:costs": "tumour-classifier-feature",
        }


@pytest.mark.slow
def test_all_that_a_run_leaves_is_under_the_key_that_infra_makes(keyed, small, progress):
    key = keyed.client("kms").describe_key(KeyId="alias/tumour-classifier-feature")["KeyMetadata"]["Arn"]

    model = jobs.run_pipeline(small.settings, small.feature, progress)

    s3, bucket = keyed.client("s3"), small.feature.bucket
    names = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert {model.artefact, model.baseline, f"{model.report}metrics.json"} <= {
        f"s3://{bucket}/{each}" for each in names
    }
    sealed = {each: s3.head_object(Bucket=bucket, Key=each)["SSEKMSKeyId"] for each in names}
    assert sealed == dict.fromkeys(names, key)
    training = keyed.client("sagemaker").describe_training_job(TrainingJobName=model.training_job.rpartition("/")[2])
    assert training["ResourceConfig"]["VolumeKmsKeyId"] == key  # where an alias is no key


def test_a_job_gets_only_the_code_that_its_key_covers(cloud, session, trained):
    prefix = f"s3://tumour-classifier-feature-111111111111/jobs/{name_in(trained.said, 'prepare')}/code/"
    sent = storage.listing(session, prefix)
    assert set(sent) == {"tumour_classifier/__init__.py", "tumour_classifier/prepare.py"}


def test_a_failed_job_gives_its_reason_and_the_last_lines_of_its_log_and_the_next_run_tries_again(
    unseen, run, trained, said
):
    unseen.replace("params.yaml", "C: 1.5", "C: -1")
    unseen.commit()
    with pytest.raises(Failure) as failed:
        run()
    first, *log = str(failed.value).splitlines()
    assert first.startswith(f"train: job {name_in(said, 'train')} is Failed: AlgorithmError: C is below 0")
    assert log[-2:] == ["  | the last line of the log", "  | C is below 0"]

    said.clear()
    with pytest.raises(Failure):
        run()
    assert started(said) == ["train"]
    assert name_in(said, "train").endswith("-2")


@pytest.mark.slow
def test_a_changed_parameter_starts_the_stage_that_reads_it_and_those_after_it_only(unseen, run, trained, said):
    run()
    assert started(said) == ["train", "evaluate"]

    said.clear()
    unseen.replace("params.yaml", "value: 0.9", "value: 0.8")
    unseen.commit()
    assert run().metrics["roc_auc"].value == 0.8
    assert started(said) == ["evaluate"]


@pytest.mark.slow
def test_what_is_not_committed_is_refused_and_plays_no_part(cloud, unseen, run):
    commit = unseen.git("rev-parse", "HEAD")
    unseen.replace("params.yaml", "value: 0.9", "value: 0.1")
    unseen.write("src/tumour_classifier/train.py", "raise SystemExit('the work tree')\n")
    with pytest.raises(BadInput, match=r"params\.yaml"):
        run()

    assert run(commit).metrics["roc_auc"].value == 0.9


@pytest.mark.slow
@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"x" + content[1:]])
def test_an_artefact_that_was_cut_or_changed_is_refused_and_the_next_run_trains_again(
    cloud, unseen, run, session, said, damage
):
    model = run()
    storage.write(session, model.artefact, damage(storage.read(session, model.artefact)))

    with pytest.raises(NotFound, match="undamaged"):
        jobs.trained_model(unseen.settings, unseen.feature)

    said.clear()
    again = run()
    assert started(said)[0] == "train"
    assert again.artefact != model.artefact
    assert any("no longer what the job made" in line for line in said)


def test_a_tree_that_nobody_trained_says_what_to_do(cloud, unseen):
    with pytest.raises(NotFound, match="run `mlops run --env feature`"):
        jobs.trained_model(unseen.settings, unseen.feature)


@pytest.mark.slow
def test_a_job_of_another_key_under_the_same_name_is_not_taken(run, trained, said, monkeypatch):
    run()
    whole = runs.Run.key
    # The first eight digits are in the name; here two keys share them.
    monkeypatch.setattr(runs.Run, "key", lambda *given: whole(*given)[:8] + "0" * 56)
    said.clear()
    run()
    assert started(said) == ["prepare", "train", "evaluate"]
    assert name_in(said, "prepare").endswith("-2")


def test_names_of_jobs_keep_to_sagemakers_limit():
    name = attempts.name_of("a" * 30, "b" * 12, "long_stage_name", "0123456789abcdef", 999)
    assert len(name) <= 63
    assert name.endswith("-01234567-999")
    assert "long-s" in name


def until_training(process) -> str:
    """The name of the training job, once the runner says that it trains."""
    for line in process.stderr:
        if line.rstrip().endswith(": training"):
            return line.split(":")[0].strip()
    pytest.fail(f"no training job; the runner said: {process.stdout.read()}")


@pytest.mark.slow
def test_a_job_whose_runner_was_killed_is_adopted_by_the_next_run(cloud, unseen, run, said, tmp_path):
    go = unseen.gated(tmp_path)
    with unseen.mlops("run", "--env", "feature") as runner:
        name = until_training(runner)
        runner.send_signal(signal.SIGKILL)
    assert cloud.jobs()[name] == "InProgress"

    go.touch()
    model = run()

    assert model.training_job.endswith(name)
    assert started(said) == ["evaluate"]


@pytest.mark.slow
def test_two_runs_at_once_share_their_jobs(cloud, unseen, trained):
    before = set(cloud.jobs())
    runners = [unseen.mlops("run", "--env", "feature", "--json") for _ in range(2)]
    answers = [runner.communicate(timeout=120) for runner in runners]
    assert [runner.returncode for runner in runners] == [0, 0], answers
    assert json.loads(answers[0][0]) == json.loads(answers[1][0])
    assert len(set(cloud.jobs()) - before) == 2  # train, evaluate


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_cancelled_stops_the_job_that_it_started(cloud, unseen, tmp_path, number):
    unseen.gated(tmp_path)
    with unseen.mlops("run", "--env", "feature") as runner:
        name = until_training(runner)
        runner.send_signal(number)
        assert runner.wait(timeout=60) == 130
    waiter = cloud.client("sagemaker").get_waiter("training_job_completed_or_stopped")
    waiter.config.delay = 0.1
    assert waiter.wait(TrainingJobName=name) is None
    assert cloud.jobs()[name] == "Stopped"


@pytest.mark.slow
def test_the_real_pipeline_trains_a_good_model_from_a_folder_that_is_gone_afterwards(cloud, real, progress):
    model = jobs.run_pipeline(real.settings, real.feature, progress)
    assert 0.95 < model.metrics["roc_auc"].low <= model.metrics["roc_auc"].value <= 1
    assert list((real.path / ".mlops/checkouts").iterdir()) == []
    assert not (real.path / "model").exists()


def test_a_run_that_may_wait_no_longer_leaves_its_job_with_a_note_of_the_commit(
    cloud, unseen, trained, said, progress, tmp_path, session, monkeypatch
):
    go = unseen.gated(tmp_path)
    commit = unseen.git("rev-parse", "HEAD")
    monkeypatch.setenv("GITHUB_WORKFLOW_REF", "team/churn/.github/workflows/feature.yml@refs/heads/feature/ünd#so")

    with pytest.raises(Failure, match=r"train: job .*-1 is still at it .* training-finished goes on") as left:
        jobs.run_pipeline(unseen.settings, unseen.feature, progress, until=0)

    job = attempts.describe(session, "training", left.value.job)
    first = waiting.Waiting(commit, "feature.yml", "feature/ünd#so")
    assert waiting.of(session, job) == [first]
    # A second branch that is pushed at the same commit, and the same branch by another workflow.
    others = [waiting.Waiting(commit, "feature.yml", "fix/same"), waiting.Waiting(commit, "own.yml", first.branch)]
    for each in others:
        monkeypatch.setenv(
            "GITHUB_WORKFLOW_REF", f"team/churn/.github/workflows/{each.workflow}@refs/heads/{each.branch}"
        )
        waiting.note(session, job, commit)
    assert {*waiting.of(session, job)} == {first, *others}
    waiting.write(session, job, first.key, "")
    assert {*waiting.of(session, job)} == {*others}
    # Escaped it is longer than a tag's value may be, so that nobody would be told of this one.
    long = f"team/churn/.github/workflows/feature.yml@refs/heads/feature/{'ü' * 50}"
    monkeypatch.setenv("GITHUB_WORKFLOW_REF", long)
    with pytest.raises(Failure, match="run this one again: it goes on with it"):
        jobs.run_pipeline(unseen.settings, unseen.feature, progress, until=0)
    assert {*waiting.of(session, job)} == {*others}
    monkeypatch.setenv("GITHUB_WORKFLOW_REF", "team/churn/.github/workflows/feature.yml@refs/heads/feature/a")
    with pytest.raises(Failure, match="is still at it"):
        jobs.trained_model(unseen.settings, unseen.feature)
    go.touch()
    attempts.wait(session, job, progress)


@pytest.mark.slow
def test_a_job_that_failed_is_not_tried_again_by_the_run_that_its_end_has_started(unseen, run, trained, said, progress):
    unseen.replace("params.yaml", "C: 1.5", "C: -2")
    unseen.commit()
    with pytest.raises(Failure):
        run()
    before = said.copy()

    with pytest.raises(Failure, match=r"is Failed: (.|\n)*C is below 0"):
        jobs.run_pipeline(unseen.settings, unseen.feature, progress, after=name_in(said, "train"))
    with pytest.raises(Failure, match=r"is Failed: (.|\n)*C is below 0"):
        jobs.trained_model(unseen.settings, unseen.feature)

    assert started(said) == started(before)
