"""The workflow may apply where GitHub asks reviewers: what the bootstrap of GitHub makes, the one of AWS writes down."""

import pytest

from mlops.setup import account, handover, terraform, tfvars

EXAMPLE = 'environment = "dev"\n\n# workflow_applies     = true # where reviewers are asked\n# functions = true\n'


@pytest.fixture
def dev(project):
    """The environment whose values are as the template gives them."""
    environment = project.environment("dev")
    file = terraform.values(project, environment)
    file.parent.mkdir(parents=True)
    file.write_text(EXAMPLE, encoding="utf-8")
    return environment


def test_reviewers_are_asked_before_anything_is_applied(hub, mlops, project, dev):
    assert mlops("bootstrap", "github", "--reviewer", "mira", "--yes") == 0

    made = next(iter(hub.repositories.values()))
    assert {"feature-infra", "dev-infra", "prod-infra"} <= set(made.environments)
    assert sorted(made.policies["dev-infra"]) == ["main"]
    assert account.asked(project, dev) == "mira"

    step = account.applying_step(project, dev, account.asked(project, dev))
    assert (step.deed, step.detail) == ("make", "true: dev-infra asks mira")
    step.act()
    assert handover.by_workflow(project, dev)
    assert tfvars.text_of(project, dev) == 'environment = "dev"\n\nworkflow_applies = true\n# functions = true\n'
    assert account.applying_step(project, dev, "mira").deed == "keep"


@pytest.mark.parametrize("mistake", ["nobody", "every branch", "another branch", "no environment"])
def test_where_nobody_has_to_agree_no_workflow_applies(hub, mlops, project, dev, mistake):
    assert mlops("bootstrap", "github", "--reviewer", "mira", "--yes") == 0
    made = next(iter(hub.repositories.values()))
    if mistake == "nobody":
        made.environments["dev-infra"]["protection_rules"] = []
    elif mistake == "every branch":
        made.environments["dev-infra"]["deployment_branch_policy"] = None
    elif mistake == "another branch":
        made.policies["dev-infra"] = {**made.policies["dev-infra"], "feature/*": 99}
    else:
        del made.environments["dev-infra"], made.policies["dev-infra"]

    assert account.asked(project, dev) == ""
    assert account.applying_step(project, dev, "").deed == "keep"
    assert not handover.by_workflow(project, dev)

    tfvars.write(project, dev, handover.APPLIES, "true")
    assert account.applying_step(project, dev, "").deed == "leave"


def test_a_persons_choice_stays_and_what_is_not_known_changes_nothing(project, dev):
    assert account.applying_step(project, dev, None).deed == "keep"

    tfvars.write(project, dev, handover.APPLIES, "false")
    assert account.applying_step(project, dev, "mira").deed == "keep"
    assert not handover.by_workflow(project, dev)


def test_a_project_without_terraform_asks_nobody(hub, mlops):
    assert mlops("bootstrap", "github", "--reviewer", "mira", "--yes") == 0
    assert not [name for name in next(iter(hub.repositories.values())).environments if name.endswith("-infra")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("functions = true # their zip", "true"),
        ('notification_email="team@example.com"\n', "team@example.com"),
        ('  permissions_boundary = "arn:aws:iam::1:policy/b"', "arn:aws:iam::1:policy/b"),
        ("# functions = true", None),
        ("", None),
    ],
)
def test_a_value_is_read_as_terraform_reads_it(text, expected):
    name = text.strip("# ").partition("=")[0].strip() or "functions"

    assert tfvars.value(f"environment = 1\n{text}\n", name) == expected
