"""A version is never rolled out over one that it was not compared with, however long both have waited."""

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from mlops import storage
from mlops.errors import Failure
from mlops.hosting import deployment, endpoints, setbacks
from mlops.hosting.alarms import Reading
from mlops.quality import gate, verdicts
from mlops.registry import approval, decisions, history, packages, promotion, registration
from mlops.registry.packages import ModelPackage
from mlops.reporting import markdown
from mlops.settings.criteria import Compared, Comparison
from mlops.settings.project import Settings
from mlops.settings.serving import AllAtOnce, Batch, Endpoint, Serving

QUICKEST = Endpoint(rollout=AllAtOnce(bake_seconds=0))


def comparing(world: Any, may_lose: float, endpoint: Serving = QUICKEST) -> Settings:
    """The project with a comparison, and the quickest rollout in production."""
    prod = world.prod.model_copy(update={"endpoint": endpoint})
    asked = Comparison(positive="yes", resamples=400, metrics=(Compared(metric="log_loss", may_lose=may_lose),))
    return world.settings_with(prod).model_copy(update={"comparison": asked})  # type: ignore[no-any-return]


def waiting(world: Any, label: str, sure: float) -> ModelPackage:
    """A model that waits in production: how sure it is of the right answers to the one test set. Dev takes any."""
    session, lineage, lax = world.session(world.feature), world.lineage(), comparing(world, may_lose=10)
    home = f"s3://churn-feature-111111111111/jobs/{lineage.fingerprint}/report/"
    lines = [f"r{n},yes,{sure}" if n % 3 else f"r{n},no,{1 - sure}" for n in range(100)]
    storage.write(session, f"{home}predictions.csv", "\n".join(["row,label,probability", *lines, ""]).encode())
    model = dataclasses.replace(world.model(label), report=home)
    fingerprint = registration.register(lax, world.feature, model, lineage, "", "somebody").fingerprint
    (dev,) = promotion.promote(lax, world.dev, fingerprint, world.progress)
    world.verified(dev)
    return promoted(world, fingerprint)


def promoted(world: Any, fingerprint: str) -> ModelPackage:
    settings = comparing(world, may_lose=0.05)
    (package,) = promotion.promote(settings, settings.environments[-1], fingerprint, world.progress)
    return package


def released(world: Any, package: ModelPackage) -> deployment.Deployment:
    """A version that a person approves and the workflow deploys."""
    settings = comparing(world, may_lose=0.05)
    approval.approve(settings, settings.environments[-1], by="mira", why="good", version=package.version)
    return deployment.deploy(settings, settings.environments[-1], world.progress, package.version)


def now(world: Any, package: ModelPackage) -> ModelPackage:
    return packages.describe(world.session(world.prod), package.arn)


@pytest.mark.slow
def test_of_two_that_waited_the_second_is_held_against_the_first_before_it_is_rolled_out(world: Any) -> None:
    first = waiting(world, "first", 0.6)
    released(world, first)
    second, third = waiting(world, "second", 0.9), waiting(world, "third", 0.62)
    assert {each.metadata[verdicts.SERVING] for each in (second, third)} == {first.arn}
    released(world, second)

    with pytest.raises(Failure, match="the gate refuses it: log_loss is worse against what serves") as told:
        released(world, third)

    assert str(told.value).startswith(
        "churn-prod: churn-prod version 3 was approved, and churn-prod version 2 came to serve since"
    )
    assert str(told.value).endswith(
        "it is now Rejected, what serves stays; change the model, or, to overrule the gate: "
        "mlops approve --env prod --version 3 --by NAME --reason WHY"
    )
    assert world.answer(world.prod) == "second"
    last = decisions.read(now(world, third).reason)[0]
    assert (now(world, third).status, last.who) == ("Rejected", "mlops deploy")
    assert last.why.startswith("the gate against churn-prod version 2: log_loss is worse")


def refused(world: Any) -> tuple[ModelPackage, ModelPackage]:
    """The version that serves, and one that the gate has refused against it when it was to be rolled out."""
    in_batch(world, waiting(world, "first", 0.6).version)
    second, third = waiting(world, "second", 0.9), waiting(world, "third", 0.62)
    in_batch(world, second.version)
    with pytest.raises(Failure, match="the gate refuses it"):
        in_batch(world, third.version)
    return second, now(world, third)


@pytest.mark.slow
def test_who_approves_once_more_after_the_verdict_overrules_it_and_no_other(world: Any) -> None:
    second, third = refused(world)
    assert (third.metadata["gate"], third.metadata[verdicts.SERVING]) == ("refused", second.arn)
    settings, session = comparing(world, 0.05, Batch(kind="batch")), world.session(world.prod)

    approval.approve(settings, settings.environments[-1], by="ines", why="it is fairer", version=third.version)
    assert deployment.deploy(settings, settings.environments[-1], world.progress).version == third.version

    found = now(world, third)
    why = "it is fairer (overrules the gate against churn-prod version 2)"
    assert decisions.read(found.reason)[0].why == why
    assert (found.metadata["gate"], found.metadata[verdicts.OVERRULED].startswith("ines: it is fairer")) == (
        "overruled",
        True,
    )
    told = [(each.what, each.who, each.why) for each in history.history(world.settings) if each.version == 3]
    assert ("approved", "ines", why) in told
    written = json.loads(storage.read(session, found.metadata["gate_uri"]))
    assert (written["passed"], written["against"]) == (False, "churn-prod version 2")
    shown = markdown.comparison(SimpleNamespace(package=found, decision=written))  # type: ignore[arg-type]
    assert "**Overruled** by ines: it is fairer" in shown
    assert "**worse: refused**" in shown


@pytest.mark.slow
def test_an_approval_that_names_nobody_overrules_nothing(world: Any) -> None:
    _, third = refused(world)
    settings = comparing(world, 0.05, Batch(kind="batch"))
    packages.set_status(world.session(world.prod), third, "Approved", "looks good")

    with pytest.raises(Failure, match=r"its approval names nobody and no reason; .* --version 3 --by NAME"):
        deployment.deploy(settings, settings.environments[-1], world.progress)

    assert now(world, third).status == "Rejected"
    approval.approve(settings, settings.environments[-1], by="ines", why="it is fairer", version=third.version)
    assert deployment.deploy(settings, settings.environments[-1], world.progress).version == third.version


@pytest.mark.slow
def test_to_overrule_the_verdict_against_one_version_is_not_to_overrule_that_against_the_next(world: Any) -> None:
    in_batch(world, waiting(world, "first", 0.6).version)
    second, third, fourth = (waiting(world, *each) for each in (("second", 0.9), ("third", 0.95), ("fourth", 0.62)))
    in_batch(world, second.version)
    with pytest.raises(Failure, match="churn-prod version 2 came to serve since, against which the gate refuses it"):
        in_batch(world, fourth.version)
    in_batch(world, third.version)

    with pytest.raises(Failure, match="churn-prod version 3 came to serve since, against which the gate refuses it"):
        in_batch(world, fourth.version)

    found = now(world, fourth)
    assert (found.status, found.metadata["gate"], found.metadata[verdicts.SERVING]) == (
        "Rejected",
        "refused",
        third.arn,
    )
    assert in_batch(world, fourth.version).version == fourth.version


@pytest.mark.slow
def test_one_that_is_no_worse_is_rolled_out_with_a_verdict_of_today(world: Any) -> None:
    first = waiting(world, "first", 0.6)
    released(world, first)
    second, third = waiting(world, "second", 0.8), waiting(world, "third", 0.82)
    released(world, second)

    assert released(world, third).version == 3

    found = now(world, third)
    assert found.metadata[verdicts.SERVING] == second.arn
    assert found.metadata["gate_against"] == "churn-prod version 2"
    assert world.answer(world.prod) == "third"


@pytest.mark.slow
def test_a_promotion_run_again_says_what_the_gate_thinks_today_before_anybody_is_asked(world: Any) -> None:
    first = waiting(world, "first", 0.6)
    released(world, first)
    second = waiting(world, "second", 0.9)
    approval.approve(comparing(world, 0.05), world.prod, by="mira", why="good", version=second.version)
    third = waiting(world, "third", 0.62)
    # The second is Approved and never came up: what serves is the first.
    assert third.metadata[verdicts.SERVING] == first.arn
    packages.set_status(world.session(world.prod), second, "Rejected", "")
    assert promoted(world, third.fingerprint) == third
    packages.set_status(world.session(world.prod), second, "Approved", "")
    settings = comparing(world, may_lose=0.05)
    deployment.deploy(settings, settings.environments[-1], world.progress)

    with pytest.raises(Failure, match="the gate refuses this model: log_loss is worse"):
        promoted(world, third.fingerprint)

    assert now(world, third).status == "PendingManualApproval"
    fourth = waiting(world, "fourth", 0.92)
    assert fourth.metadata[verdicts.SERVING] == second.arn


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen once, while the gate is at it."""
    of_package, once = gate.of_package, iter([happens])

    def judged(*given: Any) -> Any:
        decision = of_package(*given)
        next(once, lambda: None)()
        return decision

    monkeypatch.setattr(gate, "of_package", judged)


def in_batch(world: Any, version: int) -> deployment.Deployment:
    """A version that a person approves; what is made ready then in a production without an endpoint."""
    settings = comparing(world, 0.05, Batch(kind="batch"))
    approval.approve(settings, settings.environments[-1], by="mira", why="good", version=version)
    return deployment.deploy(settings, settings.environments[-1], world.progress)


@pytest.mark.slow
def test_an_older_version_that_is_approved_later_does_not_judge_the_one_in_use(world: Any) -> None:
    in_batch(world, waiting(world, "first", 0.6).version)
    better, used = waiting(world, "second", 0.9), waiting(world, "third", 0.62)
    in_batch(world, used.version)

    again = in_batch(world, better.version)

    assert (again.version, again.changed) == (used.version, False)
    assert now(world, used).status == "Approved"


@pytest.mark.slow
def test_what_was_judged_against_a_version_that_serves_no_more_is_not_rejected(world: Any, monkeypatch: Any) -> None:
    in_batch(world, waiting(world, "first", 0.6).version)
    second, third = waiting(world, "second", 0.9), waiting(world, "third", 0.62)
    in_batch(world, second.version)
    meanwhile(monkeypatch, lambda: packages.set_status(world.session(world.prod), second, "Rejected", ""))

    assert in_batch(world, third.version).version == third.version

    said = "churn-prod version 1 serves by now, and churn-prod version 3 was held against churn-prod version 2"
    assert any(said in line for line in world.said)
    assert now(world, third).status == "Approved"


@pytest.mark.slow
def test_a_decision_that_falls_while_the_gate_is_at_it_stays_known(world: Any, monkeypatch: Any) -> None:
    in_batch(world, waiting(world, "first", 0.6).version)
    second, third = waiting(world, "second", 0.9), waiting(world, "third", 0.62)
    in_batch(world, second.version)

    def decided() -> None:
        approval.reject(world.settings, world.prod, by="ines", why="a doubt", version=third.version)
        approval.approve(world.settings, world.prod, by="ines", why="no doubt any more", version=third.version)

    meanwhile(monkeypatch, decided)

    with pytest.raises(Failure, match="the gate refuses it"):
        in_batch(world, third.version)

    told = [each.why for each in decisions.read(now(world, third).reason)]
    assert told[0].startswith("the gate against churn-prod version 2")
    assert told[1:] == ["no doubt any more", "a doubt", "good"]


def test_a_decision_that_falls_while_a_rollout_is_rolled_back_stays_known(world: Any) -> None:
    chosen, session, moment = world.in_dev("first"), world.session(world.dev), datetime.now(UTC)
    decisions.record(session, chosen, "Approved", "ines", "it is not the model")
    back = endpoints.State("InService", "churn-dev-v1-00000000", None, "", moment, False, moment, 1)

    with pytest.raises(Failure, match="is now Rejected"):
        setbacks.explain_rollback(
            session, world.dev, chosen, back, [Reading("churn-dev-errors", value=5, limit=1)], after=""
        )

    found = packages.describe(session, chosen.arn)
    assert [each.who for each in decisions.read(found.reason)] == ["mlops deploy", "ines"]
