"""The environments that are made on GitHub are those that the workflows name and the roles in AWS trust."""

import re

import pytest
import yaml

from mlops.settings import project as settings
from mlops.setup import environments


@pytest.fixture
def advanced(project):
    """The settings in the advanced scenario."""
    content = yaml.safe_load((project.root / "mlops.yaml").read_text(encoding="utf-8"))
    return settings.Settings.model_validate({**content, "scenario": "advanced"})


def test_the_workflows_ask_for_nothing_that_is_not_made(project, advanced):
    workflows = "".join(file.read_text(encoding="utf-8") for file in (project.root / ".github").rglob("*.yml"))
    named = set(re.findall(r"^ +environment:\n +name: ([a-z-]+)(?: #.*)?$", workflows, re.MULTILINE))
    assert {"feature", "prod", "prod-approval"} <= named <= {gate.name for gate in environments.gates(advanced)}
    assert set(re.findall(r"\bvars\.(\w+)", workflows)) == {environments.APPROVAL}
    assert set(re.findall(r"\bsecrets\.(\w+)", workflows)) == set()


def test_every_environment_that_a_role_trusts_is_made(advanced):
    assert {gate.name: (gate.branches, gate.reviewed) for gate in environments.gates(advanced)} == {
        "feature": ((), False),
        "dev": (("dev", "main"), False),
        "dev-approval": (("dev", "main"), False),
        "prod": (("main",), False),
        "prod-approval": (("main",), True),
        "prod-challenger-approval": (("main",), True),
    }


def test_where_terraform_is_the_projects_own_reviewers_are_asked_before_it_is_applied(advanced):
    (advanced.root / "infra").mkdir()

    added = {gate.name: gate for gate in environments.gates(advanced) if gate.name.endswith("-infra")}

    assert {name: (gate.branches, gate.reviewed) for name, gate in added.items()} == {
        f"{name}-infra": (("main",), True) for name in ("feature", "dev", "prod")
    }
    # Where versions are approved is another question.
    assert not any(environments.is_door(gate) for gate in added.values())
