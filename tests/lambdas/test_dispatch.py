"""Events of AWS start workflows: the right one, once, and nothing else does; under the function's rights alone."""

from __future__ import annotations

import fnmatch
import json
import urllib.request
import uuid
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow

ARN = "arn:aws:sagemaker:eu-west-1:222222222222:model-package/churn-prod"
TABLE, SECRET = "churn-prod-events", "churn-github-app"
ROLE = "arn:aws:iam::222222222222:role/churn-prod-dispatch"


def event(kind: str, detail: dict[str, Any], source: str = "aws.sagemaker") -> dict[str, Any]:
    """An event as EventBridge hands it to a function."""
    return {
        "version": "0", "id": str(uuid.uuid4()), "detail-type": kind, "source": source, "account": "222222222222",
        "time": "2026-11-02T12:00:00Z", "region": "eu-west-1", "resources": [], "detail": detail,
    }  # fmt: skip


def approved(version: int = 7, **detail: Any) -> dict[str, Any]:
    """A version was approved; the members are those of SageMaker's documentation."""
    return event(
        "SageMaker Model Package State Change",
        {
            "ModelPackageGroupName": "churn-prod",
            "ModelPackageVersion": version,
            "ModelPackageArn": f"{ARN}/{version}",
            "CreationTime": "2026-11-02T11:00:00Z",
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "CertifyForMarketplace": False,
            "ModelApprovalStatus": "Approved",
            **detail,
        },
    )


def trained(job: str = "churn-prod-train-0123abcd-1", status: str = "Completed") -> dict[str, Any]:
    return event("SageMaker Training Job State Change", {"TrainingJobName": job, "TrainingJobStatus": status})


def processed(job: str = "churn-prod-evaluate-0123abcd-1", status: str = "Completed") -> dict[str, Any]:
    return event("SageMaker Processing Job State Change", {"ProcessingJobName": job, "ProcessingJobStatus": status})


def alarm(name: str = "churn-prod-drift", state: str = "ALARM") -> dict[str, Any]:
    detail = {"alarmName": name, "state": {"value": state, "reason": "x"}, "previousState": {"value": "OK"}}
    return event("CloudWatch Alarm State Change", detail, "aws.cloudwatch")


def document(*statements: dict[str, Any]) -> str:
    """A policy of IAM."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.fixture(scope="module")
def dispatch(functions: Any, cloud: Any, github_app: Any, rights_of_dispatch: Any) -> Any:
    """The function under its role, with the table and the secret that Terraform and bootstrap make."""
    name, iam = ROLE.rpartition("/")[2], cloud.client("iam")
    rights = [
        {"Effect": "Allow", "Action": action, "Resource": resource}
        for action, resource in sorted(rights_of_dispatch("222222222222", "churn-prod"))
    ]
    root = {"AWS": "arn:aws:iam::222222222222:root"}
    trust = {"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
    iam.put_role_policy(RoleName=name, PolicyName="mlops", PolicyDocument=document(*rights))
    given = cloud.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="function")["Credentials"]
    cloud.client("dynamodb").create_table(
        TableName=TABLE, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    cloud.client("secretsmanager").create_secret(Name=SECRET, SecretString=github_app.secret())
    return functions(
        "lambdas.dispatch.handler",
        AWS_ENDPOINT_URL=cloud.url,
        AWS_ACCESS_KEY_ID=given["AccessKeyId"],
        AWS_SECRET_ACCESS_KEY=given["SecretAccessKey"],
        AWS_SESSION_TOKEN=given["SessionToken"],
        ENVIRONMENT="prod", PREFIX="churn-prod", GROUPS="churn-prod,churn-prod-challenger",
        TRAINS="true", DRIFT_ALARMS="churn-prod-drift",
        EVENTS_TABLE=TABLE, APP_SECRET=SECRET, GITHUB_REPOSITORY="acme/churn", GITHUB_REF="main",
        GITHUB_API_URL=github_app.url,
    )  # fmt: skip


MOMENT = {"detail": "LastModifiedTime", "event": "time"}
"""Where an event says when the version was decided on."""

STARTS = [
    (approved(1), "approved.yml", {"environment": "prod", "group": "champion", "package": f"{ARN}/1"}),
    (
        approved(1, ModelPackageGroupName="churn-prod-challenger", ModelPackageArn=f"{ARN}-challenger/1"),
        "approved.yml",
        {"environment": "prod", "group": "challenger", "package": f"{ARN}-challenger/1"},
    ),
    (trained(), "training-finished.yml", {"job": "churn-prod-train-0123abcd-1"}),
    (trained("churn-prod-train-0123abcd-2", "Failed"), "training-finished.yml", {"job": "churn-prod-train-0123abcd-2"}),
    (processed(), "training-finished.yml", {"job": "churn-prod-evaluate-0123abcd-1"}),
    (alarm(), "retrain.yml", {"reason": "alarm churn-prod-drift"}),
]


@pytest.mark.parametrize(
    ("given", "workflow", "inputs"), STARTS, ids=["approved", "challenger", "trained", "failed", "processed", "drift"]
)
def test_an_event_starts_its_workflow_once_however_often_it_comes(
    dispatch: Any, github: Any, given: dict[str, Any], workflow: str, inputs: dict[str, str]
) -> None:
    answers = [dispatch(given) for _ in range(3)]

    assert [answer.result for answer in answers] == [{"started": workflow}] * 3
    assert github.started == [(workflow, {"ref": "main", "inputs": inputs})]
    assert github.problems == []


def test_two_events_of_one_approval_start_one_deployment(dispatch: Any, github: Any) -> None:
    # SageMaker may send several events for a change: their ids differ.
    dispatch(approved(2))
    dispatch(approved(2))
    dispatch(approved(3))

    assert [content["inputs"]["package"] for _, content in github.started] == [f"{ARN}/2", f"{ARN}/3"]


@pytest.mark.parametrize("place", ["detail", "event"])
def test_a_version_that_is_approved_anew_is_deployed_anew_at_once(dispatch: Any, github: Any, place: str) -> None:
    def at(moment: str) -> dict[str, Any]:
        given = approved(4 if place == "detail" else 5)
        (given["detail"] if place == "detail" else given).update({MOMENT[place]: moment})
        return given

    # Rejected and approved again within a minute; each decision is told of twice.
    for moment in ("12:00:05", "12:00:05", "12:00:41", "12:00:41"):
        dispatch(at(f"2026-11-02T{moment}Z"))

    assert [workflow for workflow, _ in github.started] == ["approved.yml"] * 2


@pytest.mark.parametrize("status", [500, 502, 503, 422])
def test_what_github_does_not_take_is_an_error_and_starts_once_when_it_comes_again(
    dispatch: Any, github: Any, status: int
) -> None:
    github.faults.append(status)
    given = approved(100 + status)

    first, second, third = (dispatch(given) for _ in range(3))

    assert first.error is not None and str(status) in first.error
    assert (second.error, third.error) == (None, None)
    assert len(github.started) == 1


OTHERS = {
    "rejected": approved(ModelApprovalStatus="Rejected"),
    "waits": approved(ModelApprovalStatus="PendingManualApproval"),
    "other group": approved(ModelPackageGroupName="fraud-prod"),
    "other package": approved(ModelPackageArn="arn:aws:sagemaker:eu-west-1:222222222222:model-package/fraud/1"),
    "injection": approved(ModelPackageArn=f"{ARN}/1; rm -rf"),
    "no status": approved(ModelApprovalStatus=None),
    "group is a list": approved(ModelPackageGroupName=["churn-prod"]),
    "in progress": trained(status="InProgress"),
    "processing in progress": processed(status="InProgress"),
    "other job": trained("fraud-train-1"),
    "job of another kind": event("SageMaker Processing Job State Change", trained()["detail"]),
    "odd job": trained("churn-prod-$(id)"),
    "calm": alarm(state="OK"),
    "other alarm": alarm("churn-prod-errors"),
    "no detail": {**approved(), "detail": None},
    "other kind": event("SageMaker Image State Change", {}),
    "other source": {**approved(), "source": "my.app"},
    "empty": {},
    "a list": [1],
    "nothing": None,
}


@pytest.mark.parametrize("given", OTHERS.values(), ids=OTHERS.keys())
def test_any_other_event_ends_with_a_line_in_the_log(dispatch: Any, github: Any, given: Any) -> None:
    answer = dispatch(given)

    (line,) = [json.loads(line) for line in answer.log.splitlines() if line.startswith("{")]
    assert (answer.result, answer.error) == ({"started": None}, None)
    assert line["message"] == "ignored" and line["why"]
    assert github.started == []


def test_a_secret_that_is_none_is_an_error_that_does_not_tell_it(dispatch: Any, cloud: Any, github: Any) -> None:
    manager = cloud.client("secretsmanager")
    for wrong in ("ghp_secret", '{"app_id": 1}', '{"app_id": 1, "private_key": "ghp_secret"}'):
        manager.put_secret_value(SecretId=SECRET, SecretString=wrong)
        answer = dispatch(approved(50))
        assert answer.error is not None and "Refused" in answer.error
        assert "ghp_secret" not in answer.log + answer.error
    manager.put_secret_value(SecretId=SECRET, SecretString=github.secret())

    assert dispatch(approved(50)).result == {"started": "approved.yml"}


@pytest.mark.parametrize(
    ("given", "workflow", "inputs"), STARTS, ids=["approved", "challenger", "trained", "failed", "processed", "drift"]
)
def test_the_workflow_that_is_started_takes_these_inputs(
    template_folder: Any, given: Any, workflow: str, inputs: dict[str, str]
) -> None:
    file = template_folder / ".github" / "workflows" / workflow
    document = yaml.safe_load(file.read_text())
    # YAML 1.1 reads the key `on` as true.
    taken = document[True]["workflow_dispatch"]["inputs"]

    assert inputs.keys() <= taken.keys()
    assert all(value in taken[name].get("options", [value]) for name, value in inputs.items())
    assert [name for name, each in taken.items() if each.get("required") and name not in inputs] == []


def test_every_right_of_the_function_is_used(dispatch: Any, github: Any, cloud: Any, rights_of_dispatch: Any) -> None:
    github.faults.append(500)
    assert dispatch(approved(900)).error is not None
    assert [dispatch(approved(900)).result for _ in range(2)] == [{"started": "approved.yml"}] * 2

    with urllib.request.urlopen(f"{cloud.url}/_sandbox/calls", timeout=30) as answer:
        calls = [
            each for each in json.loads(answer.read()) if ":assumed-role/churn-prod-dispatch/" in each["principal"]
        ]
    used = {(f"{each['service']}:{each['operation']}", each["resource"]) for each in calls}
    unused = {
        (action, resource)
        for action, resource in rights_of_dispatch("222222222222", "churn-prod")
        if not any(name == action and fnmatch.fnmatch(arn, resource) for name, arn in used)
    }
    # Powertools' documentation asks for it: it reads where DynamoDB does not hand back what it refuses to overwrite.
    assert {action for action, _ in unused} == {"dynamodb:GetItem"}
    assert all(each["allowed"] for each in calls)
