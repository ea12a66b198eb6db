"""Training jobs run scripts under SageMaker's contract, see only their inputs, and say why they fail."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

SKLEARN = """
import argparse, os, joblib, pandas
from sklearn.linear_model import LogisticRegression
parser = argparse.ArgumentParser()
parser.add_argument("--C", type=float)
given = parser.parse_args()
rows = pandas.read_parquet(os.environ["SM_CHANNEL_ROWS"]) if 0 else pandas.read_csv(
    os.path.join(os.environ["SM_CHANNEL_ROWS"], "rows.csv"))
model = LogisticRegression(C=given.C).fit(rows[["x"]].values, rows["y"])
joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))
open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "notes.txt"), "w").write("C=%s" % given.C)
print("score=0.25")
print("score=%.2f" % model.score(rows[["x"]].values, rows["y"]))
"""


def test_a_model_is_trained_with_metrics_log_and_artefacts(world):
    rows = world.put("data/train/rows.csv", "x,y\n0,0\n1,0\n2,1\n3,1\n")

    world.train("sklearn", SKLEARN, channels={"rows": rows}, parameters={"C": "10.0"})
    job = world.finished("sklearn")

    assert job["TrainingJobStatus"] == "Completed"
    assert [(each["MetricName"], each["Value"]) for each in job["FinalMetricDataList"]] == [("score", 1.0)]
    artefact = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert artefact == f"s3://{world.bucket}/jobs/sklearn/output/model.tar.gz"
    assert list(world.unpacked(artefact)) == ["model.joblib"]
    assert world.unpacked(artefact.replace("model.tar", "output.tar")) == {"notes.txt": b"C=10.0"}
    assert world.log("sklearn") == ["score=0.25", "score=1.00"]
    phases = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert phases == ["Starting", "Downloading", "Training", "Uploading"]


def test_a_job_has_the_contracts_variables_and_nothing_else(world, monkeypatch):
    world.train("variables", "import json, os, sys\nprint(json.dumps([dict(os.environ), sys.path, os.getcwd()]))")
    world.finished("variables")

    variables, path, folder = json.loads(world.log("variables")[0])

    assert variables["SM_MODEL_DIR"] == "/opt/ml/model"
    assert variables["TRAINING_JOB_NAME"] == "variables"
    assert folder == "/opt/ml/code"
    assert {name for name in variables if name.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
    }
    assert "PYTHONPATH" not in variables and "CI" not in variables
    # Neither the sandbox nor the project that it belongs to can be imported.
    assert not [each for each in path if "cookiecutter" in each]


@pytest.mark.parametrize("module", ["sandbox", "mlops"])
def test_a_job_that_reads_the_repository_fails(world, module):
    world.train(f"reads-{module}", f"import {module}")

    job = world.finished(f"reads-{module}")

    assert job["TrainingJobStatus"] == "Failed"
    assert f"No module named '{module}'" in job["FailureReason"]


def test_a_failing_script_gives_its_last_lines(world):
    world.train("fails", "import sys\nprint('before')\nraise ValueError('C must be positive')")

    job = world.finished("fails")

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError: ExitCode 1")
    assert job["FailureReason"].endswith("ValueError: C must be positive")
    assert "ModelArtifacts" not in job or not job["ModelArtifacts"].get("S3ModelArtifacts")
    assert "before" in world.log("fails")


def test_a_script_may_write_its_own_reason_of_failure(world):
    world.train("reasons", "open('/opt/ml/output/failure', 'w').write('no rows in /opt/ml/input')\nraise SystemExit(3)")

    reason = world.finished("reasons")["FailureReason"]

    assert reason == "AlgorithmError: no rows in /opt/ml/input, exit code: 3"


def test_an_input_that_is_not_there_is_named(world):
    world.train("empty", "pass", channels={"rows": f"s3://{world.bucket}/data/nothing/"})

    reason = world.finished("empty")["FailureReason"]

    assert f'No S3 objects found under S3 URL "s3://{world.bucket}/data/nothing/"' in reason


def test_a_job_reads_with_its_role_only(world):
    foreign = f"tumour-dev-{world.account}"
    world.s3.put_object(Bucket=foreign, Key="secret/rows.csv", Body="1")

    world.train("foreign", "pass", channels={"rows": f"s3://{foreign}/secret/"})

    assert "AccessDenied" in world.finished("foreign")["FailureReason"]


def test_two_forks_draw_different_numbers(world):
    for name in ("draws-a", "draws-b"):
        world.train(name, "import numpy, random\nprint(numpy.random.rand(), random.random())")
        world.finished(name)

    assert world.log("draws-a") != world.log("draws-b")


def test_stopping_ends_the_scripts_process_group(world):
    script = (
        "import subprocess, time\nprint('running', flush=True)\nsubprocess.Popen(['sleep', '600'])\ntime.sleep(600)"
    )
    world.train("stops", script)
    world.until(lambda: [each for each in world.processes() if "sleep" in each], len)

    world.sagemaker.stop_training_job(TrainingJobName="stops")
    job = world.finished("stops")

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert not [each for each in world.processes() if "sleep" in each]
    with pytest.raises(ClientError, match="status Stopped"):
        world.sagemaker.stop_training_job(TrainingJobName="stops")


def test_a_job_ends_when_its_time_is_over(world):
    world.train("slow", "import time\ntime.sleep(600)", seconds=1)

    job = world.finished("slow")

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_names_are_used_once(world):
    world.train("once", "pass")

    with pytest.raises(ClientError) as caught:
        world.train("once", "pass")

    assert caught.value.response["Error"]["Code"] == "ResourceInUse"


def test_a_role_that_does_not_trust_sagemaker_is_refused(world):
    with pytest.raises(ClientError, match="Could not assume role"):
        world.train("untrusted", "pass", role=f"arn:aws:iam::{world.account}:role/tumour-feature-train")


def test_spot_training_needs_a_wait_that_covers_the_run(world):
    with pytest.raises(ClientError, match="MaxWaitTimeInSeconds must be given"):
        world.train("spot", "pass", EnableManagedSpotTraining=True)


def test_jobs_are_listed_newest_first(world):
    for name in ("list-a", "list-b"):
        world.train(name, "pass")
        world.finished(name)

    listed = world.sagemaker.list_training_jobs(NameContains="list-", StatusEquals="Completed")

    assert [each["TrainingJobName"] for each in listed["TrainingJobSummaries"]] == ["list-b", "list-a"]
