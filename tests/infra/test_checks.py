"""The function that checks what comes to serve: its rights, its rule, and that it is there where events come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlops.settings import project as machinery

pytestmark = pytest.mark.slow

SERVING = {"dev": ["churn-dev"], "prod": ["churn-prod", "churn-prod-challenger"]}
ACCOUNTS = {"dev": "111111111111", "prod": "222222222222"}


def function(cloud: Any, environment: str) -> dict[str, Any]:
    found = cloud.client("lambda", environment).get_function_configuration(FunctionName=f"churn-{environment}-checks")
    return dict(found)


@pytest.mark.parametrize("environment", SERVING)
def test_the_function_has_the_rights_that_it_is_run_with_and_those_of_every_function(
    applied: Any, terraform: Any, rights_of_checks: Any, environment: str
) -> None:
    name, account = f"churn-{environment}-checks", ACCOUNTS[environment]
    document = applied.client("iam", environment).get_role_policy(RoleName=name, PolicyName="mlops")["PolicyDocument"]

    granted = {
        (action, resource)
        for each in document["Statement"]
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
        for resource in ([each["Resource"]] if isinstance(each["Resource"], str) else each["Resource"])
    }

    key, log = terraform.outputs(environment)["key"], f"arn:aws:logs:eu-west-1:{account}:log-group:/aws/lambda/{name}:*"
    assert granted == rights_of_checks(account, f"churn-{environment}", SERVING[environment]) | {
        ("logs:CreateLogStream", log),
        ("logs:PutLogEvents", log),
        ("sqs:SendMessage", f"arn:aws:sqs:eu-west-1:{account}:{name}-failed"),
        ("kms:Decrypt", key),
        ("kms:GenerateDataKey", key),
    }
    assert {each["Effect"] for each in document["Statement"]} == {"Allow"}


@pytest.mark.parametrize("environment", SERVING)
def test_it_is_told_of_endpoints_in_service_and_of_nothing_else(applied: Any, environment: str) -> None:
    from moto.events.models import EventPattern

    events, rule = applied.client("events", environment), f"churn-{environment}-checks"
    pattern = EventPattern.load(events.describe_rule(Name=rule)["EventPattern"])

    def fits(endpoint: str, status: str = "IN_SERVICE", kind: str = "SageMaker Endpoint State Change") -> bool:
        detail = {"EndpointName": endpoint, "EndpointStatus": status}
        return bool(pattern.matches_event({"source": "aws.sagemaker", "detail-type": kind, "detail": detail}))

    assert all(fits(endpoint) for endpoint in SERVING[environment])
    assert fits(SERVING[environment][0], kind="SageMaker Endpoint Deployment State Change")
    assert not fits("fraud-prod")
    assert not fits(SERVING[environment][0], "UPDATING")
    targets = events.list_targets_by_rule(Rule=rule)["Targets"]
    assert [each["Arn"] for each in targets] == [function(applied, environment)["FunctionArn"]]


@pytest.mark.parametrize("environment", SERVING)
def test_it_knows_the_table_the_topic_and_the_secret(applied: Any, terraform: Any, environment: str) -> None:
    made, outputs = function(applied, environment), terraform.outputs(environment)

    assert made["Handler"] == "lambdas.checks.handler"
    assert made["Timeout"] == 900
    assert made["Environment"]["Variables"] == {
        "ENDPOINTS": ",".join(SERVING[environment]),
        "TABLE": outputs["checks"],
        "TOPIC": outputs["topic"],
        "SLACK_SECRET": "churn-slack",
        "AWS_MAX_ATTEMPTS": "2",
    }


def test_an_endpoint_of_which_sagemaker_promises_no_event_is_not_waited_for(initialised: Any, tmp_path: Path) -> None:
    def checked(endpoint: str, challenger: str = "{}") -> Any:
        file = tmp_path / "mlops.yaml"
        file.write_text(
            "{project: churn, package: churn, region: eu-west-1, scenario: advanced, stages: {}, environments: ["
            '{name: dev, account: "111111111111"}, {name: prod, account: "222222222222", approval: manual, '
            f"endpoint: {endpoint}, challenger: {{endpoint: {challenger}}}}}]}}"
        )
        machinery.read(file)
        return initialised.evaluate("local.checked", f"-var=settings={file}", "-var=environment=prod")

    assert checked("{kind: serverless}") == []
    assert checked("{kind: serverless}", "{kind: real_time}") == ["churn-prod-challenger"]
    assert checked("{}", "{kind: serverless}") == ["churn-prod"]
    assert checked("{}") == ["churn-prod", "churn-prod-challenger"]


def test_where_nothing_serves_nothing_is_checked(applied: Any) -> None:
    names = {each["FunctionName"] for each in applied.client("lambda", "feature").list_functions()["Functions"]}

    assert "churn-feature-dispatch" in names and "churn-feature-checks" not in names
