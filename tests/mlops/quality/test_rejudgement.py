"""A version is never rolled out over one that it was not compared with, however long both have waited."""

import dataclasses
from typing import Any

import pytest

from mlops import storage
from mlops.errors import Failure
from mlops.hosting import deployment
from mlops.quality import verdicts
from mlops.registry import approval, packages, promotion, registration
from mlops.registry.packages import ModelPackage
from mlops.settings.criteria import Compared, Comparison
from mlops.settings.project import Settings
from mlops.settings.serving import AllAtOnce, Endpoint


def comparing(world: Any, may_lose: float) -> Settings:
    """The project with a comparison, and the quickest rollout in production."""
    prod = world.prod.model_copy(update={"endpoint": Endpoint(rollout=AllAtOnce(bake_seconds=0))})
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
    promotion.promote(lax, world.dev, fingerprint, world.progress)
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
    assert str(told.value).endswith("it is now Rejected, what serves stays")
    assert world.answer(world.prod) == "second"
    last = approval.decisions(now(world, third).reason)[0]
    assert (now(world, third).status, last.who) == ("Rejected", "mlops deploy")
    assert last.why.startswith("the gate against churn-prod version 2: log_loss is worse")


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
