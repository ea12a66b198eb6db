"""Projects in one account whose names begin alike are told apart, or refused where rights would take in another's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops import aws
from mlops.errors import Failure
from mlops.settings.project import Settings
from mlops.settings.project import load as settings_of
from mlops.setup import account, neighbours

pytestmark = pytest.mark.slow

ACCOUNT = "222222222222"
NOBODY = json.dumps({"Version": "2012-10-17", "Statement": []})


@pytest.fixture(scope="module")
def cloud(sandbox: Callable[..., Any]) -> Any:
    """Accounts with nothing in them."""
    return sandbox("--bare")


@pytest.fixture
def project(cloud: Any, settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Settings]:
    """A project by its name, whose prod is in the account of these credentials."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"sandbox-{ACCOUNT}")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")

    def named(name: str) -> Settings:
        text = (
            settings.read_text()
            .replace("aws: sandbox", "aws: account")
            .replace("project: churn", f"project: {name}", 1)
        )
        (tmp_path / "mlops.yaml").write_text(text)
        return settings_of(tmp_path)

    return named


@pytest.fixture
def role(cloud: Any) -> Any:
    """Makes a role with a tag in the account; all of them are gone afterwards."""
    iam, made = cloud.client("iam", "prod"), []

    def make(name: str, tag: str | None) -> None:
        tags = [{"Key": neighbours.COSTS, "Value": tag}] if tag else []
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=NOBODY, Tags=tags)
        made.append(name)

    yield make
    for name in made:
        iam.delete_role(RoleName=name)


@pytest.mark.parametrize(
    ("own", "other", "meets"),
    [
        ("churn", "churn-prod-dev", True),  # the project churn-prod, within churn-prod-*
        ("churn-prod", "churn-prod", True),  # the other way round: churn's own prod
        ("churn", "churn-production", True),  # alarms are taken in by churn-prod*
        ("churn", "churn-vision-prod", False),
        ("churn-vision", "churn-prod", False),
        ("churn", "churn-prod", False),  # itself
        ("churn", "chur-prod", False),
        ("churn", "churn-dev-dev", False),  # churn's dev is in another account
    ],
)  # fmt: skip
def test_a_project_is_refused_where_rights_would_take_in_anothers(
    project: Callable[[str], Settings], role: Any, own: str, other: str, meets: bool
) -> None:
    settings = project(own)
    role(f"{other}-execution", other)
    role(f"{other}-deploy", other)
    session = aws.opened(settings.region)

    line = neighbours.check(settings, session, ACCOUNT)

    assert line.passed is not meets
    if not meets:
        account.steps(settings, ["prod"], str)
        return
    with pytest.raises(Failure, match=rf"account {ACCOUNT}: .*: {own}-prod and {other}; give this project another"):
        account.steps(settings, ["prod"], str)
    assert [each.what for each in account.checks(settings, ["prod"]) if each == line] == [line.what]


def test_a_role_that_nobody_made_for_a_project_is_no_neighbour(project: Callable[[str], Settings], role: Any) -> None:
    settings = project("churn")
    role("churn-prod-blue-deploy", None)
    role("churn-prod-green-deploy", "somebody's")

    assert neighbours.found(settings, aws.opened(settings.region), ACCOUNT) == []
