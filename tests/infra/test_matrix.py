"""Who may not do what: every deed is tried by every role over HTTP, and only those in the table are let."""

from __future__ import annotations

import http.client
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSResponse

pytestmark = pytest.mark.slow

ACCOUNTS = {"feature": "111111111111", "dev": "111111111111", "prod": "222222222222"}
GROUPS = {"feature": "churn-feature", "dev": "churn-dev", "prod": "churn-prod-champion"}
PEOPLE = ("data-scientist", "ml-engineer", "operations")
LATER = ("execution", "deploy", "approve", "destroy", "prune", "monitor", "schedule", "dispatch", "checks", *PEOPLE)
ROLES = {
    "feature": ("execution", "train", "deploy", "prune", "image", "dispatch", *PEOPLE),
    "dev": (*LATER, "hours", "scheduler"),
    "prod": LATER,
}
LOOKING = " ".join(PEOPLE)

WHO_MAY: dict[str, tuple[str, str, str]] = {
    # Deed: the roles of feature, dev and prod that may do it in their own environment.
    "train": ("train", "", ""),
    "train under another role": ("", "", ""),
    "read a job's log": (f"train deploy {LOOKING}", f"deploy {LOOKING}", f"deploy {LOOKING}"),
    "read the log of another project's job": ("", "", ""),
    "filter the logs of all jobs": ("", "", ""),
    "filter an endpoint's log": (LOOKING, LOOKING, LOOKING),
    "filter the log of another project's endpoint": ("", "", ""),
    "register for approval": ("train deploy", "deploy", "deploy"),
    "register as approved": ("train deploy", "deploy", ""),
    "approve": ("deploy", "deploy approve", "approve"),
    "reject": ("deploy", "deploy approve", "deploy approve"),
    "approve another model": ("", "", ""),
    "reject another model": ("", "", ""),
    "say that another has made it": ("", "", ""),
    "forget what has made it": ("", "", ""),
    "judge it again": ("deploy", "deploy", "deploy"),
    "note since when it serves": ("deploy", "deploy", "deploy"),
    "see a version": (
        f"train deploy prune {LOOKING}",
        f"deploy approve prune monitor schedule hours {LOOKING}",
        f"deploy approve prune monitor schedule {LOOKING}",
    ),
    "delete a version": ("prune", "", ""),
    "make a group": ("", "", ""),
    "delete a group": ("", "", ""),
    "open a group": ("", "", ""),
    "make a model": ("", "deploy", "deploy"),
    "make a configuration": ("", "deploy", "deploy"),
    "make an endpoint": ("", "deploy schedule hours", "deploy schedule"),
    "change an endpoint": ("", "deploy", "deploy"),
    "ask an endpoint": ("", "deploy", "deploy"),  # checks may ask those that are there only, by name
    "delete an endpoint": ("", "deploy destroy schedule hours", "deploy destroy schedule"),
    "delete a configuration": ("", "prune", "prune"),
    "delete a model": ("", "prune", "prune"),
    "scale an endpoint": ("", "deploy schedule hours", "deploy schedule"),
    "stop a rollout": ("", "deploy", "deploy"),
    "calm an alarm": ("", "", ""),
    "make an alarm": ("", "", ""),
    "delete an alarm": ("", "", ""),
    "measure drift": ("", "monitor", "monitor"),
    "stop a rollout by a metric": ("", "", ""),
    "invent errors": ("execution", "execution", "execution"),
    "read data": ("execution train deploy data-scientist ml-engineer", "execution deploy", "execution deploy"),
    "bring data": ("train deploy data-scientist ml-engineer", "deploy", "deploy"),
    "read captures": (
        "execution train deploy data-scientist ml-engineer", "execution deploy monitor", "execution deploy monitor",
    ),
    "write what a job made": ("execution train deploy", "execution deploy", "execution deploy"),
    "write a model": ("train deploy", "deploy", "deploy"),
    "write what a job's digest was": ("train deploy", "deploy", "deploy"),
    "write how an endpoint starts": (
        "train deploy", "deploy destroy schedule hours", "deploy destroy schedule",
    ),
    "delete a model's file": ("prune", "prune", "prune"),
    "delete data": ("", "", ""),
    "delete an old version of a file": ("", "", ""),
    "open the bucket": ("", "", ""),
    "stop versioning": ("", "", ""),
    "delete the bucket": ("", "", ""),
    "open the key": ("", "", ""),
    "delete the key": ("", "", ""),
    "push an image": ("image", "", ""),
    "delete an image": ("", "", ""),
    "read the app's key": ("dispatch", "dispatch", "dispatch"),
    "change the app's key": ("", "", ""),
    "change a role": ("", "", ""),
    "make a role": ("", "", ""),
    "make a key for a user": ("", "", ""),
    "change a function": ("", "", ""),
    "call a function": ("", "scheduler", ""),
    "silence the alarms": ("", "", ""),
}  # fmt: skip

BY_ARN = ("approve", "see a version", "read data", "write a model", "delete a model's file", "open the key")
"""Deeds that can be asked of another account: all other names are names of one's own."""
BY_NAME = (
    *BY_ARN, "train", "read a job's log", "filter an endpoint's log",
    "make a model", "make an endpoint", "change an endpoint", "ask an endpoint", "delete an endpoint",
    "scale an endpoint", "stop a rollout", "change a role",
)  # fmt: skip
"""Deeds that are asked of another environment in the account."""
ELSEWHERE = {
    ("feature", "train", "dev"): {"see a version"},
    ("dev", "deploy", "feature"): {"see a version", "scale an endpoint"},
    # Application Auto Scaling knows no right to one endpoint: its targets have no names of ours.
    ("dev", "schedule", "feature"): {"scale an endpoint"},
    ("dev", "hours", "feature"): {"scale an endpoint"},
}
"""What a role may do in another environment; reading the artefacts that it promotes is in test_apply.py."""


def deeds(environment: str, key: str) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Every deed in an environment: the service, the operation and what is asked. Nothing that it names is there, so
    that whoever is let does no harm.
    """
    account, name = ACCOUNTS[environment], f"churn-{environment}"
    bucket = f"churn-{environment}-{account}"
    endpoint = name if environment == "feature" else f"{name}-none"
    package = f"arn:aws:sagemaker:eu-west-1:{account}:model-package/{GROUPS[environment]}/999"
    role = f"arn:aws:iam::{account}:role/churn-{environment}-execution"
    image = f"{account}.dkr.ecr.eu-west-1.amazonaws.com/churn:1"
    container = {"Image": image, "ModelDataUrl": f"s3://{bucket}/models/none/model.tar.gz"}
    training = {
        "TrainingJobName": f"{name}-train-none",
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}-none/jobs"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    version = {
        "ModelPackageGroupName": GROUPS[environment],
        "InferenceSpecification": {"Containers": [container], "SupportedContentTypes": ["text/csv"],
                                   "SupportedResponseMIMETypes": ["text/csv"]},
    }  # fmt: skip
    variant = {"VariantName": "model", "ModelName": f"{name}-none", "InstanceType": "ml.m5.large",
               "InitialInstanceCount": 1}  # fmt: skip
    scaled = {"ServiceNamespace": "sagemaker", "ResourceId": f"endpoint/{endpoint}/variant/model",
              "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}  # fmt: skip
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
    opened = json.dumps({"Version": "2012-10-17", "Statement": [everybody]})
    alarm = {"StateValue": "OK", "StateReason": "none"}
    topic = f"arn:aws:sns:eu-west-1:{account}:{name}-alarms"
    images = f"arn:aws:ecr:eu-west-1:{account}:repository/churn"
    secret = f"arn:aws:secretsmanager:eu-west-1:{account}:secret:churn-github-app-a1b2c3"
    jobs = {"logGroupName": "/aws/sagemaker/ProcessingJobs"}
    function = f"arn:aws:lambda:eu-west-1:{account}:function:{name}-hours"

    def object_at(path: str, **more: Any) -> dict[str, Any]:
        return {"Bucket": bucket, "Key": path, **more}

    def changed(**what: Any) -> tuple[str, str, dict[str, Any]]:
        return "sagemaker", "update_model_package", {"ModelPackageArn": package, **what}

    def imagined(action: str, resource: str) -> tuple[str, str, dict[str, Any]]:
        return "simulation", action, {"resource": resource}

    def metric(namespace: str) -> dict[str, Any]:
        return {"Namespace": namespace, "MetricData": [{"MetricName": "None", "Value": 0.0}]}

    return {
        "train": ("sagemaker", "create_training_job", {**training, "RoleArn": role}),
        "train under another role": (
            "sagemaker", "create_training_job",
            {**training, "RoleArn": f"arn:aws:iam::{account}:role/administrator"},
        ),
        "read a job's log": (
            "logs", "get_log_events", {**jobs, "logStreamName": f"{name}-evaluate-0a1b2c3d-1/algo-1-1"},
        ),
        "read the log of another project's job": (
            "logs", "get_log_events", {**jobs, "logStreamName": "vision-dev-evaluate-0a1b2c3d-1/algo-1-1"},
        ),
        "filter the logs of all jobs": ("logs", "filter_log_events", jobs),
        "filter an endpoint's log": (
            "logs", "filter_log_events", {"logGroupName": f"/aws/sagemaker/Endpoints/{name}"},
        ),
        "filter the log of another project's endpoint": (
            "logs", "filter_log_events", {"logGroupName": "/aws/sagemaker/Endpoints/vision-dev"},
        ),
        "register for approval": (
            "sagemaker", "create_model_package", {**version, "ModelApprovalStatus": "PendingManualApproval"},
        ),
        "register as approved": ("sagemaker", "create_model_package", {**version, "ModelApprovalStatus": "Approved"}),
        "approve": (
            "sagemaker", "update_model_package", {"ModelPackageArn": package, "ModelApprovalStatus": "Approved"},
        ),
        "reject": (
            "sagemaker", "update_model_package", {"ModelPackageArn": package, "ModelApprovalStatus": "Rejected"},
        ),
        "approve another model": changed(ModelApprovalStatus="Approved", CustomerMetadataProperties={"digest": "none"}),
        "reject another model": changed(ModelApprovalStatus="Rejected", CustomerMetadataProperties={"digest": "none"}),
        "say that another has made it": changed(CustomerMetadataProperties={"training_job": "none", "gate": "passed"}),
        "forget what has made it": changed(CustomerMetadataPropertiesToRemove=["gate", "commit"]),
        "judge it again": changed(
            CustomerMetadataProperties={"gate": "passed"}, CustomerMetadataPropertiesToRemove=["gate_against"]
        ),
        "note since when it serves": changed(CustomerMetadataProperties={"serves_since": "none"}),
        "see a version": ("sagemaker", "describe_model_package", {"ModelPackageName": package}),
        "delete a version": ("sagemaker", "delete_model_package", {"ModelPackageName": package}),
        "make a group": ("sagemaker", "create_model_package_group", {"ModelPackageGroupName": f"{name}-none"}),
        "delete a group": (
            "sagemaker", "delete_model_package_group", {"ModelPackageGroupName": GROUPS[environment]},
        ),
        "open a group": (
            "sagemaker", "put_model_package_group_policy",
            {"ModelPackageGroupName": GROUPS[environment], "ResourcePolicy": opened},
        ),
        "make a model": (
            "sagemaker", "create_model",
            {"ModelName": f"{name}-none", "ExecutionRoleArn": role, "Containers": [{"ModelPackageName": package}]},
        ),
        "make a configuration": (
            "sagemaker", "create_endpoint_config",
            {"EndpointConfigName": f"{name}-none", "ProductionVariants": [variant]},
        ),
        "make an endpoint": (
            "sagemaker", "create_endpoint", {"EndpointName": endpoint, "EndpointConfigName": f"{name}-none"},
        ),
        "change an endpoint": (
            "sagemaker", "update_endpoint", {"EndpointName": endpoint, "EndpointConfigName": f"{name}-none"},
        ),
        "ask an endpoint": ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": endpoint, "Body": b"1"}),
        "delete an endpoint": ("sagemaker", "delete_endpoint", {"EndpointName": endpoint}),
        "delete a configuration": ("sagemaker", "delete_endpoint_config", {"EndpointConfigName": f"{name}-none"}),
        "delete a model": ("sagemaker", "delete_model", {"ModelName": f"{name}-none"}),
        "scale an endpoint": (
            "application-autoscaling", "register_scalable_target", {**scaled, "MinCapacity": 1, "MaxCapacity": 2},
        ),
        "stop a rollout": ("cloudwatch", "set_alarm_state", {"AlarmName": f"{name}-none-manual", **alarm}),
        "calm an alarm": ("cloudwatch", "set_alarm_state", {"AlarmName": f"{name}-errors", **alarm}),
        "make an alarm": (
            "cloudwatch", "put_metric_alarm",
            {"AlarmName": f"{name}-errors", "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1},
        ),
        "delete an alarm": ("cloudwatch", "delete_alarms", {"AlarmNames": [f"{name}-errors"]}),
        "measure drift": ("cloudwatch", "put_metric_data", metric("mlops")),
        "stop a rollout by a metric": ("cloudwatch", "put_metric_data", metric("mlops/by-hand")),
        "invent errors": ("cloudwatch", "put_metric_data", metric("AWS/SageMaker/None")),
        "read data": ("s3", "get_object", object_at("dvc/none")),
        "bring data": ("s3", "put_object", object_at("dvc/none", Body=b"")),
        "read captures": ("s3", "get_object", object_at("captures/none")),
        "write what a job made": ("s3", "put_object", object_at("jobs/none/none", Body=b"")),
        "write a model": ("s3", "put_object", object_at("models/none/none", Body=b"")),
        "write what a job's digest was": ("s3", "put_object", object_at("digests/none", Body=b"")),
        "write how an endpoint starts": ("s3", "put_object", object_at("endpoints/none", Body=b"")),
        "delete a model's file": ("s3", "delete_object", object_at("models/none/nothing")),
        "delete data": ("s3", "delete_object", object_at("dvc/nothing")),
        "delete an old version of a file": ("s3", "delete_object", object_at("models/none/nothing", VersionId="none")),
        "open the bucket": ("s3", "put_bucket_policy", {"Bucket": bucket, "Policy": opened}),
        "stop versioning": (
            "s3", "put_bucket_versioning", {"Bucket": bucket, "VersioningConfiguration": {"Status": "Suspended"}},
        ),
        "delete the bucket": ("s3", "delete_bucket", {"Bucket": bucket}),
        "open the key": ("kms", "put_key_policy", {"KeyId": key, "PolicyName": "default", "Policy": opened}),
        "delete the key": ("kms", "schedule_key_deletion", {"KeyId": key}),
        "push an image": imagined("ecr:PutImage", images),
        "delete an image": imagined("ecr:BatchDeleteImage", images),
        "read the app's key": imagined("secretsmanager:GetSecretValue", secret),
        "change the app's key": imagined("secretsmanager:PutSecretValue", secret),
        "change a role": (
            "iam", "put_role_policy",
            {"RoleName": f"{name}-deploy", "PolicyName": "none", "PolicyDocument": opened},
        ),
        "make a role": ("iam", "create_role", {"RoleName": f"{name}-none", "AssumeRolePolicyDocument": opened}),
        "make a key for a user": ("iam", "create_access_key", {"UserName": "none"}),
        "change a function": imagined("lambda:UpdateFunctionCode", function),
        "call a function": imagined("lambda:InvokeFunction", function),
        "silence the alarms": ("sns", "delete_topic", {"TopicArn": topic}),
    }  # fmt: skip


@dataclass(frozen=True)
class Deed:
    """A request as boto3 would send it, for whoever's key is put into it: the sandbox verifies no signatures."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def tried(self, url: str, session: dict[str, str]) -> str:
        """Why a policy refuses it to a session; empty when none does, whatever comes of it."""
        address = urlsplit(url)
        key, headers = session["aws_access_key_id"], dict(self.headers)
        headers["Authorization"] = re.sub("Credential=[^/]+/", f"Credential={key}/", headers["Authorization"])
        headers["X-Amz-Security-Token"] = session["aws_session_token"]
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
        connection.request(self.method, self.path, self.body, headers)
        answer = connection.getresponse().read().decode("utf-8", "replace")
        connection.close()
        return answer if "AccessDenied" in answer else ""


def written(client: Any, operation: str, given: dict[str, Any]) -> Deed:
    """A request that is made up and not sent."""
    found: list[Any] = []

    def keep(request: Any, **_: Any) -> AWSResponse:
        found.append(request)
        return AWSResponse(request.url, 200, {}, BytesIO(b"{}"))

    client.meta.events.register_first("before-send", keep)
    # The answer is empty, which not every operation bears.
    with suppress(Exception):
        getattr(client, operation)(**given)
    client.meta.events.unregister("before-send", keep)
    (request,) = found
    url, body = urlsplit(request.url), request.body or b""
    headers = {
        name: value.decode() if isinstance(value, bytes) else str(value) for name, value in request.headers.items()
    }
    return Deed(
        request.method,
        f"{url.path}?{url.query}" if url.query else url.path,
        headers,
        body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else body.read(),
    )


@pytest.fixture(scope="module")
def sessions(applied: Any) -> dict[tuple[str, str], dict[str, str]]:
    """A session of every role. Roles that trust only a service or single sign-on trust the account for a moment."""
    found = {}
    for environment, names in ROLES.items():
        iam, account = applied.client("iam", environment), f"arn:aws:iam::{ACCOUNTS[environment]}:root"
        own = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}
        for name in names:
            role = {"RoleName": f"churn-{environment}-{name}"}
            trust = iam.get_role(**role)["Role"]["AssumeRolePolicyDocument"]
            loose = {**trust, "Statement": [*trust["Statement"], own]}
            iam.update_assume_role_policy(**role, PolicyDocument=json.dumps(loose))
            found[environment, name] = applied.session(applied.role(name, environment), environment)
            iam.update_assume_role_policy(**role, PolicyDocument=json.dumps(trust))
    return found


@pytest.fixture(scope="module")
def tried(applied: Any, terraform: Any, sessions: Any) -> dict[tuple[str, str, str, str], str]:
    """Role's environment, role, deed's environment, deed → why it was refused; empty when it was let."""
    answers: dict[tuple[str, str, str, str], str] = {}
    iam = {own: applied.client("iam", own) for own in ACCOUNTS}
    for environment in ACCOUNTS:
        clients = {
            service: applied.client(service, environment)
            for service in ("sagemaker", "sagemaker-runtime", "s3", "cloudwatch", "application-autoscaling", "kms",
                            "iam", "sns", "logs")
        }  # fmt: skip
        for deed, (service, operation, given) in deeds(environment, terraform.outputs(environment)["key"]).items():
            request = None if service == "simulation" else written(clients[service], operation, given)
            for (own, role), session in sessions.items():
                asked = BY_NAME if ACCOUNTS[own] == ACCOUNTS[environment] else BY_ARN
                if own != environment and deed not in asked:
                    continue
                if request:
                    refusal = request.tried(applied.url, session)
                else:
                    refusal = simulated(iam[own], applied.role(role, own), operation, **given)
                answers[own, role, environment, deed] = refusal
    return answers


def simulated(iam: Any, role: str, action: str, resource: str) -> str:
    """What IAM's own simulation says, of services that the sandbox only passes on."""
    asked = {"PolicySourceArn": role, "ActionNames": [action], "ResourceArns": [resource]}
    (result,) = iam.simulate_principal_policy(**asked)["EvaluationResults"]
    return "" if result["EvalDecision"] == "allowed" else "because no identity-based policy allows it"


def test_a_role_does_in_its_environment_what_the_table_says_and_nothing_else(tried: Any) -> None:
    other = [
        f"{environment}-{role} {'is refused' if refusal else 'may'}: {deed}"
        for (own, role, environment, deed), refusal in tried.items()
        if own == environment and (not refusal) != (role in WHO_MAY[deed][list(ACCOUNTS).index(own)].split())
    ]

    assert other == []


def test_a_role_does_nothing_in_another_environment_but_look_where_it_has_to(tried: Any) -> None:
    let: dict[tuple[str, str, str], set[str]] = {}
    for (own, role, environment, deed), refusal in tried.items():
        if own != environment and not refusal:
            let.setdefault((own, role, environment), set()).add(deed)

    assert let == ELSEWHERE


def test_a_refusal_is_the_policies(tried: Any) -> None:
    for who, refusal in tried.items():
        assert not refusal or re.search("because no (identity-based|resource-based|key) policy allows", refusal), who
