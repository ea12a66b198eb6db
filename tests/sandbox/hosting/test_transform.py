"""Transform jobs: whole files through a model, refused and failed for the service's reasons."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from botocore.exceptions import ClientError

DOUBLES = """
class Refused:
    status, response, mimetype = 400, "no number", "text/plain"
def model_fn(folder):
    return 2
def transform_fn(model, body, content_type, accept):
    lines = body.split()
    if "wait" in lines:
        import time; time.sleep(30)
    if "none" in lines:
        return Refused()
    if "raise" in lines:
        raise RuntimeError("broken")
    answers = [str(model * int(line)) for line in lines]
    return "requests:1 " + ",".join(answers), accept
"""


class Transforms:
    """What these tests do with transform jobs."""

    def __init__(self, hosting: Any) -> None:
        self.hosting, self.sagemaker = hosting, hosting.sagemaker
        self.model = hosting.model(script=DOUBLES)

    def start(self, files: dict[str, bytes], content: dict[str, str] | None = None, **given: Any) -> str:
        """Put files below a prefix and start a job that reads them."""
        name = self.hosting.name("transform")
        world = self.hosting.world
        for path, body in files.items():
            world.s3.put_object(Bucket=world.bucket, Key=f"in/{name}/{path}", Body=body)
        uri = f"s3://{world.bucket}/in/{name}/"
        self.sagemaker.create_transform_job(
            **{
                "TransformJobName": name,
                "ModelName": self.model,
                "TransformInput": {
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
                    "ContentType": "text/csv",
                    **(content or {}),
                },
                "TransformOutput": {"S3OutputPath": f"s3://{world.bucket}/batch/output/{name}", "Accept": "text/csv"},
                "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
                **given,
            }
        )
        return str(name)

    def ended(self, name: str) -> dict[str, Any]:
        """A job's description at its end."""
        return dict(
            self.hosting.world.until(
                lambda: self.sagemaker.describe_transform_job(TransformJobName=name),
                lambda job: job["TransformJobStatus"] in ("Completed", "Failed", "Stopped"),
            )
        )

    def output(self, name: str) -> dict[str, str]:
        """What a job wrote, by key below its output."""
        world = self.hosting.world
        prefix = f"batch/output/{name}/"
        found = world.s3.list_objects_v2(Bucket=world.bucket, Prefix=prefix).get("Contents", [])
        return {
            each["Key"].removeprefix(prefix): world.s3.get_object(Bucket=world.bucket, Key=each["Key"])["Body"]
            .read()
            .decode()
            for each in found
        }


@pytest.fixture(scope="module")
def transforms(hosting: Any) -> Transforms:
    return Transforms(hosting)


def test_each_file_of_a_prefix_has_its_answers(transforms):
    name = transforms.start({"a.csv": b"1\n2\n", "below/b.csv": b"3\n"})

    job = transforms.ended(name)

    assert job["TransformJobStatus"] == "Completed", job
    assert job["TransformStartTime"] <= job["TransformEndTime"]
    assert transforms.output(name) == {"a.csv.out": "requests:1 2,4", "below/b.csv.out": "requests:1 6"}
    listed = transforms.sagemaker.list_transform_jobs(StatusEquals="Completed")["TransformJobSummaries"]
    assert name in [each["TransformJobName"] for each in listed]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "requests:1 2,4\n"),
        ({"BatchStrategy": "SingleRecord"}, "requests:1 2\nrequests:1 4\n"),
    ],
    ids=["many lines in a request", "a line in a request"],
)
def test_a_file_is_split_into_requests_and_put_together(transforms, given, expected):
    uri = {
        "S3OutputPath": f"s3://{transforms.hosting.world.bucket}/batch/output/",
        "AssembleWith": "Line",
        "Accept": "text/csv",
    }
    name = transforms.hosting.name("joined")
    uri["S3OutputPath"] += name

    job = transforms.start({"a.csv": b"1\n2\n"}, {"SplitType": "Line"}, TransformOutput=uri, **given)

    assert transforms.ended(job)["TransformJobStatus"] == "Completed"
    assert transforms.output(name) == {"a.csv.out": expected}


def test_lines_go_into_as_many_requests_as_the_payload_asks_for(transforms):
    body = b"1                                                                \n" * 20_000

    name = transforms.start({"a.csv": body}, {"SplitType": "Line"}, MaxPayloadInMB=1)

    assert transforms.ended(name)["TransformJobStatus"] == "Completed"
    output = transforms.output(name)["a.csv.out"]
    assert output.count("requests:1") == 2
    assert output.count("2") == 20_000


def test_compressed_files_are_unpacked(transforms):
    name = transforms.start({"a.csv": gzip.compress(b"5\n")}, {"CompressionType": "Gzip"})

    assert transforms.ended(name)["TransformJobStatus"] == "Completed"
    assert transforms.output(name) == {"a.csv.out": "requests:1 10"}


@pytest.mark.parametrize(
    ("body", "given", "reason", "said"),
    [
        (b"none\n", {}, "ClientError", "Message: no number"),
        (b"raise\n", {"ModelClientConfig": {"InvocationsMaxRetries": 0}}, "AlgorithmError", "RuntimeError: broken"),
        (b"1\n" * 600_000, {"MaxPayloadInMB": 1}, "ClientError", "larger than MaxPayloadInMB"),
    ],
    ids=["refused", "raised", "too large"],
)
def test_a_file_that_is_not_answered_fails_the_job_and_has_no_output(transforms, body, given, reason, said):
    name = transforms.start({"a.csv": body}, **given)

    job = transforms.ended(name)

    assert (job["TransformJobStatus"], job["FailureReason"]) == (
        "Failed",
        f"{reason}: See job logs for more information",
    )
    assert transforms.output(name) == {}
    logs = transforms.hosting.world.client("logs")
    group = "/aws/sagemaker/TransformJobs"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
    assert any(said in event["message"] for event in events)


def test_a_job_that_is_stopped_has_no_output(transforms):
    name = transforms.start({"a.csv": b"wait\n"})

    transforms.sagemaker.stop_transform_job(TransformJobName=name)

    assert transforms.ended(name)["TransformJobStatus"] == "Stopped"
    assert transforms.output(name) == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ModelName": "nobody"}, "Could not find model"),
        ({"MaxPayloadInMB": 101}, "must not exceed 100 MB"),
        ({"MaxPayloadInMB": 30, "MaxConcurrentTransforms": 4}, "must not exceed 100 MB"),
        ({"BatchStrategy": "SingleRecord"}, "needs a SplitType"),
        ({"TransformJobName": "under_score"}, "regular expression pattern"),
        ({"TransformResources": {"InstanceType": "ml.nothing", "InstanceCount": 1}}, "enum value set"),
        ({"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 101}}, "at most 100"),
        ({"ModelClientConfig": {"InvocationsMaxRetries": 4}}, "less than or equal to 3"),
    ],
)
def test_what_the_service_does_not_take_is_refused(transforms, given, said):
    with pytest.raises(ClientError, match=said):
        transforms.start({}, **given)


def test_a_name_is_taken_once(transforms):
    name = transforms.start({"a.csv": b"1\n"})

    with pytest.raises(ClientError, match="ResourceInUse"):
        transforms.start({}, TransformJobName=name)
