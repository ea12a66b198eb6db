"""Schedules stop and start an endpoint through the function: its zip, run as AWS runs it, on the sandbox."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.slow

BUCKET, ENDPOINT, CONFIG = "churn-prod-222222222222", "churn-prod", "of-somebody"
RECORD = {"Bucket": BUCKET, "Key": f"endpoints/{ENDPOINT}/stopped.json"}


@pytest.fixture(scope="module")
def hours(functions: Any, cloud: Any) -> Any:
    """The function, with the variables that Terraform gives it."""
    return functions("lambdas.hours.handler", **cloud.variables(), BUCKET=BUCKET, ENDPOINTS=ENDPOINT)


def action(name: str, endpoint: str = ENDPOINT) -> dict[str, str]:
    """What a schedule sends."""
    return {"action": name, "endpoint": endpoint}


def in_service(endpoint: str = ENDPOINT, status: str = "IN_SERVICE") -> dict[str, Any]:
    """SageMaker's event, in the form of its documentation."""
    arn = f"arn:aws:sagemaker:eu-west-1:222222222222:endpoint/{endpoint}"
    return {
        "version": "0", "id": "d2921b5a-b0ea-a8a6-8a3a-000000000000", "source": "aws.sagemaker",
        "detail-type": "SageMaker Endpoint State Change", "account": "222222222222", "region": "eu-west-1",
        "time": "1583831889050", "resources": [arn],
        "detail": {
            "EndpointName": endpoint, "EndpointArn": arn, "EndpointConfigName": CONFIG, "EndpointStatus": status,
            "ProductionVariants": [{"DesiredWeight": 1.0, "DesiredInstanceCount": 1.0}],
            "CreationTime": 1592411992203.0, "LastModifiedTime": 1592411994287.0, "Tags": {},
        },
    }  # fmt: skip


OTHERS = {
    "another endpoint": action("stop", "fraud-prod"),
    "another action": action("delete"),
    "no endpoint": {"action": "stop"},
    "an endpoint that is a list": {"action": "stop", "endpoint": [ENDPOINT]},
    "no action": {"action": None, "endpoint": ENDPOINT},
    "no detail": {**in_service(), "detail": None},
    "no status": {**in_service(), "detail": {"EndpointName": ENDPOINT}},
    "another kind": {**in_service(), "detail-type": "SageMaker Model State Change"},
    "an update": in_service(status="UPDATING"),
    "an event of another": in_service("fraud-prod"),
    "empty": {},
    "a list": [1],
    "nothing": None,
}


@pytest.mark.parametrize("given", OTHERS.values(), ids=OTHERS.keys())
def test_what_is_not_its_own_ends_with_a_line_in_the_log(hours: Any, given: Any) -> None:
    answer = hours(given)

    (line,) = [json.loads(line) for line in answer.log.splitlines() if line.startswith("{")]
    assert (answer.result, answer.error) == ({"done": None}, None)
    assert line["message"] == "ignored" and line["why"]


def test_an_endpoint_that_is_not_there_is_neither_stopped_nor_started(hours: Any, cloud: Any) -> None:
    done = [hours(given).result["done"] for given in (action("stop"), action("start"), in_service())]

    assert done == ["not there", "not stopped", "not stopped"]
    assert "Contents" not in cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="endpoints/")


def test_a_start_that_aws_refuses_is_an_error_that_says_why_and_changes_nothing(hours: Any, cloud: Any) -> None:
    kept = json.dumps({"config": CONFIG, "tags": []}).encode()
    cloud.client("s3").put_object(**RECORD, Body=kept)

    first, second = hours(action("start")), hours(in_service())

    assert first.error is not None and f"CreateEndpoint {ENDPOINT}" in first.error and CONFIG in first.error
    assert second.error is not None and "it scales when it is InService" in second.error
    assert cloud.client("s3").get_object(**RECORD)["Body"].read() == kept
    cloud.client("s3").delete_object(**RECORD)
