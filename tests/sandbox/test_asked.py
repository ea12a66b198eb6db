"""The record of what roles ask for, which is written when it is ordered."""

from __future__ import annotations

import json
from typing import Any

DEPLOY = "arn:aws:iam::111111111111:role/churn-dev-deploy"


def test_what_roles_ask_for_is_written_down_once_with_its_condition_keys(
    start: Any, tmp_path: Any, refused: Any
) -> None:
    file = tmp_path / "asked.jsonl"
    server = start(tmp_path / "state", "--asked", str(file))
    server.client("sagemaker").list_endpoint_configs()
    deploy = server.client_as("dev-deploy", "sagemaker")
    package = "arn:aws:sagemaker:eu-west-1:111111111111:model-package/churn-dev/9"

    for _ in range(2):
        deploy.list_endpoint_configs()
    refused(deploy.update_model_package, ModelPackageArn=package, ModelApprovalStatus="Approved")
    refused(deploy.create_model_package_group, ModelPackageGroupName="somebody-elses")

    group = "arn:aws:sagemaker:eu-west-1:111111111111:model-package-group/somebody-elses"
    approval = {"sagemaker:ModelApprovalStatus": ["Approved"]}
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"role": DEPLOY, "action": f"sagemaker:{action}", "resource": resource, "context": context, "allowed": allowed}
        for action, resource, context, allowed in [
            ("ListEndpointConfigs", "*", {}, True),
            ("UpdateModelPackage", package, approval, True),
            ("CreateModelPackageGroup", group, {}, False),
        ]
    ]


def test_a_simulation_is_no_question_of_the_roles(start: Any, tmp_path: Any) -> None:
    file = tmp_path / "asked.jsonl"
    server = start(tmp_path / "state", "--asked", str(file))

    server.client("iam").simulate_principal_policy(PolicySourceArn=DEPLOY, ActionNames=["s3:GetObject"])

    assert file.read_text() == ""
