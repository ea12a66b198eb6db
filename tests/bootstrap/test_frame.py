"""What every side of the bootstrap shares: a plan that is shown, agreed to and carried out; checks; a removal."""

import io
import sys

import pytest

from mlops.errors import BadInput, Failure
from mlops.settings import project as settings
from mlops.setup import health, plan, removal
from mlops.setup.plan import Step, Unavailable

SETTINGS = """
project: churn
package: churn
region: eu-west-1
environments: [{name: feature, account: "111111111111"}, {name: dev, account: "111111111111", endpoint: {}}]
stages: {}
"""


@pytest.fixture
def project(tmp_path):
    """Settings of a project."""
    (tmp_path / "mlops.yaml").write_text(SETTINGS, encoding="utf-8")
    return settings.load(tmp_path)


@pytest.fixture
def typed(monkeypatch):
    """A terminal at which somebody types."""

    def type(text):
        terminal = io.StringIO(text)
        terminal.isatty = lambda: True
        monkeypatch.setattr(sys, "stdin", terminal)

    return type


@pytest.mark.parametrize(
    ("there", "right", "own", "deed"),
    [
        (False, False, False, "make"),
        (True, True, False, "keep"),
        (True, True, True, "keep"),
        (True, False, True, "change"),
        (True, False, False, "leave"),
    ],
)
def test_what_is_somebody_elses_is_never_changed(there, right, own, deed):
    assert plan.deed(there, right, own) == deed


def steps(done):
    """A plan with a step of each deed, each of which would act."""
    return [
        Step(f"thing {deed}", deed, "as it is", lambda deed=deed: done.append(deed))
        for deed in ("make", "keep", "change", "leave")
    ]


def test_a_plan_that_is_only_shown_does_nothing():
    done = []

    shown = plan.shown(steps(done))
    outcomes = plan.planned(steps(done))

    assert done == []
    assert [line.split("  ")[1] for line in shown.splitlines()] == ["+ make", "= there", "~ change", "! left alone"]
    assert [each.done for each in outcomes] == [False, True, False, False]


def test_only_what_is_left_to_do_is_done():
    done = []

    outcomes = plan.carried_out(steps(done), told=lambda line: None)

    assert done == ["make", "change"]
    assert [(each.deed, each.done) for each in outcomes] == [
        ("make", True), ("keep", True), ("change", True), ("leave", False)
    ]  # fmt: skip


def test_what_only_a_deed_could_tell_is_in_the_summary():
    outcomes = plan.carried_out(
        [Step("repository", "make", act=lambda: "its number is 7"), Step("label", "keep", act=None)],
        told=lambda line: None,
    )

    assert plan.summary(outcomes) == "done: 1 things\n  repository: its number is 7"
    assert plan.summary(outcomes[1:]) == "nothing was left to do"


def refused(kind):
    """A deed that fails."""

    def act():
        raise kind("no")

    return act


def test_what_an_account_can_not_have_is_passed_over_and_told():
    done = []
    outcomes = plan.carried_out(
        [Step("rules", "make", act=refused(Unavailable)), Step("label", "make", act=lambda: done.append("label"))],
        told=lambda line: None,
    )

    assert [(each.what, each.done, each.said) for each in outcomes] == [("rules", False, "no"), ("label", True, "")]
    assert done == ["label"]


def test_any_other_failure_ends_the_run():
    done = []
    with pytest.raises(Failure, match="no"):
        plan.carried_out(
            [Step("rules", "make", act=refused(Failure)), Step("label", "make", act=lambda: done.append("label"))],
            told=lambda line: None,
        )

    assert done == []


def test_nobody_to_ask_is_bad_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    with pytest.raises(BadInput, match="no terminal to ask on: give --yes, or --plan"):
        plan.agreed("Do it?", yes=False)
    assert plan.agreed("Do it?", yes=True)


@pytest.mark.parametrize(
    ("text", "agreed"), [("y\n", True), ("Yes\n", True), ("\n", False), ("n\n", False), ("", False)]
)
def test_only_a_yes_is_a_yes(typed, capsys, text, agreed):
    typed(text)

    assert plan.agreed("Do it?", yes=False) is agreed
    assert capsys.readouterr().out == ""


def test_checks_are_steps_with_their_fix():
    checks = health.of_steps(steps([]), "mlops bootstrap side")

    assert [check.passed for check in checks] == [False, True, False, False]
    assert [check.fix.split(",")[0] for check in checks] == [
        "mlops bootstrap side", "", "mlops bootstrap side", "mlops bootstrap side --adopt"
    ]  # fmt: skip
    assert health.shown(checks).splitlines()[-1] == "1 passed, 3 failed"


def test_a_removal_wants_the_name_of_the_project(project, typed, monkeypatch):
    removal.confirmed(project, "churn")
    typed("churn\n")
    removal.confirmed(project, "")

    with pytest.raises(BadInput, match="--confirm is 'chrun'; this project is churn: nothing was removed"):
        removal.confirmed(project, "chrun")
    monkeypatch.setattr(sys, "stdin", io.StringIO("churn\n"))
    with pytest.raises(BadInput, match="give --confirm"):
        removal.confirmed(project, "")


def test_what_stays_is_told_with_its_reason():
    gone = []
    belongings = [
        removal.Belonging("environment dev", remove=lambda: gone.append("dev")),
        removal.Belonging("bucket", "it holds data: give --data"),
    ]

    assert "= stays   bucket: it holds data" in removal.shown(belongings)
    assert removal.shown([]) == "there is nothing of the project's to remove"
    assert [each.removed for each in removal.planned(belongings)] == [False, False]
    assert gone == []
    assert removal.carried_out(belongings, told=lambda line: None) == [
        removal.Removed("environment dev", True), removal.Removed("bucket", False, "it holds data: give --data")
    ]  # fmt: skip
    assert gone == ["dev"]
