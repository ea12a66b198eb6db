"""What starts workflows: rules that fit the events that are meant, a function that knows them, rights for no more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambdas.events import Ignored, Watched, meaning

pytestmark = pytest.mark.slow

ENVIRONMENTS = ("feature", "dev", "prod")
RULES = {
    "feature": {"trained", "processed"},
    "dev": {"drifted"},
    "prod": {"approved", "drifted"},
}
OTHERS = ("hours", "checks")
"""Functions with a rule of the same name: test_hours.py and test_checks.py have them."""

PACKAGE = "arn:aws:sagemaker:eu-west-1:222222222222:model-package/churn-prod-champion/7"


def event(source: str, kind: str, **detail: Any) -> dict[str, Any]:
    found = {"source": source, "detail-type": kind, "detail": detail}
    return {"id": "1", "time": "2026-11-21T10:00:00Z", "resources": [], "version": "0", **found}


def approval(group: str = "churn-prod-champion", status: str = "Approved") -> dict[str, Any]:
    return event(
        "aws.sagemaker", "SageMaker Model Package State Change", ModelPackageGroupName=group, ModelPackageVersion=7,
        ModelPackageArn=PACKAGE, ModelPackageStatus="Completed", ModelApprovalStatus=status,
    )  # fmt: skip


def job(name: str, status: str, kind: str = "Training") -> dict[str, Any]:
    said = {f"{kind}JobName": name, f"{kind}JobStatus": status}
    return event("aws.sagemaker", f"SageMaker {kind} Job State Change", **said)


def alarm(name: str, state: str = "ALARM") -> dict[str, Any]:
    return event("aws.cloudwatch", "CloudWatch Alarm State Change", alarmName=name, state={"value": state})


EVENTS = [
    ("prod", approval(), "approved", "approved.yml"),
    ("prod", approval(status="Rejected"), None, None),
    ("prod", approval("fraud-prod"), None, None),
    ("dev", approval("churn-dev"), None, None),
    ("feature", job("churn-feature-train-01234567-1", "Completed"), "trained", "training-finished.yml"),
    ("feature", job("churn-feature-train-01234567-1", "Failed"), "trained", "training-finished.yml"),
    ("feature", job("churn-feature-train-01234567-1", "InProgress"), None, None),
    ("feature", job("churn-features-1", "Completed"), None, None),
    (
        "feature",
        job("churn-feature-evaluate-01234567-1", "Stopped", "Processing"),
        "processed",
        "training-finished.yml",
    ),
    ("feature", job("churn-feature-evaluate-01234567-1", "InProgress", "Processing"), None, None),
    # The gate's job there: no run leaves it, and nobody takes it up.
    ("dev", job("churn-dev-score-01234567-1", "Completed", "Processing"), None, None),
    ("prod", alarm("churn-prod-drift"), "drifted", "retrain.yml"),
    ("prod", alarm("churn-prod-challenger-drift"), "drifted", "retrain.yml"),
    ("prod", alarm("churn-prod-drift", "OK"), None, None),
    ("prod", alarm("churn-prod-errors"), None, None),
]


def function(cloud: Any, environment: str) -> dict[str, Any]:
    name = f"churn-{environment}-dispatch"
    return dict(cloud.client("lambda", environment).get_function_configuration(FunctionName=name))


def patterns(cloud: Any, environment: str) -> dict[str, str]:
    """The rules of an environment that have the function as their only target, by the ends of their names."""
    events, prefix = cloud.client("events", environment), f"churn-{environment}-"
    found = {}
    for rule in events.list_rules(NamePrefix=prefix)["Rules"]:
        if rule["Name"].removeprefix(prefix) in OTHERS:
            continue
        targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        assert [target["Arn"] for target in targets] == [function(cloud, environment)["FunctionArn"]]
        assert rule["State"] == "ENABLED"
        found[rule["Name"].removeprefix(prefix)] = rule["EventPattern"]
    return found


@pytest.mark.parametrize(("environment", "given", "rule", "workflow"), EVENTS)
def test_an_event_comes_by_its_rule_and_means_its_workflow(
    applied: Any, monkeypatch: pytest.MonkeyPatch, environment: str, given: Any, rule: str | None, workflow: str | None
) -> None:
    from moto.events.models import EventPattern

    for name, value in function(applied, environment)["Environment"]["Variables"].items():
        monkeypatch.setenv(name, value)
    rules = patterns(applied, environment)
    fitting = {name for name, pattern in rules.items() if EventPattern.load(pattern).matches_event(given)}

    assert rules.keys() == RULES[environment]
    assert fitting == ({rule} if rule else set())
    if workflow:
        assert meaning(given, Watched.from_variables()).workflow == workflow
    else:
        # What no rule lets through would start nothing either.
        with pytest.raises(Ignored):
            meaning(given, Watched.from_variables())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_its_rules_may_call_the_function(applied: Any, environment: str) -> None:
    account = function(applied, environment)["FunctionArn"].split(":")[4]
    name = f"churn-{environment}-dispatch"
    rules = f"arn:aws:events:eu-west-1:{account}:rule/churn-{environment}-"
    policy = json.loads(applied.client("lambda", environment).get_policy(FunctionName=name)["Policy"])

    assert {
        (each["Principal"]["Service"], each["Action"], each["Condition"]["ArnLike"]["AWS:SourceArn"])
        for each in policy["Statement"]
    } == {("events.amazonaws.com", "lambda:InvokeFunction", f"{rules}{rule}") for rule in RULES[environment]}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_function_has_rights_to_its_own_things_only(
    applied: Any, terraform: Any, rights_of_dispatch: Any, environment: str
) -> None:
    name = f"churn-{environment}-dispatch"
    iam = applied.client("iam", environment)
    document = iam.get_role_policy(RoleName=name, PolicyName="mlops")["PolicyDocument"]
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    account = function(applied, environment)["FunctionArn"].split(":")[4]
    granted = {
        (action, each["Resource"])
        for each in document["Statement"]
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }

    here, key = f"eu-west-1:{account}", terraform.outputs(environment)["key"]
    assert granted == {
        ("logs:CreateLogStream", f"arn:aws:logs:{here}:log-group:/aws/lambda/{name}:*"),
        ("logs:PutLogEvents", f"arn:aws:logs:{here}:log-group:/aws/lambda/{name}:*"),
        *rights_of_dispatch(account, f"churn-{environment}"),
        ("sqs:SendMessage", f"arn:aws:sqs:{here}:{name}-failed"),
        ("kms:Decrypt", key),
        ("kms:GenerateDataKey", key),
    }  # fmt: skip
    assert [each["Principal"] for each in trust["Statement"]] == [{"Service": "lambda.amazonaws.com"}]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_logs_end_failed_events_are_kept_and_all_is_under_the_key(
    applied: Any, terraform: Any, environment: str
) -> None:
    name, key = f"churn-{environment}-dispatch", terraform.outputs(environment)["key"]
    made = function(applied, environment)
    (group,) = applied.client("logs", environment).describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")[
        "logGroups"
    ]
    queues = applied.client("sqs", environment)
    url = queues.get_queue_url(QueueName=f"{name}-failed")["QueueUrl"]
    queue = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    invoked = applied.client("lambda", environment).get_function_event_invoke_config(FunctionName=name)
    table = applied.client("dynamodb", environment).describe_table(TableName=f"churn-{environment}-events")["Table"]

    assert (group["retentionInDays"], group["kmsKeyId"], made["KMSKeyArn"]) == (90, key, key)
    assert (queue["KmsMasterKeyId"], queue["MessageRetentionPeriod"]) == (key, "1209600")
    assert invoked["DestinationConfig"]["OnFailure"]["Destination"] == queue["QueueArn"]
    assert table["SSEDescription"]["KMSMasterKeyArn"] == key
    assert made["Handler"] == "lambdas.dispatch.handler"
    assert made["Environment"]["Variables"]["GITHUB_REPOSITORY"] == "acme/churn"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_somebody_is_told_of_an_event_that_failed(applied: Any, terraform: Any, environment: str) -> None:
    functions = applied.client("lambda", environment).list_functions()["Functions"]
    names = {each["FunctionName"] for each in functions if each["FunctionName"].startswith(f"churn-{environment}-")}
    alarms = {
        each["Dimensions"][0]["Value"]: each
        for each in applied.client("cloudwatch", environment).describe_alarms()["MetricAlarms"]
        if each["Namespace"] == "AWS/SQS" and each["AlarmName"].startswith(f"churn-{environment}-")
    }

    assert alarms.keys() == {f"{name}-failed" for name in names}
    assert f"churn-{environment}-dispatch" in names
    for queue, alarm in alarms.items():
        assert (alarm["AlarmName"], alarm["Dimensions"][0]["Name"]) == (queue, "QueueName")
        assert alarm["AlarmActions"] == [terraform.outputs(environment)["topic"]]
        assert (alarm["MetricName"], alarm["Statistic"]) == ("ApproximateNumberOfMessagesVisible", "Maximum")
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
