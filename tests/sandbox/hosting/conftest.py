"""A sandbox of its own for the tests of endpoints, with models that answer as a test wants them to."""

from __future__ import annotations

import importlib.util
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

# The sandbox is started and talked to as in the tests of jobs.
_SPEC = importlib.util.spec_from_file_location("sandbox_world", Path(__file__).parents[1] / "jobs" / "conftest.py")
assert _SPEC and _SPEC.loader
_JOBS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_JOBS)
start_sandbox = _JOBS.start_sandbox

SAYS = """
def model_fn(folder):
    return "{word}"

def transform_fn(model, body, content_type, accept):
    {before}
    return model + " " + body, "text/csv"
"""


class Hosting:
    """What tests of endpoints do with a sandbox; every name that it makes is new."""

    def __init__(self, world: Any) -> None:
        self.world, self.sagemaker = world, world.sagemaker
        self.runtime, self.cloudwatch = world.client("sagemaker-runtime"), world.client("cloudwatch")
        self._numbers = itertools.count(int(time.time()))

    def name(self, kind: str) -> str:
        """A name that was not used before."""
        return f"{kind}-{next(self._numbers)}"

    def model(self, word: str = "old", before: str = "pass", script: str | None = None, **variables: str) -> str:
        """A model that answers with a word and what it was asked."""
        name = self.name("model")
        code = script or SAYS.format(word=word, before=before)
        data = self.world.archive(f"models/{name}/model.tar.gz", **{"code/inference__py": code})
        container = {"Image": self.world.image, "ModelDataUrl": data, "Environment": variables}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.world.role, PrimaryContainer=container)
        return name

    def package(self, word: str, status: str) -> str:
        """A version, in a group of its own, of a model that answers with a word."""
        group, code = self.name("group"), SAYS.format(word=word, before="pass")
        data = self.world.archive(f"models/{group}/model.tar.gz", **{"code/inference__py": code})
        self.sagemaker.create_model_package_group(ModelPackageGroupName=group)
        specification = {
            "Containers": [{"Image": self.world.image, "ModelDataUrl": data}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        }
        made = self.sagemaker.create_model_package(
            ModelPackageGroupName=group, ModelApprovalStatus=status, InferenceSpecification=specification
        )
        return str(made["ModelPackageArn"])

    def packaged(self, package: str) -> str:
        """A model of a version."""
        name, container = self.name("model"), {"ModelPackageName": package}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.world.role, PrimaryContainer=container)
        return name

    def variant(self, model: str, name: str = "AllTraffic", **given: Any) -> dict[str, Any]:
        """A variant on two instances."""
        return {
            "VariantName": name,
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 2,
            "InitialVariantWeight": 1.0,
            **given,
        }

    def configuration(self, *variants: dict[str, Any], **given: Any) -> str:
        """An endpoint configuration."""
        name = self.name("config")
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=list(variants), **given)
        return name

    def endpoint(self, configuration: str) -> str:
        """An endpoint in service."""
        name = self.name("endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=configuration)
        settled = self.settled(name)
        assert settled["EndpointStatus"] == "InService", settled
        return name

    def serving(self, word: str = "old", before: str = "pass", **given: Any) -> str:
        """An endpoint in service on one model."""
        return self.endpoint(self.configuration(self.variant(self.model(word, before)), **given))

    def describe(self, endpoint: str) -> dict[str, Any]:
        """An endpoint's description."""
        return dict(self.sagemaker.describe_endpoint(EndpointName=endpoint))

    def settled(self, endpoint: str) -> dict[str, Any]:
        """An endpoint's description once nothing is under way."""
        final = ("InService", "Failed")
        return dict(self.world.until(lambda: self.describe(endpoint), lambda seen: seen["EndpointStatus"] in final))

    def ask(self, endpoint: str, body: str = "hello", **given: Any) -> tuple[str, str]:
        """The answer to a request, and the variant that gave it."""
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, ContentType="text/csv", **given)
        return answer["Body"].read().decode(), answer["InvokedProductionVariant"]

    def total(self, endpoint: str, metric: str, variant: str = "AllTraffic") -> float:
        """The sum of a metric of a variant in the last minutes."""
        now = datetime.now(UTC)
        points = self.cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    def alarm(self, endpoint: str, metric: str = "Invocation5XXErrors", **given: Any) -> str:
        """An alarm on a metric of an endpoint."""
        name = self.name("alarm")
        self.cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[
                {"Name": "EndpointName", "Value": endpoint},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            **{
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 1.0,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "TreatMissingData": "notBreaching",
                **given,
            },
        )
        return name

    def deploy(self, endpoint: str, model: str, routing: dict[str, Any], *alarms: str, bake: int = 0) -> str:
        """Begin to update an endpoint to a model; returns the new configuration."""
        configuration = self.configuration(self.variant(model))
        self.sagemaker.update_endpoint(
            EndpointName=endpoint,
            EndpointConfigName=configuration,
            DeploymentConfig={
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": routing,
                    "TerminationWaitInSeconds": bake,
                },
                **(
                    {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}}
                    if alarms
                    else {}
                ),
            },
        )
        return configuration

    def shifted(self, endpoint: str, word: str) -> None:
        """Ask until the coming model answers for the first time."""
        self.world.until(lambda: self.ask(endpoint)[0], lambda answer: answer.startswith(word))


@pytest.fixture(scope="session")
def hosting(start_sandbox: Callable[..., Any]) -> Iterator[Hosting]:
    """The sandbox that the tests share."""
    yield Hosting(start_sandbox()[1])


@pytest.fixture(scope="session")
def hosting_in() -> Callable[[Any], Hosting]:
    """Makes the helper for another sandbox."""
    return Hosting


@dataclass(frozen=True)
class Served:
    """An endpoint and the model that it serves."""

    name: str
    model: str


@pytest.fixture(scope="session")
def one_endpoint(hosting: Hosting) -> Served:
    """An endpoint for tests that leave it as it is."""
    model = hosting.model("old")
    return Served(hosting.endpoint(hosting.configuration(hosting.variant(model))), model)
