"""Who may take on each role of an environment: the trust policies that infrastructure code would attach."""

from __future__ import annotations

from typing import Any

from sandbox.project import Environment

_GITHUB = "token.actions.githubusercontent.com"


def of_service(account: str) -> dict[str, Any]:
    """SageMaker may take the role on, for this account only."""
    source = {"StringEquals": {"aws:SourceAccount": account}}
    return _document(
        [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole",
          "Condition": source}]
    )  # fmt: skip


def of_people(environment: Environment, repository: str | None, gates: list[str]) -> dict[str, Any]:
    """The account's own people, and workflows of one repository that run in one of these GitHub environments."""
    account = environment.account
    own = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    if repository is None:
        return _document([own])
    workflows = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{account}:oidc-provider/{_GITHUB}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{_GITHUB}:aud": "sts.amazonaws.com",
                f"{_GITHUB}:sub": [f"repo:{repository}:environment:{gate}" for gate in gates],
            }
        },
    }
    return _document([own, workflows])


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}
