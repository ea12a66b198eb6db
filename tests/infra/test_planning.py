"""The roles of the workflow that plans and applies: who takes them on, and what they may not do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow

REPOSITORY = "repo:acme@1/churn@2"
MAIN = {"ref": "refs/heads/main"}
RIGHT = [
    ("feature", "plan", "pull_request", {"ref": "refs/pull/7/merge"}),
    ("dev", "plan", "ref:refs/heads/main", MAIN),
    ("prod", "plan", "pull_request", {"ref": "refs/pull/7/merge"}),
    ("feature", "apply", "environment:feature-infra", MAIN),
    ("prod", "apply", "environment:prod-infra", MAIN),
]
WRONG = [
    ("prod", "plan", "ref:refs/heads/feature/a", {"ref": "refs/heads/feature/a"}),
    ("prod", "plan", "ref:refs/heads/dev", {"ref": "refs/heads/dev"}),
    ("prod", "plan", "environment:prod", MAIN),
    ("prod", "apply", "environment:prod-infra", {"ref": "refs/heads/feature/a"}),
    ("prod", "apply", "environment:prod-infra", {"ref": "refs/pull/7/merge"}),
    ("prod", "apply", "environment:prod-infra", {}),
    ("prod", "apply", "environment:dev-infra", MAIN),
    ("prod", "apply", "environment:prod", MAIN),
    ("prod", "apply", "ref:refs/heads/main", MAIN),
    ("dev", "apply", "pull_request", {"ref": "refs/pull/7/merge"}),
]
ROLE, ACCOUNT = "arn:aws:iam::111111111111:role/churn-dev-", "111111111111"
HERE = f"eu-west-1:{ACCOUNT}"
STATE = f"arn:aws:s3:::churn-terraform-{ACCOUNT}/churn/"
READS = f"arn:aws:iam::{ACCOUNT}:policy/churn-dev-infra"
INLINE_LIMIT, MANAGED_LIMIT = 10_240, 6_144
"""Characters of a role's inline policies, and of a managed one (IAM and STS quotas)."""

PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
BUCKET = f"arn:aws:s3:::churn-dev-{ACCOUNT}"

MAY: dict[str, list[tuple[str, str]]] = {
    "plan": [
        ("s3:GetObject", f"{STATE}dev.tfstate"),
        ("s3:GetBucketPolicy", BUCKET),
        ("iam:GetRolePolicy", f"{ROLE}apply"),
        ("secretsmanager:DescribeSecret", f"arn:aws:secretsmanager:{HERE}:secret:churn-github-app-abcdef"),
    ],
    "apply": [
        ("s3:PutObject", f"{STATE}dev.tfstate"),
        ("s3:PutObject", f"{STATE}dev.tfstate.tflock"),
        ("s3:DeleteObject", f"{STATE}dev.tfstate.tflock"),
        ("iam:CreateRole", f"{ROLE}deploy"),
        ("iam:UpdateAssumeRolePolicy", f"{ROLE}data-scientist"),
        ("cloudwatch:PutMetricAlarm", f"arn:aws:cloudwatch:{HERE}:alarm:churn-dev-latency"),
        ("lambda:UpdateFunctionCode", f"arn:aws:lambda:{HERE}:function:churn-dev-dispatch"),
    ],
}
WRITES = [
    ("s3:PutObject", f"{STATE}dev.tfstate"),
    ("s3:PutObject", f"{STATE}dev.tfstate.tflock"),
    ("s3:DeleteObject", f"{STATE}dev.tfstate.tflock"),
    ("s3:DeleteObject", f"{STATE}dev.tfstate"),
    ("iam:PutRolePolicy", f"{ROLE}deploy"),
    ("cloudwatch:PutMetricAlarm", f"arn:aws:cloudwatch:{HERE}:alarm:churn-dev-latency"),
    ("lambda:UpdateFunctionCode", f"arn:aws:lambda:{HERE}:function:churn-dev-dispatch"),
]
NEVER = [
    # The state of another environment, and what holds it.
    ("s3:GetObject", f"{STATE}feature.tfstate"),
    ("s3:PutObject", f"{STATE}feature.tfstate"),
    ("s3:PutObject", f"{STATE}feature.tfstate.tflock"),
    ("s3:DeleteObject", f"{STATE}dev.tfstate"),
    ("s3:PutBucketPolicy", f"arn:aws:s3:::churn-terraform-{ACCOUNT}"),
    # What the project keeps.
    ("s3:GetObject", f"{BUCKET}/dvc/files/md5/ab"),
    ("s3:PutObject", f"{BUCKET}/models/one/model.tar.gz"),
    ("s3:PutBucketPolicy", BUCKET),
    ("s3:PutLifecycleConfiguration", BUCKET),
    ("s3:DeleteBucket", BUCKET),
    ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:churn-github-app-abcdef"),
    ("dynamodb:GetItem", f"arn:aws:dynamodb:{HERE}:table/churn-dev-checks"),
    ("dynamodb:DeleteTable", f"arn:aws:dynamodb:{HERE}:table/churn-dev-checks"),
    ("sqs:ReceiveMessage", f"arn:aws:sqs:{HERE}:churn-dev-dispatch-failed"),
    ("ecr:BatchDeleteImage", f"arn:aws:ecr:{HERE}:repository/churn"),
    # Themselves, each other, whoever comes in from GitHub, and people with keys.
    *((f"iam:{verb}", f"{ROLE}{duty}") for duty in ("plan", "apply")
      for verb in ("PutRolePolicy", "AttachRolePolicy", "UpdateAssumeRolePolicy", "DeleteRole", "TagRole", "PassRole")),
    ("iam:CreateOpenIDConnectProvider", PROVIDER),
    ("iam:UpdateOpenIDConnectProviderThumbprint", PROVIDER),
    ("iam:DeleteOpenIDConnectProvider", PROVIDER),
    ("iam:CreatePolicyVersion", READS),
    ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/somebody"),
    ("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/somebody"),
    ("iam:CreatePolicy", f"arn:aws:iam::{ACCOUNT}:policy/boundary"),
    # Roles of others, also of a project whose name begins the same.
    ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/administrator"),
    ("iam:CreateRole", f"{ROLE}administrator"),
    ("iam:CreateRole", f"{ROLE}other-prod-deploy"),
    ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/churn-feature-deploy"),
    ("iam:AttachRolePolicy", f"{ROLE}deploy"),
    ("iam:DeleteRolePermissionsBoundary", f"{ROLE}deploy"),
    ("iam:PassRole", f"{ROLE}execution"),
    ("sts:AssumeRole", f"{ROLE}deploy"),
    # What the other roles are for.
    ("sagemaker:CreateEndpoint", f"arn:aws:sagemaker:{HERE}:endpoint/churn-dev"),
    ("sagemaker:UpdateModelPackage", f"arn:aws:sagemaker:{HERE}:model-package/churn-dev/1"),
    ("cloudwatch:SetAlarmState", f"arn:aws:cloudwatch:{HERE}:alarm:churn-dev-manual"),
]  # fmt: skip


@pytest.mark.parametrize(("environment", "duty", "subject", "claims"), RIGHT)
def test_the_workflow_takes_its_role_on(
    applied: Any, environment: str, duty: str, subject: str, claims: dict[str, str]
) -> None:
    session = applied.from_github(duty, environment, f"{REPOSITORY}:{subject}", **claims)

    who = applied.client("sts", environment, **session).get_caller_identity()["Arn"]
    assert f":assumed-role/churn-{environment}-{duty}/" in who
    for strange in ("repo:acme@1/churn@3", "repo:acme/churn", "repo:else@9/churn@2"):
        with pytest.raises(ClientError, match="AccessDenied"):
            applied.from_github(duty, environment, f"{strange}:{subject}", **claims)


@pytest.mark.parametrize(("environment", "duty", "subject", "claims"), WRONG)
def test_no_other_workflow_does(
    applied: Any, environment: str, duty: str, subject: str, claims: dict[str, str]
) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        applied.from_github(duty, environment, f"{REPOSITORY}:{subject}", **claims)


@pytest.mark.parametrize("duty", ["plan", "apply"])
def test_nobody_in_the_account_does(applied: Any, duty: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        applied.session(applied.role(duty, "dev"), "dev")


@pytest.fixture(scope="module")
def allowed(applied: Any) -> Callable[[str, str, str], bool]:
    """Whether the role of a duty in dev may do something."""
    iam = applied.client("iam", "dev")

    def ask(duty: str, action: str, resource: str) -> bool:
        answer = iam.simulate_principal_policy(
            PolicySourceArn=f"{ROLE}{duty}", ActionNames=[action], ResourceArns=[resource]
        )
        return str(answer["EvaluationResults"][0]["EvalDecision"]) == "allowed"

    return ask


def test_a_plan_reads_how_things_are_made_and_changes_nothing(allowed: Callable[..., bool]) -> None:
    assert [each for each in MAY["plan"] if not allowed("plan", *each)] == []
    assert [each for each in [*WRITES, *NEVER] if allowed("plan", *each)] == []


def test_an_apply_changes_what_is_no_data_and_nobody_elses(allowed: Callable[..., bool]) -> None:
    assert [each for each in [*MAY["plan"], *MAY["apply"]] if not allowed("apply", *each)] == []
    assert [each for each in NEVER if allowed("apply", *each)] == []


@pytest.mark.parametrize("environment", ["feature", "dev", "prod"])
def test_their_policies_fit_with_the_longest_names(applied: Any, environment: str) -> None:
    iam = applied.client("iam", environment)
    longer = 30 - len("churn") + 12 - len(environment)

    def length(document: Any) -> int:
        text = json.dumps(document, separators=(",", ":"))
        return len(text) + longer * text.count(f"churn-{environment}")

    for duty in ("plan", "apply"):
        role = {"RoleName": f"churn-{environment}-{duty}"}
        own = iam.get_role_policy(**role, PolicyName="mlops")["PolicyDocument"]
        [reads] = iam.list_attached_role_policies(**role)["AttachedPolicies"]
        shared = iam.get_policy_version(PolicyArn=reads["PolicyArn"], VersionId="v1")["PolicyVersion"]["Document"]
        assert (length(own) <= INLINE_LIMIT, length(shared) <= MANAGED_LIMIT) == (True, True)


def test_with_a_boundary_no_role_is_made_or_given_a_right_without_it(initialised: Any) -> None:
    boundary = "arn:aws:iam::111111111111:policy/boundary"
    parts = "{ Effect = one.Effect, Action = one.Action, Condition = try(one.Condition, null) }"
    statements = f"[for one in local.change : {parts}]"
    told = initialised.evaluate(statements, f"-var=permissions_boundary={boundary}", "-var=environment=dev")

    giving = {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"}
    refused = {"StringNotEquals": {"iam:PermissionsBoundary": boundary}}
    assert [set(each["Action"]) for each in told if each["Effect"] == "Deny" and each["Condition"] == refused] == [
        giving
    ]
    assert "PermissionsBoundary" not in json.dumps(initialised.evaluate(statements, "-var=environment=dev"))
