"""No role may more than the scenarios make use of, or than AWS is known to ask for where no call shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import rights

KEY = "arn:aws:kms:eu-west-1:{}:key/11111111-2222-3333-4444-555555555555"
NETWORK = {"subnets": ["subnet-0a1b"], "security_groups": ["sg-0c2d"]}

DEVELOPER_GUIDE = "SageMaker developer guide, How to use SageMaker AI execution roles"
KEYS_GUIDE = (
    "SageMaker developer guide, Protect data at rest using encryption: who starts a job and its role use the key"
)
S3_KEYS = (
    "S3 user guide, Using server-side encryption with KMS keys: reading asks for Decrypt, writing for GenerateDataKey"
)
MULTIPART = "S3 user guide, Multipart upload API and permissions: boto3 aborts an upload in parts that has failed"
NOT_FOUND = "S3 API reference, GetObject: who may not list gets 403 for what is not there, instead of 404"
GROUP = (
    "SageMaker developer guide, Deploy a model version from a different account: who reads versions reads their group"
)
DOCKER = "ECR user guide, IAM permissions for pushing an image: docker makes the calls"
LOGS = "the end of the log of a job that failed is told, of whatever kind: src/mlops/compute/attempts.py"
NAMED = "an alarm that the settings only name: DescribeAlarms is asked for it as for the environment's own"

IMPLICIT: dict[str, str] = {
    **{f"{duty} s3:AbortMultipartUpload OWN/*": MULTIPART for duty in ("train", "deploy")},
    **{f"execution s3:AbortMultipartUpload OWN/{part}/*": MULTIPART for part in ("jobs", "captures", "batch/output")},
    "deploy s3:ListBucket BEFORE": NOT_FOUND,
    "destroy s3:ListBucket OWN": NOT_FOUND,
    "schedule s3:ListBucket OWN": NOT_FOUND,
    **{
        f"{duty} sagemaker:DescribeModelPackageGroup model-package-group/{whose}": GROUP
        for duty, whose in [
            ("train", "OWN"), ("train", "AFTER"), ("deploy", "BEFORE"), ("deploy", "OWN"), ("approve", "OWN"),
        ]
    },
    **{
        f"{duty} logs:{action} log-group:/aws/sagemaker/ProcessingJobs:{whose}": LOGS
        for duty in ("train", "deploy")
        for action, whose in (("DescribeLogStreams", "*"), ("GetLogEvents", "log-stream:OWN"))
    },
    "deploy cloudwatch:DescribeAlarms alarm:costs-of-everything": NAMED,
    "execution cloudwatch:DescribeAlarms alarm:costs-of-everything": NAMED,
    "execution cloudwatch:DescribeAlarms alarm:OWN*": (
        "SageMaker developer guide, Auto-Rollback Configuration and Monitoring: SageMaker looks at the alarms with it"
    ),
    **{
        f"execution {action}": DEVELOPER_GUIDE
        for action in (
            "cloudwatch:PutMetricData *", "ecr:BatchCheckLayerAvailability repository/*",
            "ecr:BatchGetImage repository/*", "ecr:GetAuthorizationToken *", "ecr:GetDownloadUrlForLayer repository/*",
            "logs:CreateLogGroup log-group:/aws/sagemaker/*", "logs:CreateLogStream log-group:/aws/sagemaker/*",
            "logs:DescribeLogStreams log-group:/aws/sagemaker/*", "logs:PutLogEvents log-group:/aws/sagemaker/*",
            "ec2:CreateNetworkInterface *", "ec2:CreateNetworkInterfacePermission *", "ec2:DeleteNetworkInterface *",
            "ec2:DeleteNetworkInterfacePermission *", "ec2:DescribeDhcpOptions *", "ec2:DescribeNetworkInterfaces *",
            "ec2:DescribeSecurityGroups *", "ec2:DescribeSubnets *", "ec2:DescribeVpcs *",
        )
    },
    **{
        f"image ecr:{action} repository/PROJECT": DOCKER
        for action in (
            "BatchCheckLayerAvailability", "BatchGetImage", "CompleteLayerUpload", "InitiateLayerUpload", "PutImage",
            "UploadLayerPart",
        )
    },
    **{
        f"{duty} kms:{action} key": KEYS_GUIDE
        for duty in ("execution", "train", "deploy", "schedule")
        for action in ("CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey")
    },
    **{f"destroy kms:{action} key": S3_KEYS for action in ("Decrypt", "GenerateDataKey")},
    **{f"{duty} kms:{action} key": S3_KEYS for duty in ("monitor", "deploy") for action in ("Decrypt", "DescribeKey")},
}  # fmt: skip
"""Grants that no recorded call shows, and who says that they are needed."""


@pytest.fixture(scope="module")
def granted() -> set[str]:
    """What the roles of a project may that has a network and a key of its own for each account."""
    environments = [
        {"name": "feature", "account": "111111111111", "kms_key": KEY.format("111111111111")},
        {"name": "dev", "account": "111111111111", "kms_key": KEY.format("111111111111"), "endpoint": {}},
        {
            "name": "prod", "account": "222222222222", "kms_key": KEY.format("222222222222"), "approval": "manual",
            "endpoint": {"alarms": ["costs-of-everything"]}, "challenger": {},
        },
    ]  # fmt: skip
    settings: dict[str, Any] = {
        "project": "churn", "region": "eu-west-1", "scenario": "advanced", "network": NETWORK,
        "environments": environments,
    }  # fmt: skip
    return {" ".join(grant) for grant in rights.granted(settings)}


@pytest.fixture(scope="module")
def used() -> set[str]:
    """What the scenarios make use of."""
    return {" ".join(grant) for grant in rights.kept()}


def test_every_right_is_made_use_of_or_known_to_be_needed(granted: set[str], used: set[str]) -> None:
    assert sorted(granted - used - IMPLICIT.keys()) == []


def test_what_is_made_use_of_is_granted(granted: set[str], used: set[str]) -> None:
    assert sorted(used - granted) == []


def test_what_is_only_known_to_be_needed_is_granted(granted: set[str]) -> None:
    assert sorted(IMPLICIT.keys() - granted) == []


SETTINGS = """
project: churn
region: eu-west-1
environments: [{name: feature, account: "111111111111"}, {name: dev, account: "111111111111", endpoint: {}}]
"""
DEPLOY = "arn:aws:iam::111111111111:role/churn-dev-deploy"
ASKED = (
    ("sagemaker:InvokeEndpoint", "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/churn-dev", True),
    ("s3:GetObject", "arn:aws:s3:::churn-feature-111111111111/models/one/model.tar.gz", True),
    ("sagemaker:DeleteModel", "arn:aws:sagemaker:eu-west-1:111111111111:model/churn-dev-1", False),
)


def test_what_is_asked_for_is_held_against_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlops.yaml").write_text(SETTINGS)
    monkeypatch.setenv(rights.FOLDER, str(tmp_path))
    monkeypatch.setattr(rights, "LIST", tmp_path / "rights.txt")
    lines = [
        json.dumps({"role": DEPLOY, "action": action, "resource": resource, "context": {}, "allowed": allowed})
        for action, resource, allowed in ASKED
    ]
    _, file = rights.noted(tmp_path / "mlops.yaml")
    Path(file).write_text("\n".join(lines))
    (tmp_path / "rights.txt").write_text(
        "deploy s3:GetObject BEFORE/models/*\ndeploy sagemaker:UpdateEndpoint endpoint/OWN\n"
    )

    found = rights.recorded(tmp_path)

    more = "not in rights.txt: deploy sagemaker:InvokeEndpoint endpoint/OWN"
    less = "in rights.txt, and nothing asks for it: deploy sagemaker:UpdateEndpoint endpoint/OWN"
    refused = f"refused: deploy {ASKED[-1][0]} {ASKED[-1][1]}"
    assert rights.problems(found, whole=True) == [more, less, refused]
    assert rights.problems(found, whole=False) == [more, refused]
    rights.keep(found.used)
    assert rights.problems(found, whole=True) == [refused]


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["feature", "dev", "prod"])
def test_terraforms_roles_may_what_is_made_use_of_and_nothing_else(
    applied: Any, settings: Any, used: set[str], environment: str
) -> None:
    iam = applied.client("iam", environment)
    for role in rights.roles(yaml.safe_load(settings.read_text())):
        if role.environment.name != environment:
            continue
        made = iam.get_role_policy(RoleName=role.arn.rpartition("/")[2], PolicyName="mlops")["PolicyDocument"]
        may = {" ".join(grant) for _, grant in role.grants(made["Statement"])}

        assert sorted(may - used - IMPLICIT.keys()) == []
        # The sandbox, under whose policies the scenarios ran, grants no more than Terraform does.
        assert sorted({" ".join(grant) for _, grant in role.grants(role.statements)} - may) == []
