"""The doctor weighs each role's trust as STS does, statement by statement: what it names in vain does not pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from mlops import aws
from mlops.settings.project import Settings
from mlops.settings.project import load as settings_of
from mlops.setup import roles
from mlops.setup import trust as weighed
from sandbox import trust
from sandbox.authorization import trusts
from sandbox.project import Environment

ACCOUNT, SUBJECT = "222222222222", "acme@1/churn@2"
GITHUB = weighed.GITHUB
PROD = Environment("churn", "prod", ACCOUNT, False, True, ("churn-prod",), ("churn-prod",))
RIGHT = trust.of_people(PROD, SUBJECT, ["prod"], ["main"])

Change = Callable[[dict[str, Any]], None]


def condition(policy: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = policy["Statement"][1]["Condition"]
    return found


def any_place(policy: dict[str, Any]) -> None:
    del condition(policy)["StringEquals"][f"{GITHUB}:sub"]
    condition(policy)["StringLike"] = {f"{GITHUB}:sub": f"repo:{SUBJECT}:*"}


def any_repository_of_the_owner(policy: dict[str, Any]) -> None:
    del condition(policy)["StringEquals"][f"{GITHUB}:sub"]
    condition(policy)["StringLike"] = {f"{GITHUB}:sub": "repo:acme@1/*:environment:prod"}


def any_subject(policy: dict[str, Any]) -> None:
    del condition(policy)["StringEquals"][f"{GITHUB}:sub"]


def any_branch(policy: dict[str, Any]) -> None:
    del condition(policy)["StringEquals"][f"{GITHUB}:ref"]


def old_form(policy: dict[str, Any]) -> None:
    condition(policy)["StringEquals"][f"{GITHUB}:sub"] = "repo:acme/churn:environment:prod"


def as_audience(policy: dict[str, Any]) -> None:
    condition(policy)["StringEquals"][f"{GITHUB}:aud"] = f"repo:{SUBJECT}:environment:prod"


def denied(policy: dict[str, Any]) -> None:
    policy["Statement"].append({**policy["Statement"][1], "Effect": "Deny"})


def by_another_action(policy: dict[str, Any]) -> None:
    policy["Statement"][1]["Action"] = "sts:AssumeRole"


def of_another_account(policy: dict[str, Any]) -> None:
    policy["Statement"][1]["Principal"] = {"Federated": f"arn:aws:iam::111111111111:oidc-provider/{GITHUB}"}


def by_the_hour(policy: dict[str, Any]) -> None:
    condition(policy)["DateLessThan"] = {"aws:CurrentTime": "2030-01-01T00:00:00Z"}


def written_otherwise(policy: dict[str, Any]) -> None:
    equals = condition(policy).pop("StringEquals")
    condition(policy)["ForAnyValue:StringLike"] = {key.upper(): value for key, value in equals.items()}
    policy["Statement"][1]["Action"] = ["sts:TagSession", "sts:AssumeRoleWith*"]


def nothing(policy: dict[str, Any]) -> None:
    del policy["Statement"][0]


CHANGES: list[tuple[Change, str]] = [
    (nothing, ""),
    (written_otherwise, ""),
    (any_place, "lets in repo:acme@1/churn@2:environment:another on refs/heads/main too"),
    (any_repository_of_the_owner, "lets in repo:acme@1/another@1:environment:prod on refs/heads/main too"),
    (any_subject, "lets in repo:acme@1/another@1:environment:prod"),
    (any_branch, "lets in repo:acme@1/churn@2:environment:prod on refs/heads/feature/another too"),
    (old_form, "does not let in repo:acme@1/churn@2:environment:prod on refs/heads/main"),
    (as_audience, "does not let in repo:acme@1/churn@2:environment:prod"),
    (denied, "does not let in repo:acme@1/churn@2:environment:prod"),
    (by_another_action, "does not let in repo:acme@1/churn@2:environment:prod"),
    (of_another_account, "does not let in repo:acme@1/churn@2:environment:prod"),
    (by_the_hour, "the condition DateLessThan of its trust is not understood"),
]


def policy_after(change: Change) -> dict[str, Any]:
    policy = deepcopy(RIGHT)
    change(policy)
    return policy


@pytest.mark.parametrize("change", [each for each, _ in CHANGES if each is not by_the_hour])
def test_the_machinery_and_the_sandbox_weigh_a_trust_alike(change: Change) -> None:
    policy = policy_after(change)
    provider = {("Federated", f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}")}
    found = []
    for repository in (SUBJECT, "acme/churn", "acme@1/churn@22", "other@3/churn@2"):
        for place in ("environment:prod", "environment:dev", "pull_request", "ref:refs/heads/main"):
            for ref in ("refs/heads/main", "refs/heads/dev"):
                for audience in (weighed.AUDIENCE, "https://github.com/acme"):
                    asker = weighed.workflow(ACCOUNT, f"repo:{repository}:{place}", ref, audience)
                    context = {key: [value] for key, value in asker.claims.items()}
                    found.append((weighed.lets(policy, asker), trusts(policy, provider, weighed.BY_TOKEN, context)))

    assert all(ours == theirs for ours, theirs in found)


@pytest.fixture(scope="module")
def cloud(sandbox: Callable[..., Any]) -> Any:
    """Accounts with nothing in them."""
    return sandbox("--bare")


@pytest.fixture
def project(cloud: Any, settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The project, and credentials of production's account."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"sandbox-{ACCOUNT}")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    (tmp_path / "mlops.yaml").write_text(settings.read_text().replace("aws: sandbox", "aws: account"))
    return settings_of(tmp_path)


@pytest.fixture
def role(cloud: Any) -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """Makes a role with a trust policy; all of them are gone afterwards."""
    iam, made = cloud.client("iam", "prod"), []

    def make(name: str, policy: dict[str, Any]) -> None:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policy))
        made.append(name)

    yield make
    for name in made:
        iam.delete_role(RoleName=name)


@pytest.mark.slow
@pytest.mark.parametrize(("change", "wrong"), CHANGES)
def test_a_trust_that_lets_the_wrong_in_or_the_right_not_is_named(
    project: Settings, role: Any, change: Change, wrong: str
) -> None:
    role("churn-prod-deploy", policy_after(change))
    prod, session = project.environment("prod"), aws.opened(project.region)

    line = roles.of_duty(project, session, prod, "deploy", SUBJECT)

    assert line.passed is (wrong == "")
    assert wrong in line.found
    assert line.fix == ("" if line.passed else roles.MAKE)


@pytest.mark.slow
def test_a_named_role_only_has_to_let_the_right_in(project: Settings, role: Any) -> None:
    role("theirs", policy_after(any_place))
    prod = project.environment("prod")
    named = prod.model_copy(update={"roles": prod.roles.model_copy(update={"deploy": "theirs"})})

    assert roles.of_duty(project, aws.opened(project.region), named, "deploy", SUBJECT).passed


@pytest.mark.slow
@pytest.mark.parametrize("gates", [[], ["prod-approval"]])
def test_where_no_workflow_approves_the_role_trusts_people_alone(
    project: Settings, role: Any, gates: list[str]
) -> None:
    role("churn-prod-approve", trust.of_people(PROD, SUBJECT if gates else None, gates, ["main"]))
    values = project.root / "infra" / "environments" / "prod.tfvars"
    values.parent.mkdir(parents=True)
    values.write_text("workflow_approves = false\n")

    line = roles.of_duty(project, aws.opened(project.region), project.environment("prod"), "approve", SUBJECT)

    assert line.passed is (gates == [])
    assert ("workflows" in line.found) is bool(gates)


@pytest.mark.slow
def test_every_role_is_looked_at_those_of_people_too(project: Settings, role: Any) -> None:
    account = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    sign_on = {"Condition": {"ArnLike": {"aws:PrincipalArn": ["arn:aws:iam::111111111111:role/sso/Rota_*"]}}}
    version = "2012-10-17"
    role("churn-prod-execution", {"Version": version, "Statement": {**account, "Principal": {"AWS": "*"}}})
    role("churn-prod-prune", {"Version": version, "Statement": account})
    role("churn-prod-operations", {"Version": version, "Statement": {**account, **sign_on}})
    role("churn-prod-ml-engineer", {"Version": version, "Statement": {**account, "Principal": "*"}})
    values = project.root / "infra" / "environments" / "prod.tfvars"
    values.parent.mkdir(parents=True)
    values.write_text('environment = "prod"\npeople = {\n  data-scientist = { principals = [] }\n}\n')

    found = {
        line.what.removeprefix("role churn-prod-"): line
        for line in roles.checks(project, aws.opened(project.region), project.environment("prod"), SUBJECT)
    }

    assert {name for name, line in found.items() if line.passed} == {"prune", "operations"}
    assert found["operations"].found == "taken on by arn:aws:iam::111111111111:role/sso/Rota_*"
    assert "everybody" in found["ml-engineer"].found
    assert "sagemaker.amazonaws.com" in found["execution"].found
    assert {"deploy", "approve", "destroy", "monitor", "schedule", "plan", "data-scientist"} <= found.keys()
