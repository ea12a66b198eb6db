"""The end of what Terraform has made, after every other test of it: nothing is left to do, then nothing is left."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.slow

ENVIRONMENTS = ("feature", "dev", "prod")


def test_a_second_plan_is_empty_and_reads_no_more_than_a_workflow_may(applied: Any, terraform: Any) -> None:
    for environment in ENVIRONMENTS:
        session = applied.from_github("plan", environment, "repo:acme@1/churn@2:pull_request")
        terraform.begin("plan", environment, "-detailed-exitcode", session=session)
    for environment, (code, printed) in terraform.end().items():
        assert code == 0, f"{environment}: {printed[printed.find('Error:') :]}"


def test_destroy_leaves_nothing_but_keys_that_wait_for_their_deletion(applied: Any, terraform: Any) -> None:
    keys = {environment: terraform.outputs(environment)["key"] for environment in ENVIRONMENTS}
    for environment in ENVIRONMENTS:
        terraform.begin("destroy", environment, "-auto-approve")
    for environment, (code, printed) in terraform.end().items():
        assert code == 0, f"{environment}: {printed[printed.find('Error:') :]}"

    for environment in ("dev", "prod"):
        iam = applied.client("iam", environment)
        assert applied.client("s3", environment).list_buckets()["Buckets"] == []
        assert iam.list_roles()["Roles"] == []
        assert iam.list_policies(Scope="Local")["Policies"] == []
        assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
        assert applied.client("cloudwatch", environment).describe_alarms()["MetricAlarms"] == []
        assert applied.client("sns", environment).list_topics()["Topics"] == []
        assert applied.client("cloudwatch", environment).list_dashboards()["DashboardEntries"] == []
        assert applied.client("ecr", environment).describe_repositories()["repositories"] == []
        assert applied.client("dynamodb", environment).list_tables()["TableNames"] == []
        assert applied.client("secretsmanager", environment).list_secrets()["SecretList"] == []
        assert applied.client("lambda", environment).list_functions()["Functions"] == []
        assert applied.client("sqs", environment).list_queues().get("QueueUrls", []) == []
        assert applied.client("events", environment).list_rules()["Rules"] == []
        assert applied.client("scheduler", environment).list_schedules()["Schedules"] == []
        groups = [
            each["logGroupName"] for each in applied.client("logs", environment).describe_log_groups()["logGroups"]
        ]
        # Of its jobs SageMaker makes them itself.
        assert [name for name in groups if not name.startswith("/aws/sagemaker/")] == []
    for environment, key in keys.items():
        found = applied.client("kms", environment).describe_key(KeyId=key)["KeyMetadata"]
        assert found["KeyState"] == "PendingDeletion"
