"""Endpoints that run by the clock: schedules at their times, a function with the rights of a stop and a start only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlops.settings import project as machinery

pytestmark = pytest.mark.slow


def statements(cloud: Any, role: str) -> list[dict[str, Any]]:
    document = cloud.client("iam", "dev").get_role_policy(RoleName=role, PolicyName="mlops")["PolicyDocument"]
    return [dict(each) for each in document["Statement"]]


def test_the_schedules_are_at_the_hours_of_the_settings_and_reach_the_function_only(applied: Any) -> None:
    scheduler = applied.client("scheduler", "dev")
    found = {
        each["Name"]: scheduler.get_schedule(Name=each["Name"], GroupName=each["GroupName"])
        for each in scheduler.list_schedules()["Schedules"]
    }

    assert {
        name: (each["ScheduleExpression"], each["ScheduleExpressionTimezone"], json.loads(each["Target"]["Input"]))
        for name, each in found.items()
    } == {
        "churn-dev-start": ("cron(5 7 ? * MON-FRI *)", "Europe/Berlin", {"action": "start", "endpoint": "churn-dev"}),
        # On each day: a deployment at the weekend brings it up too.
        "churn-dev-stop": ("cron(0 20 * * ? *)", "Europe/Berlin", {"action": "stop", "endpoint": "churn-dev"}),
    }
    function = applied.client("lambda", "dev").get_function_configuration(FunctionName="churn-dev-hours")
    assert {each["Target"]["Arn"] for each in found.values()} == {function["FunctionArn"]}
    (may,) = statements(applied, "churn-dev-scheduler")
    assert (may["Action"], may["Resource"]) == ("lambda:InvokeFunction", function["FunctionArn"])


def test_the_function_has_the_rights_of_the_schedules_role_and_its_logs(applied: Any, terraform: Any) -> None:
    own = statements(applied, "churn-dev-schedule")
    more = [each for each in statements(applied, "churn-dev-hours") if each not in own]
    trust = applied.client("iam", "dev").get_role(RoleName="churn-dev-hours")["Role"]["AssumeRolePolicyDocument"]

    assert {str(each["Resource"]).rpartition(":")[2] for each in more} == {"*", "churn-dev-hours-failed"}
    assert [each["Resource"] for each in more if "logs:PutLogEvents" in each["Action"]] == [
        "arn:aws:logs:eu-west-1:111111111111:log-group:/aws/lambda/churn-dev-hours:*"
    ]
    assert [each["Principal"] for each in trust["Statement"]] == [{"Service": "lambda.amazonaws.com"}]


def test_an_endpoint_that_is_in_service_again_is_told_to_the_function(applied: Any) -> None:
    from moto.events.models import EventPattern

    made = applied.client("lambda", "dev").get_function_configuration(FunctionName="churn-dev-hours")
    event = {"detail-type": "SageMaker Endpoint State Change", "source": "aws.sagemaker",
             "detail": {"EndpointName": "churn-dev", "EndpointStatus": "IN_SERVICE"}}  # fmt: skip
    events = applied.client("events", "dev")
    pattern = events.describe_rule(Name="churn-dev-hours")["EventPattern"]
    targets = events.list_targets_by_rule(Rule="churn-dev-hours")["Targets"]

    assert made["Handler"] == "lambdas.hours.handler"
    assert made["Environment"]["Variables"] == {"BUCKET": "churn-dev-111111111111", "ENDPOINTS": "churn-dev"}
    assert EventPattern.load(pattern).matches_event(event)
    assert not EventPattern.load(pattern).matches_event({**event, "detail": {**event["detail"], "EndpointStatus": "X"}})
    assert [each["Arn"] for each in targets] == [made["FunctionArn"]]


def test_without_hours_there_is_nothing_of_it(applied: Any) -> None:
    assert applied.client("scheduler", "prod").list_schedules()["Schedules"] == []
    names = {each["FunctionName"] for each in applied.client("lambda", "prod").list_functions()["Functions"]}
    assert names == {"churn-prod-dispatch", "churn-prod-checks"}


def test_the_settings_here_are_ones_that_the_machinery_takes(settings: Any) -> None:
    hours = machinery.read(settings).environment("dev").endpoint.hours

    assert (hours.start, hours.stop, hours.days, hours.timezone) == ("07:05", "20:00", "MON-FRI", "Europe/Berlin")
