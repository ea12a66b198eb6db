"""An approval is deployed by one door: the run whose reviewers gave it, or the event of the registry."""

from typing import Any

import pytest

from mlops import github
from mlops.cli import release
from mlops.registry import approval, decisions, doors
from mlops.rest import Refused

RUN = {"status": "in_progress", "conclusion": None}


@pytest.fixture
def reviewed(world: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A version that the reviewers of run 77 have approved."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_RUN_ID", "77")
    monkeypatch.setattr(github, "review", lambda gate, state: github.Review("ines, mira", "better: in run 5: yes"))
    monkeypatch.setattr(release, "meant", lambda env, group, serves: (world.settings, world.prod))
    world.promote(world.in_dev().fingerprint, world.prod)
    release.decide("approved", "", "", "prod", 1, None, json=True)
    return world


def answer(monkeypatch: pytest.MonkeyPatch, run: Any) -> list[str]:
    """Let GitHub answer for a run, and keep what it was asked."""
    asked: list[str] = []

    def call(method: str, path: str, body: Any = None) -> Any:
        asked.append(path)
        if isinstance(run, Exception):
            raise run
        return run

    monkeypatch.setenv("GITHUB_REPOSITORY", "team/churn")
    monkeypatch.setattr(github, "call", call)
    return asked


@pytest.mark.parametrize(
    ("run", "deploys", "said"),
    [
        (RUN, False, "that run deploys it: nothing is deployed here. Should it not"),
        ({"status": "waiting", "conclusion": None}, False, "start this workflow by hand without a package"),
        ({"status": "completed", "conclusion": "success"}, False, "that run has deployed it"),
        ({"status": "completed", "conclusion": "cancelled"}, True, "that run has ended (cancelled)"),
        (Refused("GET: 404 Not Found", 404), True, "that run is gone"),
    ],
    ids=["at it", "waits for the champion's reviewers", "done", "ended without", "deleted"],
)
def test_what_the_reviewers_of_a_run_approve_that_run_deploys(
    reviewed: Any, monkeypatch: pytest.MonkeyPatch, run: Any, deploys: bool, said: str
) -> None:
    asked = answer(monkeypatch, run)

    found = doors.door(reviewed.settings, reviewed.prod, 1)

    assert asked == ["/repos/team/churn/actions/runs/77"]
    assert (found.who, found.run, found.deploys) == ("ines, mira", "77", deploys)
    assert said in found.why


def test_what_is_approved_in_the_registry_is_deployed_by_its_event(
    reviewed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answer(monkeypatch, RUN)
    approval.reject(reviewed.settings, reviewed.prod, by="mira", why="too slow", version=1)
    rejected = doors.door(reviewed.settings, reviewed.prod, 1)
    # In Studio, without a word: what was decided before stays on it.
    arn = f"arn:aws:sagemaker:eu-west-1:{reviewed.prod.account}:model-package/{reviewed.prod.group}/1"
    reviewed.client(reviewed.prod).update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    in_studio = doors.door(reviewed.settings, reviewed.prod, 1)
    approval.reject(reviewed.settings, reviewed.prod, by="mira", why="too slow", version=1)
    approval.approve(reviewed.settings, reviewed.prod, by="mira", why="fast enough", version=1)
    at_a_desk = doors.door(reviewed.settings, reviewed.prod, 1)
    by_hand = doors.door(reviewed.settings, reviewed.prod, None)

    assert [each.deploys for each in (rejected, in_studio, at_a_desk, by_hand)] == [True] * 4
    assert asked == []


def test_the_run_that_asked_is_read_back_and_no_reason_can_claim_one(reviewed: Any) -> None:
    arn = f"arn:aws:sagemaker:eu-west-1:{reviewed.prod.account}:model-package/{reviewed.prod.group}/1"
    text = reviewed.client(reviewed.prod).describe_model_package(ModelPackageName=arn)["ApprovalDescription"]

    [decision] = decisions.read(text)

    assert (decision.who, decision.why, decision.run) == ("ines, mira", "better: in run 5: yes", "77")
    assert decisions.read("approved 2026-11-02T12:00:00.000Z by mira: in run 5: good")[0].run == ""
