"""Serverless endpoints are refused what SageMaker does not have for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

SLOW = "import time; time.sleep(1.5 if body == 'slow' else 0)"


def serverless(hosting, model, **given):
    return {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 2, **given},
    }


@pytest.mark.parametrize(
    ("variant", "config", "said"),
    [
        ({"MemorySizeInMB": 1500}, {}, "1024 to 6144 in steps of 1024"),
        ({"ProvisionedConcurrency": 3}, {}, "must not be more than MaxConcurrency"),
        ({"MaxConcurrency": 201}, {}, "less than or equal to 200"),
        ({}, {"DataCaptureConfig": {"InitialSamplingPercentage": 1, "DestinationS3Uri": "s3://bucket/captured",
                                    "CaptureOptions": [{"CaptureMode": "Input"}]}}, "DataCaptureConfig"),
    ],
    ids=["memory", "provisioned", "concurrency", "capture"],
)  # fmt: skip
def test_a_configuration_has_serverless_limits(hosting, one_endpoint, variant, config, said):
    with pytest.raises(ClientError, match=said):
        hosting.configuration(serverless(hosting, one_endpoint.model, **variant), **config)


def test_a_model_that_is_isolated_or_in_a_network_is_not_served(hosting):
    name = hosting.name("isolated")
    data = hosting.world.archive(f"models/{name}/model.tar.gz", **{"code/inference__py": "def model_fn(f): return 1"})
    container = {"Image": hosting.world.image, "ModelDataUrl": data}
    hosting.sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=hosting.world.role, PrimaryContainer=container, EnableNetworkIsolation=True
    )

    with pytest.raises(ClientError, match="network isolation"):
        hosting.configuration(serverless(hosting, name))


def test_an_endpoint_with_instances_never_becomes_serverless(hosting, one_endpoint):
    to_serverless = hosting.configuration(serverless(hosting, one_endpoint.model))
    to_instances = hosting.configuration(hosting.variant(one_endpoint.model))
    endpoint = hosting.endpoint(to_serverless)

    hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=to_instances)

    assert hosting.settled(endpoint)["EndpointConfigName"] == to_instances
    with pytest.raises(ClientError, match="cannot be converted to a serverless endpoint"):
        hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=to_serverless)


def test_more_requests_than_it_takes_at_a_time_are_throttled(hosting):
    model = hosting.model("old", before=SLOW)
    endpoint = hosting.endpoint(hosting.configuration(serverless(hosting, model, MaxConcurrency=1)))

    def asked(body: str) -> str:
        try:
            return str(hosting.ask(endpoint, body)[0])
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(3) as pool:
        answers = sorted(pool.map(asked, ["slow"] * 3))

    assert answers.count("old slow") >= 1
    assert answers.count("ThrottlingException") >= 1
    assert asked("hello") == "old hello"
