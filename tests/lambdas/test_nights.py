"""An endpoint over some nights: the function's zip, run as AWS runs it with its own rights, on the sandbox's events."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from mlops import aws
from mlops.hosting import deployment, endpoints
from mlops.registry import groups, packages
from mlops.settings import project
from mlops.settings.project import Environment, Settings

pytestmark = pytest.mark.slow

ACCOUNT, ENDPOINT = "222222222222", "churn-prod"
BUCKET = f"churn-prod-{ACCOUNT}"
IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
SETTINGS = f"""
project: churn
package: churn
region: eu-west-1
environments:
  - {{name: dev, account: "111111111111"}}
  - {{name: prod, account: "{ACCOUNT}", approval: manual,
      endpoint: {{autoscaling: {{min: 1, max: 3, invocations_per_instance: 50}}}}}}
stages: {{}}
"""
MODEL = """
def model_fn(folder): return "{label}"
def transform_fn(model, body, content_type, accept): return '{{"label": "%s"}}' % model, "application/json"
"""
OWN_POLICY = {
    "PolicyName": "follow",
    "ServiceNamespace": "sagemaker",
    "ResourceId": f"endpoint/{ENDPOINT}/variant/model",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 40.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    },
}
STOP, START = ({"action": action, "endpoint": ENDPOINT} for action in ("stop", "start"))
"""What the schedules send."""


@dataclass
class Nights:
    """The project's endpoint, its function, and the events that SageMaker sends of it."""

    cloud: Any
    settings: Settings
    function: Any
    queue: str
    said: list[str] = field(default_factory=list)

    @property
    def prod(self) -> Environment:
        return self.settings.environments[1]

    def deploy(self, label: str) -> str:
        """Approve a version that answers with a label, and deploy it; the configuration that serves it."""
        code = io.BytesIO()
        with tarfile.open(fileobj=code, mode="w:gz") as archive:
            member, content = tarfile.TarInfo("code/inference.py"), MODEL.format(label=label).encode()
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        fingerprint = secrets.token_hex(32)
        key = f"models/{fingerprint}/model.tar.gz"
        self.cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=code.getvalue())
        self.cloud.client("sagemaker").create_model_package(
            ModelPackageGroupName=self.prod.group,
            ModelPackageDescription=packages.description(fingerprint, secrets.token_hex(20)),
            ModelApprovalStatus="Approved",
            InferenceSpecification=packages.specification(IMAGE, f"s3://{BUCKET}/{key}"),
        )
        deployment.deploy(self.settings, self.prod, self.said.append)
        return str(self.described()["EndpointConfigName"])

    def described(self) -> dict[str, Any]:
        return dict(self.cloud.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT))

    def there(self) -> bool:
        """Whether there is an endpoint, once nothing is going on with it."""
        return endpoints.settle(self.session(), ENDPOINT, self.said.append) is not None

    def session(self) -> Any:
        return aws.session(self.settings, self.prod, "schedule")

    def answer(self) -> str:
        body = self.cloud.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=ENDPOINT, Body=b"1", ContentType="text/csv"
        )["Body"]
        return str(json.loads(body.read())["label"])

    def record(self) -> Any:
        """What is written down of the stopped endpoint."""
        place = {"Bucket": BUCKET, "Key": f"endpoints/{ENDPOINT}/stopped.json"}
        return json.loads(self.cloud.client("s3").get_object(**place)["Body"].read())

    def scaling(self) -> list[Any]:
        """What scales, and how."""
        client = self.cloud.client("application-autoscaling")
        targets = client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        policies = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
        return [
            *((each["ResourceId"], each["MinCapacity"], each["MaxCapacity"]) for each in targets),
            *sorted((each["PolicyName"], each["TargetTrackingScalingPolicyConfiguration"]["TargetValue"])
                    for each in policies),
        ]  # fmt: skip

    def events(self) -> list[Any]:
        """The events that the endpoint is in service, once there are some."""
        sqs, found, end = self.cloud.client("sqs"), [], time.monotonic() + 30
        while not found:
            assert time.monotonic() < end, "no event came"
            while got := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
                found += [json.loads(each["Body"]) for each in got]
                for each in got:
                    sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=each["ReceiptHandle"])
        return found

    def do(self, *given: Any) -> list[str]:
        """What the function says that it did at each of some events."""
        answers = [self.function(each) for each in given]
        assert [each.error for each in answers] == [None] * len(answers)
        return [each.result["done"] for each in answers]

    def night(self) -> None:
        assert self.do(STOP) == ["stopped"]
        assert not self.there()

    def morning(self) -> None:
        assert self.do(START) == ["starting"]
        assert self.there()
        assert self.do(*self.events())[0] == "started"

    def refused(self, operation: str, given: Any) -> None:
        """Hand on an event while AWS refuses an operation, once: Lambda is told, and tries again."""
        body = json.dumps({"operation": operation, "status": 400, "code": "ValidationException"}).encode()
        request = urllib.request.Request(f"{self.cloud.url}/_sandbox/faults", data=body, method="POST")
        urllib.request.urlopen(request, timeout=30).close()
        error = self.function(given).error
        assert error is not None and operation in error


@pytest.fixture(scope="module")
def nights(functions: Any, cloud: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """A deployed endpoint that scales, and the function under the role that has its rights and no more."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "mlops.yaml").write_text(SETTINGS)
    settings = project.load(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"AWS_ENDPOINT_URL": cloud.url, "MLOPS_ASSUME_ROLES": "1"}.items():
            patch.setenv(name, value)
        for name, value in cloud.variables().items():
            patch.setenv(name, value)
        prod = settings.environments[1]
        groups.create_group(aws.base(settings, prod), settings, prod, prod.group)
        given = cloud.client("sts").assume_role(RoleArn=prod.role("schedule"), RoleSessionName="function")
        function = functions(
            "lambdas.hours.handler", "churn-prod-hours", 120, BUCKET=BUCKET, ENDPOINTS=ENDPOINT,
            AWS_ENDPOINT_URL=cloud.url,
            AWS_ACCESS_KEY_ID=given["Credentials"]["AccessKeyId"],
            AWS_SECRET_ACCESS_KEY=given["Credentials"]["SecretAccessKey"],
            AWS_SESSION_TOKEN=given["Credentials"]["SessionToken"],
        )  # fmt: skip
        queue = cloud.client("sqs").create_queue(QueueName="nights")["QueueUrl"]
        arn = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:nights"
        pattern = {"detail-type": ["SageMaker Endpoint State Change"], "detail": {"EndpointStatus": ["IN_SERVICE"]}}
        cloud.client("events").put_rule(Name="nights", EventPattern=json.dumps(pattern))
        cloud.client("events").put_targets(Rule="nights", Targets=[{"Id": "queue", "Arn": arn}])
        made = Nights(cloud, settings, function, queue)
        made.deploy("first")
        cloud.client("application-autoscaling").put_scaling_policy(**OWN_POLICY)
        yield made
        function({"action": "stop", "endpoint": ENDPOINT})
        cloud.client("events").remove_targets(Rule="nights", Ids=["queue"])
        cloud.client("s3").delete_object(Bucket=BUCKET, Key=f"endpoints/{ENDPOINT}/stopped.json")


def test_it_is_gone_at_night_and_in_the_morning_the_same_version_answers_and_scales(nights: Nights) -> None:
    before, scaling = nights.described(), nights.scaling()
    assert nights.do(*nights.events())[0] == "not stopped"  # of the deployment: nothing was stopped by then

    assert nights.do(STOP, STOP) == ["stopped", "stopped already"]
    kept = nights.record()
    assert not nights.there()
    assert (kept["config"], nights.scaling()) == (before["EndpointConfigName"], [])
    assert [target["MaxCapacity"] for target in kept["targets"]] == [3]
    assert {policy["PolicyName"] for policy in kept["policies"]} == {"mlops", "follow"}
    assert (nights.do(STOP), nights.record()) == (["stopped already"], kept)

    assert nights.do(START, START) == ["starting", "not stopped"]
    assert nights.there()
    event = nights.events()[0]
    assert nights.do(event, event, START) == ["started", "not stopped", "not stopped"]
    after = nights.described()
    assert (nights.answer(), after["EndpointConfigName"]) == ("first", before["EndpointConfigName"])
    assert after["CreationTime"] > before["CreationTime"]
    assert (nights.scaling(), nights.record()) == (scaling, None)


def test_what_is_deployed_at_night_is_what_the_next_mornings_bring(nights: Nights) -> None:
    scaling = nights.scaling()
    nights.night()

    config = nights.deploy("second")

    assert nights.answer() == "second"
    # How it scales the settings say; of what somebody had set beside them the function has to remind.
    assert [policy["PolicyName"] for policy in nights.record()["policies"]] == ["follow"]
    assert nights.do(START) == ["not stopped"]
    assert nights.do(*nights.events())[0] == "started"
    assert (nights.scaling(), nights.record()) == (scaling, None)

    nights.night()
    assert nights.record()["config"] == config
    nights.morning()
    assert (nights.answer(), nights.described()["EndpointConfigName"], nights.scaling()) == ("second", config, scaling)


def test_what_aws_refuses_is_tried_again_by_lambda_and_nothing_is_lost(nights: Nights) -> None:
    config, scaling = nights.described()["EndpointConfigName"], nights.scaling()

    for operation in ("PutObject", "DeregisterScalableTarget", "DeleteEndpoint"):
        nights.refused(operation, STOP)
    nights.night()
    nights.refused("CreateEndpoint", START)
    assert nights.do(START) == ["starting"]
    assert nights.there()
    event = nights.events()[0]
    for operation in ("RegisterScalableTarget", "PutScalingPolicy", "PutObject"):
        nights.refused(operation, event)

    assert nights.do(event) == ["started"]
    assert nights.described()["EndpointConfigName"] == config
    assert (nights.scaling(), nights.record()) == (scaling, None)


def test_a_version_that_is_rejected_at_night_does_not_come_back(nights: Nights) -> None:
    nights.night()
    newest = packages.newest(nights.session(), nights.prod.group)
    assert newest is not None
    for status in ("Rejected", "Approved"):
        nights.cloud.client("sagemaker").update_model_package(ModelPackageArn=newest.arn, ModelApprovalStatus=status)
        answer = nights.function(START)
        if status == "Rejected":
            assert answer.error is not None and f"{newest.name} is Rejected" in answer.error
            assert not nights.there()

    assert answer.result == {"done": "starting"}
    assert nights.there()
    assert nights.do(*nights.events())[0] == "started"
