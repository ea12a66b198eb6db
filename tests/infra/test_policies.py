"""What parliament, a linter of IAM's policies, finds in those that Terraform has made: nothing.

It knows policies of who may do what, and of what may be done with a bucket or a topic. Who may take a role on is in
test_trust.py; the keys' policies, whose resource is always the key, are held in test_mistakes.py.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ENVIRONMENTS = ("feature", "dev", "prod")
HOLDERS = ("aws_iam_role_policy", "aws_iam_policy", "aws_s3_bucket_policy", "aws_sns_topic_policy")
BY_WILDCARD = "aws_iam_policy"
"""What the workflow reads of what Terraform made: its wildcards fit actions on other things too, and are no mistake."""
Findings = Callable[[dict[str, Any]], list[str]]


@pytest.fixture(scope="module")
def findings() -> Findings:
    """Lists what parliament finds in a policy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks pkg_resources for its data
        import parliament

    def listed(policy: dict[str, Any]) -> list[str]:
        found = parliament.analyze_policy_string(json.dumps(policy)).findings
        return [f"{each.issue}: {each.detail}" for each in found]

    return listed


def policies(state: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The policies that a state of Terraform holds, by what they are of."""
    for each in json.loads(state.read_text())["resources"]:
        for one in each["instances"] if each["type"] in HOLDERS else []:
            yield f"{each['type']}.{each['name']} {one.get('index_key', 0)}", json.loads(one["attributes"]["policy"])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_nothing_is_found_in_a_policy(applied: Any, terraform: Any, findings: Findings, environment: str) -> None:
    made = dict(policies(terraform.folder / f"{environment}.tfstate"))

    assert {address.split(".")[0] for address in made} == set(HOLDERS)
    told = {
        address: [each for each in findings(policy) if address.split(".")[0] != BY_WILDCARD or "MISMATCH" not in each]
        for address, policy in made.items()
    }
    assert {address: found for address, found in told.items() if found} == {}


@pytest.mark.parametrize(
    ("mistake", "issue"),
    [
        ({"Action": "s3:GetObjekt", "Resource": "arn:aws:s3:::bucket/*"}, "UNKNOWN_ACTION"),
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket"}, "RESOURCE_MISMATCH"),
        ({"Action": "sagemaker:CreateModel", "Resource": "*"}, "RESOURCE_STAR"),
        ({"Action": "iam:PassRole", "Resource": "*"}, "RESOURCE_STAR"),
        (
            {
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::bucket/*",
                "Condition": {"StringEquals": {"s3:nonsense": "a"}},
            },
            "UNKNOWN_CONDITION_FOR_ACTION",
        ),
    ],
)
def test_a_mistake_is_found(findings: Findings, mistake: dict[str, Any], issue: str) -> None:
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **mistake}]}

    assert any(found.startswith(issue) for found in findings(policy))
