"""Processing jobs copy inputs in and outputs out, with every path as the container knows it."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

COPIES = """
import os, sys
from pathlib import Path
rows = Path(os.environ["SM_CHANNEL_ROWS"], "rows.csv").read_text()
Path("/opt/ml/processing/output/deep").mkdir()
Path("/opt/ml/processing/output/deep/copy.txt").write_text(rows + " ".join(sys.argv[1:]))
"""


def test_outputs_are_uploaded_with_their_folders(world):
    rows = world.put("data/process/rows.csv", "1,2\n")
    out = f"s3://{world.bucket}/jobs/copies"

    world.process(
        "copies",
        COPIES,
        inputs={"rows": (rows, "/opt/ml/processing/input/rows")},
        outputs={"out": (out, "/opt/ml/processing/output")},
        arguments=["--to", "/opt/ml/processing/x"],
        Environment={"SM_CHANNEL_ROWS": "/opt/ml/processing/input/rows"},
    )
    job = world.finished("copies", "processing")
    text = world.s3.get_object(Bucket=world.bucket, Key="jobs/copies/deep/copy.txt")["Body"].read().decode()

    assert job["ProcessingJobStatus"] == "Completed", job
    assert text.startswith("1,2\n--to ") and text.endswith("/processing/x")


def test_data_that_mentions_the_containers_root_is_left_as_it_is(world):
    rows = world.put("data/mentions/rows.csv", "/opt/ml/model\n")
    out = f"s3://{world.bucket}/jobs/mentions"

    world.process(
        "mentions",
        COPIES,
        inputs={"rows": (rows, "/opt/ml/processing/input/rows")},
        outputs={"out": (out, "/opt/ml/processing/output")},
        Environment={"SM_CHANNEL_ROWS": "/opt/ml/processing/input/rows"},
    )
    world.finished("mentions", "processing")
    text = world.s3.get_object(Bucket=world.bucket, Key="jobs/mentions/deep/copy.txt")["Body"].read()

    assert text == b"/opt/ml/model\n"


def test_a_failing_job_uploads_nothing_and_says_why(world):
    out = f"s3://{world.bucket}/jobs/half"
    script = "open('/opt/ml/processing/output/half.txt', 'w').write('half')\nraise KeyError('column radius')"

    world.process("half", script, outputs={"out": (out, "/opt/ml/processing/output")})
    job = world.finished("half", "processing")

    assert job["ProcessingJobStatus"] == "Failed"
    assert "KeyError: 'column radius'" in job["FailureReason"]
    assert "Contents" not in world.s3.list_objects_v2(Bucket=world.bucket, Prefix="jobs/half/")
    assert world.log("half", "/aws/sagemaker/ProcessingJobs")[-1] == "KeyError: 'column radius'"


def test_a_processing_job_is_stopped(world):
    world.process("halts", "import time\ntime.sleep(600)")
    world.until(lambda: [each for each in world.processes() if "run.py" in each], len)

    world.sagemaker.stop_processing_job(ProcessingJobName="halts")

    assert world.finished("halts", "processing")["ProcessingJobStatus"] == "Stopped"


def test_paths_outside_of_the_containers_folder_are_refused(world):
    with pytest.raises(ClientError, match="must be below /opt/ml/processing"):
        world.process("outside", "pass", outputs={"out": (f"s3://{world.bucket}/x", "/etc")})
