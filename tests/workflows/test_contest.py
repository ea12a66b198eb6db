"""The advanced scenario through its real workflow: a merge serves as challenger first, and as champion once proven.

The model comes to dev's group by commands, as dev's own workflow brings it there; main.yml begins from it.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Environment, Run
from harness.world import World, bake

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TEMPLATE = Path(__file__).parents[2]
ASKED = 100
BROUGHT = (["run", "--env", "feature"], ["register", "--env", "feature"], ["promote", "--to", "dev"])
"""What the workflows of a feature branch and of dev do first, which other tests execute."""


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A baked project of the advanced scenario, whose first model has come to dev's group."""
    folder = tmp_path_factory.mktemp("contest")
    reviewed = Environment(reviewers=("ines",), branches=("main",), prevent_self_review=True)
    rules = {"prod": Environment(branches=("main",)), "prod-approval": reviewed, "prod-challenger-approval": reviewed}
    opened = World(folder, bake(TEMPLATE, folder, "scenario=advanced"), rules)
    asked = opened.settings["environments"][-1]["challenger"]
    assert asked["requests"] == ASKED
    for command in BROUGHT:
        opened.as_administrator("mlops", *command)
    yield opened
    opened.stop()


@pytest.fixture(scope="module")
def early(contest: World) -> Run:
    """It is merged to main before dev's run has deployed it."""
    [run] = contest.github.commit("main", {"NOTES.md": "Why this model.\n"})
    return run


@pytest.fixture(scope="module")
def merged(contest: World, early: Run) -> Run:
    """Dev's run has ended well, and main's is made again."""
    for command in ("deploy", "verify"):
        contest.as_administrator("mlops", command, "--env", "dev")
    return contest.github.rerun(early)


def test_main_takes_no_model_before_it_was_found_well_in_dev(contest: World, early: Run) -> None:
    assert early.conclusion == "failure", early.told()
    assert "has not passed dev yet: nothing was found well with it" in early.jobs["copy"].log
    assert contest.versions("prod-champion") == contest.versions("prod-challenger") == []


@pytest.fixture(scope="module")
def challenging(contest: World, merged: Run) -> tuple[Run, list[str]]:
    """A reviewer lets it challenge."""
    waited = merged.gate.held()
    return contest.github.approve(merged, "prod-challenger-approval", by="ines", comment="let it try"), waited


@pytest.fixture(scope="module")
def hasty(contest: World, challenging: tuple[Run, list[str]]) -> tuple[Run, list[str]]:
    """And approves it as champion at once."""
    run, _ = challenging
    waited = run.gate.held()
    return contest.github.approve(run, "prod-approval", by="ines", comment="it looks good"), waited


@pytest.fixture(scope="module")
def proven(contest: World, hasty: tuple[Run, list[str]]) -> Run:
    """The challenger answers as many requests as are asked; the run is made again, and approved."""
    for _ in range(ASKED):
        contest.predictions("prod-challenger")
    again = contest.github.rerun(hasty[0])
    return contest.github.approve(again, "prod-approval", by="ines", comment="it has proven itself")


def test_a_merge_waits_in_both_groups_for_the_challengers_reviewers(
    contest: World, challenging: tuple[Run, list[str]]
) -> None:
    assert challenging[1] == ["prod-challenger-approval"]
    [champion], [challenger] = contest.versions("prod-champion"), contest.versions("prod-challenger")
    assert champion.digest == challenger.digest == contest.versions("dev")[0].digest


def test_the_challenger_serves_before_anybody_is_asked_for_the_champion(
    contest: World, hasty: tuple[Run, list[str]]
) -> None:
    run, waited = hasty
    assert run.jobs["challenger/deploy"].result == "success", run.told()
    assert waited == ["prod-approval"]
    assert contest.serving("prod-challenger") == contest.versions("prod-challenger")[0].digest
    assert "approved" in contest.versions("prod-challenger")[0].reason
    assert "let it try" in contest.versions("prod-challenger")[0].reason


def test_a_champion_is_not_approved_before_its_model_has_served(hasty: tuple[Run, list[str]]) -> None:
    run, _ = hasty
    assert run.conclusion == "failure"
    assert run.jobs["approve"].result == "failure", run.told()
    assert f"{ASKED} requests are asked" in run.jobs["approve"].log
    assert run.jobs["reject"].result == "failure", "nobody has rejected it, so nothing is rejected"
    assert run.jobs["deploy"].result == "skipped"


def test_a_proven_challenger_is_approved_and_deployed_as_champion(contest: World, proven: Run) -> None:
    assert proven.conclusion == "success", proven.told()
    assert proven.jobs["approve-challenger"].result == "skipped"
    [champion] = contest.versions("prod-champion")
    assert champion.status == "Approved"
    assert "it has proven itself" in champion.reason
    assert "requests in" in champion.reason
    assert contest.serving("prod") == contest.serving("prod-challenger") == champion.digest
    assert tuple(contest.predictions("prod")) == contest.answers_of(champion)


def test_a_rollback_of_the_challenger_is_not_one_of_the_champion(contest: World, proven: Run) -> None:
    champion, challenger = contest.serving("prod"), contest.serving("prod-challenger")
    settled, further = (
        contest.github.dispatch("rollback.yml", {"environment": "prod", "group": "challenger", "version": version})
        for version in ("1", "")
    )

    assert settled.conclusion == "success", settled.told()
    assert further.conclusion == "failure", further.told()
    none_before = f"{contest.slug}-prod-challenger: no approved version served before version 1"
    assert none_before in " ".join(further.jobs["rollback"].log.split())
    assert (contest.serving("prod"), contest.serving("prod-challenger")) == (champion, challenger)
    assert [each.status for each in contest.versions("prod-champion")] == ["Approved"]


def test_a_teardown_of_the_challenger_leaves_the_champion(contest: World, proven: Run) -> None:
    given = {"environment": "prod", "group": "challenger", "confirm": f"{contest.slug}-prod-challenger"}

    run = contest.github.dispatch("teardown.yml", given)

    assert run.conclusion == "success", run.told()
    assert contest.serving("prod-challenger") == ""
    assert contest.serving("prod") == contest.versions("prod-champion")[0].digest
