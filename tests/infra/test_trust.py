"""Which subjects of GitHub take which role on: those of one repository in the environments of the role only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import trust
from sandbox.authorization import trusts
from sandbox.project import Environment

ISSUER = "token.actions.githubusercontent.com"
ACCOUNTS = {"feature": "111111111111", "dev": "111111111111", "prod": "222222222222"}
NEW, OLD = "acme@1/churn@2", "acme/churn"
STRANGERS = (
    "acme@1/churn@3",  # deleted and made again under its name
    "acme@9/churn@2",  # the owner's name taken over by another
    "stranger@5/churn@6",  # a fork
    "stranger/churn",
    "acme@1/churn-2@2",
    "acme@1/churn@22",
    "acme@11/churn@2",
    "xacme@1/churn@2",
    "acme@1/xchurn@2",
    "acme/churn2",
    "acme/churn-infra",
    "Acme/churn",
    "acme/*",
    "acme@1/*",
    "*",
    "*/churn",
)
PLACES = (
    "environment:feature-infra", "environment:dev-infra", "environment:prod-infra",
    "environment:feature", "environment:dev", "environment:prod", "environment:dev-approval",
    "environment:prod-approval", "environment:prod-challenger-approval", "environment:prod-destroy",
    "environment:production", "environment:Prod", "environment:prod2", "environment:*", "environment:",
    "environment:prod:ref:refs/heads/main", "environment:feature:environment:prod", "pull_request",
    "ref:refs/heads/main", "ref:refs/heads/dev", "ref:refs/heads/environment:prod", "ref:refs/tags/v1",
    "ref:refs/tags/environment:prod", "ref:refs/pull/1/merge", "", "*",
)  # fmt: skip
GATES = {
    ("feature", "train"): {"feature"},
    ("feature", "deploy"): {"feature"},
    ("feature", "image"): {"feature"},
    ("feature", "prune"): set(),
    ("feature", "execution"): set(),
    ("dev", "deploy"): {"dev"},
    ("dev", "destroy"): {"dev"},
    ("dev", "monitor"): {"dev"},
    ("dev", "approve"): {"dev-approval"},
    ("dev", "prune"): set(),
    ("dev", "schedule"): {"dev"},
    ("dev", "hours"): set(),
    ("dev", "scheduler"): set(),
    ("dev", "checks"): set(),
    ("dev", "execution"): set(),
    ("prod", "deploy"): {"prod"},
    ("prod", "destroy"): {"prod"},
    ("prod", "monitor"): {"prod"},
    ("prod", "approve"): {"prod-approval", "prod-challenger-approval"},
    ("prod", "prune"): set(),
    ("prod", "schedule"): {"prod"},
    ("prod", "execution"): set(),
    ("prod", "checks"): set(),
    **{
        (environment, role): set()
        for environment in ACCOUNTS
        for role in ("dispatch", "data-scientist", "ml-engineer", "operations")
    },
}
"""The environments of GitHub in which a role is taken on."""
BRANCHES = {"dev": ("dev", "main"), "prod": ("main",)}
"""The branches from which a later environment's roles are taken on."""
PLANS = {"pull_request", "ref:refs/heads/main"}
"""Where a plan is made: no fork's pull request has a token."""


def subjects() -> Iterator[str]:
    """Every subject that is tried."""
    for place in PLACES:
        for repository in (NEW, OLD, *STRANGERS):
            yield f"repo:{repository}:{place}"
    yield from ("", "*", "repo:*", "environment:prod", f"repo:{NEW}", f"{NEW}:environment:prod")


def let(document: dict[str, Any], account: str, audience: str = "sts.amazonaws.com", branch: str = "main") -> set[str]:
    """The subjects that take a role of this trust policy on, in a run on some branch."""
    workflow = {("Federated", f"arn:aws:iam::{account}:oidc-provider/{ISSUER}")}
    action = "sts:AssumeRoleWithWebIdentity"
    return {
        subject
        for subject in subjects()
        if trusts(
            document,
            workflow,
            action,
            {f"{ISSUER}:sub": [subject], f"{ISSUER}:aud": [audience], f"{ISSUER}:ref": [f"refs/heads/{branch}"]},
        )
    }


@pytest.mark.parametrize("repository", [NEW, OLD])
def test_a_repository_is_trusted_in_the_form_in_which_github_names_it(repository: str) -> None:
    environment = Environment("churn", "prod", "222222222222", False, True, ("churn-prod",), ("churn-prod",))

    document = trust.of_people(environment, repository, ["prod", "prod-approval"], ["main"])

    assert let(document, "222222222222") == {
        f"repo:{repository}:environment:prod", f"repo:{repository}:environment:prod-approval",
    }  # fmt: skip
    assert let(document, "222222222222", "https://github.com/acme") == set()
    assert let(document, "222222222222", branch="dev") == set()
    assert let(document, "111111111111") == set()


def test_a_wildcard_in_the_policy_would_be_seen() -> None:
    environment = Environment("churn", "prod", "222222222222", False, True, ("churn-prod",), ("churn-prod",))
    document = trust.of_people(environment, NEW, ["prod"], ["main"])
    condition = document["Statement"][1]["Condition"]
    condition["StringLike"] = {f"{ISSUER}:sub": f"repo:{NEW}:*"}
    del condition["StringEquals"][f"{ISSUER}:sub"]

    assert len(let(document, "222222222222")) == len(PLACES)


def test_a_policy_without_the_branch_would_be_seen() -> None:
    environment = Environment("churn", "prod", "222222222222", False, True, ("churn-prod",), ("churn-prod",))

    assert let(trust.of_people(environment, NEW, ["prod"], []), "222222222222", branch="feature/trees")


@pytest.mark.slow
@pytest.mark.parametrize("environment", ACCOUNTS)
def test_terraforms_roles_trust_their_environments_of_the_repository_and_nothing_else(
    applied: Any, environment: str
) -> None:
    account, iam = ACCOUNTS[environment], applied.client("iam", environment)
    documents = {
        role["RoleName"].removeprefix(f"churn-{environment}-"): role["AssumeRolePolicyDocument"]
        for role in iam.list_roles(PathPrefix="/")["Roles"]
        if role["RoleName"].startswith(f"churn-{environment}-")
    }

    wanted = {
        role: {f"repo:{NEW}:environment:{gate}" for gate in gates}
        for (name, role), gates in GATES.items()
        if name == environment
    }
    # To apply asks for main, which only its own gate is for.
    wanted["apply"] = {f"repo:{NEW}:environment:{environment}-infra"}
    wanted["plan"] = {f"repo:{NEW}:{place}" for place in PLANS}
    assert {role: let(document, account) for role, document in documents.items()} == wanted
    for branch in ("dev", "feature/trees"):
        comes_in = {"apply": set()} | {
            role: set() for role in wanted if role != "plan" and branch not in BRANCHES.get(environment, (branch,))
        }
        found = {role: let(document, account, branch=branch) for role, document in documents.items()}
        assert found == {**wanted, **comes_in}, branch


@pytest.mark.slow
@pytest.mark.parametrize("environment", ACCOUNTS)
def test_nobody_of_another_account_takes_a_role_on(applied: Any, environment: str) -> None:
    account, iam = ACCOUNTS[environment], applied.client("iam", environment)
    strangers = {
        ("AWS", "arn:aws:iam::333333333333:root"),
        ("AWS", "arn:aws:iam::333333333333:role/churn-prod-deploy"),
        ("AWS", f"arn:aws:iam::{next(each for each in ACCOUNTS.values() if each != account)}:role/churn-dev-deploy"),
        ("Service", "ec2.amazonaws.com"),
        ("Federated", "cognito-identity.amazonaws.com"),
        ("Federated", f"arn:aws:iam::333333333333:oidc-provider/{ISSUER}"),
    }
    subject = {f"{ISSUER}:sub": [f"repo:{NEW}:environment:{environment}"], f"{ISSUER}:aud": ["sts.amazonaws.com"]}
    elsewhere = {"aws:SourceAccount": ["333333333333"]}

    for role in iam.list_roles(PathPrefix="/")["Roles"]:
        document = role["AssumeRolePolicyDocument"]
        for stranger in strangers:
            for action in ("sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"):
                assert not trusts(document, {stranger}, action, subject), (role["RoleName"], stranger)
        if role["RoleName"].endswith(("-execution", "-scheduler")):
            # SageMaker and EventBridge Scheduler on behalf of somebody else's account.
            for service in ("sagemaker", "scheduler"):
                assert not trusts(document, {("Service", f"{service}.amazonaws.com")}, "sts:AssumeRole", elsewhere)
