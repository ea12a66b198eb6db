"""Approval: who, when and why, and which version is meant."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlops import actor, github
from mlops.cli import release
from mlops.errors import BadInput, Failure, NoSuchVersion, NotFound
from mlops.registry import approval, decisions, history, packages
from mlops.registry.decisions import Decision


def test_an_approval_says_who_when_and_why(world: Any) -> None:
    world.promote(world.in_dev().fingerprint, world.prod)

    package = approval.approve(world.settings, world.prod, by="somebody", why="better recall\n | on women")

    assert package.status == "Approved"
    (decision,) = decisions.read(package.reason)
    assert (decision.what, decision.who, decision.why) == ("approved", "somebody", "better recall / on women")
    assert decision.when is not None
    assert abs(decision.when - datetime.now(UTC)) < timedelta(minutes=5)


def test_approving_twice_is_approving_once(world: Any) -> None:
    world.promote(world.in_dev().fingerprint, world.prod)
    first = approval.approve(world.settings, world.prod, by="somebody", why="good")
    said: list[str] = []

    assert approval.approve(world.settings, world.prod, by="another", why="too", told=said.append) == first
    assert said == ["approved for prod already, by somebody: churn-prod version 1; nothing was changed"]


def test_an_older_version_that_waits_is_not_meant(world: Any) -> None:
    world.promote(world.in_dev("first").fingerprint, world.prod)
    world.promote(world.in_dev("second").fingerprint, world.prod)

    rejected = approval.reject(world.settings, world.prod, by="somebody", why="too slow")

    assert rejected.version == 2
    with pytest.raises(NotFound, match="churn-prod version 2 is the newest and Rejected, so none waits"):
        approval.approve(world.settings, world.prod, by="somebody", why="good")


def test_a_rejected_version_is_approved_by_its_number_and_keeps_its_story(world: Any) -> None:
    world.promote(world.in_dev().fingerprint, world.prod)
    approval.reject(world.settings, world.prod, by="somebody", why="wrong data")

    package = approval.approve(world.settings, world.prod, by="another", why="the data was right", version=1)

    assert package.status == "Approved"
    assert [(each.what, each.who) for each in decisions.read(package.reason)] == [
        ("approved", "another"),
        ("rejected", "somebody"),
    ]


def test_a_review_on_github_leaves_what_was_decided_meanwhile(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setattr(github, "review", lambda gate, state: github.Review("ines", "it was good last week"))
    monkeypatch.setattr(release, "meant", lambda env, group, serves: (world.settings, world.prod))
    world.promote(world.in_dev().fingerprint, world.prod)
    first = approval.reject(world.settings, world.prod, by="somebody", why="wrong data")

    with pytest.raises(Failure) as told:
        release.decide("approved", "", "", "prod", 1, None, json=True)

    said = str(told.value)
    assert said.startswith("churn-prod version 1 was decided meanwhile (Rejected; rejected 20")
    assert "by somebody: wrong data); to decide on it again: mlops approve --env prod --version 1 --by WHO" in said
    assert approval.reject(world.settings, world.prod, "ines", "bad", version=1, only_waiting=True) == first
    release.decide("approved", "mira", "the data was right", "prod", 1, None, json=True)
    with pytest.raises(Failure, match=r"decided meanwhile \(Approved; approved .* by mira: the data was right\)"):
        release.decide("rejected", "", "", "prod", 1, None, json=True)
    assert history.history(world.settings)[-1].who == "mira"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "why"),
    [
        ("mira", "| roc_auc | 0.99 |"),
        ("mira", "| approved 2026-01-01T00:00:00.000Z by ines: ok"),
        ("| approved 2026-01-01T00:00:00.000Z by ines: ok", "bad"),
        ("mira |", "bad |"),
        ("mira in run 5", "bad"),
    ],
)
def test_no_text_makes_another_decision_of_the_one_that_is_written(world: Any, by: str, why: str) -> None:
    world.promote(world.in_dev().fingerprint, world.prod)

    package = approval.reject(world.settings, world.prod, by=by, why=why, run="77")

    (found,) = decisions.read(package.reason)
    assert (found.what, found.run) == ("rejected", "77")
    assert found.who.startswith(by[:4].replace("|", "/"))
    assert found.why == why.replace("|", "/")
    assert not approval.was_approved(package)
    again = decisions.record(world.session(world.prod), package, "Rejected", by, why)
    assert [each.run for each in decisions.read(again.reason)] == ["", "77"]


def decision(what: str, minute: int, why: str, who: str = "mira") -> Decision:
    return Decision(what=what, when=datetime(2026, 3, 1, 12, minute, tzinfo=UTC), who=who, why=why)


def told(*made: Decision) -> list[Decision]:
    """What is read back when decisions were written one after the other."""
    text = ""
    for each in made:
        text, _ = decisions.trail(each, text, room=99)
        assert len(text) <= decisions.LIMIT
    return decisions.read(text)


def test_long_reasons_are_shortened_before_a_decision_is_left_out() -> None:
    back = [decision("rejected", minute, f"{minute} {'because ' * 50}") for minute in (1, 2, 3)]

    found = told(decision("approved", 0, "better recall"), *back)

    assert [(each.what, each.when, each.who) for each in found] == [
        *((each.what, each.when, each.who) for each in reversed(back)),
        ("approved", datetime(2026, 3, 1, 12, 0, tzinfo=UTC), "mira"),
    ]
    assert [each.why[:9] for each in found] == ["3 because", "2 because", "1 because", "better re"]
    assert {each.why[-1] for each in found[:3]} == {"…"}


def test_of_very_many_decisions_the_last_ones_and_the_first_approval_stay_whole() -> None:
    made = [decision("approved" if n % 2 else "rejected", n, "x" * 400, who=f"{n}" + "y" * 50) for n in range(1, 40)]

    found = told(decision("rejected", 0, "no"), *made)

    assert found[0].who == made[-1].who
    assert found[0].why.startswith("x" * 199)
    assert found[-1].who == made[0].who
    assert [each.when for each in found] == sorted((each.when for each in found if each.when), reverse=True)
    assert len(found) > 4


@pytest.mark.slow
def test_of_very_many_decisions_history_tells_every_one(world: Any) -> None:
    session, package = world.session(world.dev), world.in_dev("first")
    made = [
        ("approved" if n % 2 else "rejected", f"user[{n}]", f"n° {n}: 100 % = „sure“ " + "x" * n) for n in range(24)
    ]
    for what, who, why in made:
        package = decisions.record(session, package, what.capitalize(), who, why)  # type: ignore[arg-type]

    found = [each for each in history.history(world.settings) if each.what in ("approved", "rejected")]

    assert [(each.what, each.who, each.why[:20]) for each in found] == [
        (what, who, why[:20]) for what, who, why in made
    ]
    assert len(decisions.read(package.reason)) < len(made)
    # What was decided of it was not decided of its copy.
    (copy,) = world.promote(package.fingerprint, world.prod)
    assert decisions.of(copy) == []


@pytest.mark.slow
def test_how_many_decisions_had_no_room_anywhere_is_said(world: Any) -> None:
    session, package = world.session(world.dev), world.in_dev("first")
    filled = {f"parameter.{n}": "1" for n in range(packages.MOST_KEYS - decisions.RESERVED - len(package.metadata) - 2)}
    package = packages.set_status(session, package, "Approved", "", filled)

    for n in range(30):
        package = decisions.record(session, package, "Rejected" if n % 2 else "Approved", f"{n}" + "y" * 40, "z" * 99)

    told = decisions.of(package)
    (note,) = [each for each in told if each.what == decisions.LEFT_OUT]
    assert int(note.why.split()[0]) + len(told) - 1 == 30
    assert len(package.metadata) == packages.MOST_KEYS - decisions.RESERVED
    event = next(each for each in history.history(world.settings) if each.what == "left out")
    assert (event.version, event.why) == (package.version, note.why)


@pytest.mark.parametrize("text", ["plain", "100 % = „sure“ [n°]", "=41 is no escape", "…" * 5])
def test_metadata_takes_any_text_and_gives_it_back(text: str) -> None:
    escaped = decisions.escaped_text(text)

    assert not actor.NOT_ALLOWED.search(escaped)
    assert decisions.unescaped(escaped) == text


def test_a_comment_of_studio_stays_what_it_is() -> None:
    found = decisions.read(decisions.trail(decision("rejected", 1, "slow"), "looks good: really", room=9)[0])

    assert [(each.what, each.who, each.why) for each in found] == [
        ("rejected", "mira", "slow"),
        ("", "", "looks good: really"),
    ]


@pytest.mark.parametrize(("by", "why"), [("", "good"), ("somebody", "  \n")])
def test_nobody_approves_without_a_name_and_a_reason(world: Any, by: str, why: str) -> None:
    with pytest.raises(BadInput, match="is empty; say who decides and why"):
        approval.approve(world.settings, world.prod, by=by, why=why)


def test_a_version_that_is_not_there_is_named(world: Any) -> None:
    world.promote(world.in_dev().fingerprint, world.prod)

    with pytest.raises(NoSuchVersion, match="churn-prod has no version 9; it has 1"):
        approval.approve(world.settings, world.prod, by="somebody", why="good", version=9)


def test_history_tells_who_did_what_in_order(world: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "jonas")
    world.promote(world.in_dev().fingerprint, world.prod)
    approval.approve(world.settings, world.prod, by="somebody", why="better recall")

    events = history.history(world.settings)

    assert [(each.what, each.group, each.version, each.who, each.why) for each in events] == [
        ("registered", "churn-feature", 1, "somebody", ""),
        ("promoted", "churn-dev", 1, "jonas", "from churn-feature/1"),
        ("promoted", "churn-prod", 1, "jonas", "from churn-dev/1"),
        ("approved", "churn-prod", 1, "somebody", "better recall"),
    ]
