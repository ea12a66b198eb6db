"""No workflow may approve where GitHub asks nobody: what the bootstrap of GitHub finds goes into the infrastructure."""

import pytest

from mlops.setup import approving, terraform, tfvars


@pytest.fixture
def prod(project):
    """The environment in which a person approves, with its values as the template gives them."""
    environment = project.environment("prod")
    file = terraform.values(project, environment)
    file.parent.mkdir(parents=True)
    file.write_text('environment = "prod"\n', encoding="utf-8")
    return environment


def test_where_reviewers_are_asked_workflows_approve(hub, mlops, project, prod):
    assert mlops("bootstrap", "github", "--reviewer", "mira", "--yes") == 0

    assert approving.asks(project, prod) is True
    found = approving.steps(project, prod, True)

    assert [each.deed for each in found] == ["keep"]
    assert approving.ahead_of(found) == []
    assert approving.by_workflow(project, prod)


@pytest.mark.parametrize("mistake", ["nobody", "no environment", "the registry"])
def test_where_nobody_is_asked_no_workflow_approves(hub, mlops, project, prod, mistake):
    given = ["--registry"] if mistake == "the registry" else ["--reviewer", "mira"]
    assert mlops("bootstrap", "github", *given, "--yes") == 0
    made = next(iter(hub.repositories.values()))
    if mistake == "nobody":
        made.environments["prod-approval"]["protection_rules"] = []
    elif mistake == "no environment":
        del made.environments["prod-approval"], made.policies["prod-approval"]

    assert approving.asks(project, prod) is False
    [step] = approving.steps(project, prod, False)
    assert (step.deed, approving.ahead_of([step])) == ("make", ["-var=workflow_approves=false"])
    step.act()

    assert not approving.by_workflow(project, prod)
    assert [each.deed for each in approving.steps(project, prod, False)] == ["keep"]
    [later] = approving.steps(project, prod, True)
    assert later.deed == "keep" and "take the line out" in later.detail


def test_a_value_that_says_otherwise_is_told_and_not_followed(project, prod):
    tfvars.write(project, prod, approving.APPROVES, "true")

    found = approving.steps(project, prod, False)

    assert [each.deed for each in found] == ["leave"]
    assert approving.ahead_of(found) == ["-var=workflow_approves=false"]


def test_what_is_not_known_changes_nothing_and_dev_asks_nobody_anyway(project, prod, monkeypatch):
    monkeypatch.delenv("GH_TOKEN", raising=False)
    monkeypatch.setenv("PATH", "")

    assert approving.asks(project, prod) is None
    assert [each.deed for each in approving.steps(project, prod, None)] == ["keep"]
    assert approving.steps(project, project.environment("dev"), False) == []
