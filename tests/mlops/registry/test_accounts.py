"""Accounts: credentials of one account see and make only what is in it, and say what they left."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops import aws
from mlops.errors import Failure
from mlops.hosting import deployment
from mlops.registry import groups, history, status
from mlops.settings.project import Settings
from mlops.setup import account, infrastructure


@pytest.fixture
def on_accounts(world: Any, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The project on AWS accounts, as someone's shell meets it that has the credentials of the first one."""
    monkeypatch.delenv("MLOPS_ASSUME_ROLES")
    hold(monkeypatch, world.feature.account)
    settings: Settings = world.settings.model_copy(update={"aws": "account"})
    return settings


def hold(monkeypatch: pytest.MonkeyPatch, account: str) -> None:
    """Give this process an account's credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"sandbox-{account}")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)


def test_groups_of_two_accounts_are_made_with_the_credentials_of_each(
    world: Any, on_accounts: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for environment in (world.dev, world.prod):
        world.client(environment).delete_model_package_group(ModelPackageGroupName=environment.group)

    with pytest.raises(Failure, match="222222222222; with those of that account: mlops groups create --env prod"):
        groups.create(on_accounts)
    assert [each.name for each in groups.listing(on_accounts)] == ["churn-feature", "churn-dev"]

    hold(monkeypatch, world.prod.account)
    made = groups.create(on_accounts, [on_accounts.environment("prod")])

    assert [each.name for each in made] == ["churn-prod"]


@pytest.mark.slow
@pytest.mark.parametrize("policy", [None, "of an account that prod has left"])
def test_a_group_that_the_next_account_can_not_read_is_not_right_and_bootstrap_mends_it(
    world: Any, on_accounts: Settings, policy: str | None
) -> None:
    dev, client = on_accounts.environment("dev"), world.client(world.dev)
    client.delete_model_package_group(ModelPackageGroupName=dev.group)
    client.create_model_package_group(ModelPackageGroupName=dev.group)
    if policy:
        former = json.dumps(groups.policy(on_accounts, dev, dev.group, ["333333333333"]))
        client.put_model_package_group_policy(ModelPackageGroupName=dev.group, ResourcePolicy=former)
    session = aws.base(on_accounts, dev)

    step = account.groups_step(on_accounts, session, dev)
    doubt = infrastructure.group(session, on_accounts, dev, dev.group)

    assert (step.deed, step.detail) == ("change", "churn-dev: who may read")
    assert (doubt.passed, doubt.found) == (False, "its policy does not let 222222222222 read")
    assert step.act is not None
    step.act()
    assert account.groups_step(on_accounts, session, dev).deed == "keep"
    assert infrastructure.group(session, on_accounts, dev, dev.group).passed


def test_a_key_that_lets_no_alarm_be_told_is_not_right(world: Any, on_accounts: Settings) -> None:
    dev = on_accounts.environment("dev")
    session = aws.base(on_accounts, dev)
    kms = aws.client(session, "kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    named = dev.model_copy(update={"kms_key": key, "keys_in": "eu-west-1"})

    silent = list(infrastructure.key(session, named))[-1]
    services = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
    use = {"Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "*"}
    own = {"StringEquals": {"aws:SourceAccount": dev.account}}
    statement = {"Effect": "Allow", "Principal": {"Service": services}, **use, "Condition": own}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({"Statement": [statement]}))

    assert not silent.passed
    assert f"{key} does not let {' and '.join(services)} use it" in silent.found
    assert [each.passed for each in infrastructure.key(session, named)] == [True, True]


def test_the_credentials_of_another_account_are_refused_before_anything_is_looked_for(
    world: Any, on_accounts: Settings
) -> None:
    world.in_dev()
    with pytest.raises(Failure, match="prod is in account 222222222222 and the credentials are of 111111111111"):
        deployment.deploy(on_accounts, on_accounts.environment("prod"), world.progress)


def test_what_looks_everywhere_names_the_environments_that_it_can_not_look_into(
    world: Any, on_accounts: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.in_dev()
    said: list[str] = []

    assert {row.environment for row in status.status(on_accounts, said.append)} == {"feature", "dev"}
    assert {event.group for event in history.history(on_accounts, said.append)} == {"churn-feature", "churn-dev"}
    assert [line.split(":")[0] for line in said] == ["prod is left out", "prod is left out"]

    hold(monkeypatch, "333333333333")
    with pytest.raises(Failure, match="feature is in account 111111111111 and the credentials are of 333333333333"):
        status.status(on_accounts, said.append)


def test_a_role_is_taken_on_again_before_its_hour_ends(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session = aws.session(world.settings, world.dev, "deploy")
    sagemaker = aws.client(session, "sagemaker")
    sagemaker.list_endpoint_configs()
    world.forget_calls()
    sagemaker.list_endpoint_configs()
    assert world.calls("AssumeRole") == []

    session.get_credentials()._expiry_time = datetime.now(UTC) + timedelta(minutes=1)
    sagemaker.list_endpoint_configs()

    assert world.calls("AssumeRole") == ["AssumeRole"]


def test_a_session_that_has_ended_says_that_a_second_run_carries_on() -> None:
    error = ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "it is expired"}}, "DescribeEndpoint")
    with pytest.raises(Failure, match="run the same command again"), aws.explained("DescribeEndpoint", "churn-prod"):
        raise error


def test_a_role_is_known_to_be_of_its_account(world: Any) -> None:
    accounts = [aws.account_of(aws.session(world.settings, each, "deploy")) for each in (world.dev, world.prod)]

    assert accounts == ["111111111111", "222222222222"]
