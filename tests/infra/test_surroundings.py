"""What is made around a model: repository of images, dashboard, table of checks, a place for the secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SERVING = {"feature": [], "dev": ["churn-dev"], "prod": ["churn-prod", "churn-prod-challenger"]}
INSTANCES = {"CPUUtilization", "MemoryUtilization", "GPUUtilization", "GPUMemoryUtilization", "DiskUtilization"}
REQUESTS = {"Invocations", "Invocation5XXErrors", "Invocation4XXErrors", "ModelLatency", "OverheadLatency"}


def test_images_are_kept_under_the_key_and_can_not_be_moved_to_another_tag(applied: Any, terraform: Any) -> None:
    ecr = applied.client("ecr", "feature")
    [repository] = ecr.describe_repositories()["repositories"]

    assert repository["repositoryUri"] == terraform.outputs("feature")["repository"]
    assert repository["repositoryName"] == "churn"
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfiguration"] == {
        "encryptionType": "KMS",
        "kmsKey": terraform.outputs("feature")["key"],
    }
    [rule] = json.loads(ecr.get_lifecycle_policy(repositoryName="churn")["lifecyclePolicyText"])["rules"]
    assert rule["selection"]["tagStatus"] == "untagged"
    assert applied.client("ecr", "prod").describe_repositories()["repositories"] == []


def test_the_other_accounts_may_pull_images_and_no_more(applied: Any) -> None:
    policy = json.loads(applied.client("ecr", "feature").get_repository_policy(repositoryName="churn")["policyText"])
    [statement] = policy["Statement"]

    assert statement["Principal"] == {"AWS": ["arn:aws:iam::222222222222:root"]} or statement["Principal"] == {
        "AWS": "arn:aws:iam::222222222222:root"
    }
    assert set(statement["Action"]) == {
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
        "ecr:BatchCheckLayerAvailability",
    }


@pytest.mark.parametrize("environment", SERVING)
def test_a_dashboard_shows_each_endpoint_by_every_metric(applied: Any, environment: str) -> None:
    cloudwatch = applied.client("cloudwatch", environment)
    name = f"churn-{environment}"
    listed = {each["DashboardName"] for each in cloudwatch.list_dashboards()["DashboardEntries"]}
    assert (name in listed) == bool(SERVING[environment])
    if not SERVING[environment]:
        return

    widgets = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])["widgets"]
    shown = [tuple(each) for widget in widgets for each in widget["properties"].get("metrics", [])]

    wanted = {("AWS/SageMaker", metric) for metric in REQUESTS} | {
        ("/aws/sagemaker/Endpoints", metric) for metric in INSTANCES
    }
    assert set(shown) == {
        (namespace, metric, "EndpointName", endpoint, "VariantName", "model")
        for namespace, metric in wanted
        for endpoint in SERVING[environment]
    }
    alarms = [
        each
        for each in cloudwatch.describe_alarms(AlarmNamePrefix=name)["MetricAlarms"]
        if each["Namespace"] != "AWS/SQS"
    ]
    assert widgets[0]["properties"]["alarms"] == sorted(each["AlarmArn"] for each in alarms)
    places = [(each["x"], each["y"]) for each in widgets]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_checks_are_in_a_table_that_is_encrypted_and_can_be_had_back(
    applied: Any, terraform: Any, environment: str
) -> None:
    dynamodb, name = applied.client("dynamodb", environment), f"churn-{environment}-checks"
    table = dynamodb.describe_table(TableName=name)["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]

    assert terraform.outputs(environment)["checks"] == name
    assert table["KeySchema"] == [{"AttributeName": "endpoint", "KeyType": "HASH"}]
    assert table["SSEDescription"]["KMSMasterKeyArn"] == terraform.outputs(environment)["key"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_each_account_has_one_place_for_the_key_of_the_github_app_and_nothing_in_it(applied: Any) -> None:
    for environment in ("dev", "prod"):
        client = applied.client("secretsmanager", environment)
        [secret] = client.list_secrets()["SecretList"]
        assert secret["Name"] == "churn-github-app"
        assert client.list_secret_version_ids(SecretId="churn-github-app")["Versions"] == []
