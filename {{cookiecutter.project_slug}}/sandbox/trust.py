"""Who may take on each role of an environment: the trust policies that infrastructure code would attach."""

from __future__ import annotations

from typing import Any

from sandbox.project import Environment, Project

_GITHUB = "token.actions.githubusercontent.com"


def of_service(account: str) -> dict[str, Any]:
    """SageMaker may take the role on, for this account only."""
    source = {"StringEquals": {"aws:SourceAccount": account}}
    return _document(
        [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole",
          "Condition": source}]
    )  # fmt: skip


def branches(project: Project, environment: Environment) -> list[str]:
    """The branches whose jobs come in: all where models are trained, main alone in the last environment."""
    if environment.first:
        return []
    return ["main"] if project.after(environment) is None else ["dev", "main"]


def of_people(
    environment: Environment, repository: str | None, gates: list[str], branches: list[str]
) -> dict[str, Any]:
    """The account's own people, and workflows of one repository that run in one of these GitHub environments.

    Args:
        environment: whose account it is.
        repository: as GitHub names it; None for no workflows.
        gates: environments of GitHub.
        branches: from which a workflow has to run, beside; any when empty.
    """
    account = environment.account
    own = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    if repository is None:
        return _document([own])
    # Not only by the rules of that environment, which anybody may have made who made it first.
    ref = {f"{_GITHUB}:ref": [f"refs/heads/{branch}" for branch in branches]} if branches else {}
    workflows = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{account}:oidc-provider/{_GITHUB}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{_GITHUB}:aud": "sts.amazonaws.com",
                f"{_GITHUB}:sub": [f"repo:{repository}:environment:{gate}" for gate in gates],
                **ref,
            }
        },
    }
    return _document([own, workflows])


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}
