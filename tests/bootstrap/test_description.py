"""The stand-in for GitHub is held to GitHub's description: what that does not have is refused."""

import json
from pathlib import Path

import pytest
from githubapi import deeds, description  # noqa: F401  deeds registers what operations do
from githubapi.hub import DEEDS

PATH = "/repos/acme/churn"
GOOD = {
    ("PUT", f"{PATH}/environments/prod"): {"wait_timer": 0, "reviewers": None},
    ("POST", f"{PATH}/rulesets"): {"name": "main", "enforcement": "active", "rules": [{"type": "deletion"}]},
    ("POST", f"{PATH}/actions/variables"): {"name": "A", "value": "b"},
    ("PUT", f"{PATH}/actions/permissions/workflow"): {"default_workflow_permissions": "read"},
}
BAD = {
    "a word that GitHub ignores": ("PUT", f"{PATH}/environments/prod", {"branch_policy": None}),
    "a kind that there is not": ("PUT", f"{PATH}/environments/prod", {"reviewers": [{"type": "Person", "id": 1}]}),
    "a rule with a slip": ("POST", f"{PATH}/rulesets", {
        "name": "main", "enforcement": "active", "rules": [{"type": "deletions"}]
    }),
    "parameters that are missing": ("POST", f"{PATH}/rulesets", {
        "name": "main", "enforcement": "active",
        "rules": [{"type": "pull_request", "parameters": {"required_approving_review_count": 1}}],
    }),
    "a number out of its range": ("POST", f"{PATH}/rulesets", {
        "name": "main", "enforcement": "active",
        "rules": [{"type": "pull_request", "parameters": {
            "required_approving_review_count": 11, "dismiss_stale_reviews_on_push": True,
            "require_code_owner_review": True, "require_last_push_approval": False,
            "required_review_thread_resolution": False,
        }}],
    }),
    "a value that is no text": ("POST", f"{PATH}/actions/variables", {"name": "A", "value": 1}),
    "a body where none is taken": ("DELETE", f"{PATH}/environments/prod", {}),
}  # fmt: skip


def refusal(method, path, body):
    found = description.find(method, path)
    assert found is not None
    return description.refusal(found[0], body)


@pytest.mark.parametrize(("request_", "body"), GOOD.items(), ids=[" ".join(each) for each in GOOD])
def test_what_github_takes_is_taken(request_, body):
    assert refusal(*request_, body) == ""


@pytest.mark.parametrize(("method", "path", "body"), BAD.values(), ids=BAD.keys())
def test_what_github_does_not_take_is_refused(method, path, body):
    assert refusal(method, path, body) != ""


def test_a_path_or_method_that_github_has_not_is_not_found():
    assert description.find("PATCH", f"{PATH}/environments/prod") is None
    assert description.find("GET", f"{PATH}/environment/prod") is None


def test_the_stand_in_answers_every_operation_that_is_described():
    assert {each.name for each in description.operations()} == set(DEEDS)


def test_only_facts_are_kept():
    content = json.loads((Path(description.__file__).parent / "description.json").read_text(encoding="utf-8"))

    def texts(value):
        if isinstance(value, dict):
            return [text for each in value.values() for text in texts(each)]
        if isinstance(value, list):
            return [text for each in value for text in texts(each)]
        return [value] if isinstance(value, str) else []

    assert [text for text in texts(content["operations"]) if " " in text] == []
