"""The disks of instances: a key is asked for where AWS takes one."""

from pathlib import Path

import pytest
import yaml

from mlops.compute import container, processing
from mlops.settings import disks
from mlops.settings.project import Settings, read

KEY = "arn:aws:kms:eu-west-1:111111111111:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A project with a key, one of whose stages runs on instances with disks of their own."""
    content = {
        "project": "churn",
        "package": "churn",
        "region": "eu-west-1",
        "environments": [
            {"name": "feature", "account": "111111111111"},
            {"name": "prod", "account": "222222222222", "endpoint": {}},
        ],
        "stages": {"prepare": {"instance_type": "ml.m5d.large"}, "evaluate": {"instance_type": "ml.m5.large"}},
    }
    file = tmp_path / "mlops.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return read(file)


@pytest.mark.parametrize(
    "instance_type",
    ["ml.m5d.large", "ml.g4dn.xlarge", "ml.g5.2xlarge", "ml.g6e.xlarge", "ml.p3dn.24xlarge", "ml.p4de.24xlarge",
     "ml.p5en.48xlarge", "ml.p6-b200.48xlarge", "ml.trn1n.32xlarge", "ml.i3en.large"],
)  # fmt: skip
def test_instances_with_disks_of_their_own_take_no_key(instance_type: str) -> None:
    assert disks.key(KEY, instance_type) is None


@pytest.mark.parametrize(
    "instance_type", ["ml.m5.large", "ml.c6i.xlarge", "ml.t3.medium", "ml.p3.2xlarge", "ml.inf2.xlarge"]
)
def test_other_instances_take_it(instance_type: str) -> None:
    assert disks.key(KEY, instance_type) == KEY


def test_a_job_on_such_instances_still_encrypts_what_it_writes(settings: Settings) -> None:
    def asked(stage: str) -> dict[str, object]:
        request = container.JobRequest(
            name="job", stage=stage, script="churn/x.py", key="0" * 64, image="image", role="role",
            bucket="bucket", code=Path(), inputs={}, output="s3://bucket/jobs/job/output/", kms_key=KEY,
        )  # fmt: skip
        return processing.parameters(settings, request, "s3://bucket/jobs/job/code/")

    def disk(job: dict) -> dict:
        return job["ProcessingResources"]["ClusterConfig"]

    assert "VolumeKmsKeyId" not in disk(asked("prepare"))
    assert disk(asked("evaluate"))["VolumeKmsKeyId"] == KEY
    assert {job["ProcessingOutputConfig"]["KmsKeyId"] for job in (asked("prepare"), asked("evaluate"))} == {KEY}
