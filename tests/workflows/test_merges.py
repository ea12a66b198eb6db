"""Branches that do not go straight: a conflict resolved by rebase and force-push, a merge that does not serve."""

import time

import pytest

from harness.expected import Expected
from harness.moments import Moment
from harness.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DEV = "dev.yml deploy/deploy"


def penalty(value: float, text: str) -> str:
    """params.yaml with another penalty; of a conflict nothing else is left."""
    lines = [line for line in text.splitlines() if not line.startswith(("<<<<<<<", "=======", ">>>>>>>"))]
    first = next(number for number, line in enumerate(lines) if line.strip().startswith("C:"))
    kept = [line for number, line in enumerate(lines) if number <= first or not line.strip().startswith("C:")]
    kept[first] = f"  C: {value}"
    return "\n".join(kept) + "\n"


@pytest.fixture(scope="module")
def start(world: World, feature: Moment) -> Moment:
    """How things stand before."""
    return world.moment([], time.monotonic())


@pytest.fixture(scope="module")
def resolved(world: World, start: Moment) -> Moment:
    """Two branches change the same line; the second is rebased onto the first, resolved, and pushed by force."""
    origin = world.github.origin
    origin.commit("feature/left", {"params.yaml": lambda text: penalty(0.61, text)}, "left", start="dev")
    origin.commit("feature/right", {"params.yaml": lambda text: penalty(0.91, text)}, "right", start="dev")
    origin.merge("feature/left", "dev", "squash")
    before, since = origin.head("feature/right"), time.monotonic()
    origin.rebase("feature/right", "dev", {"params.yaml": lambda text: penalty(0.76, text)})
    return world.moment(world.github.pushed("feature/right", before), since, before=before)


@pytest.fixture(scope="module")
def merged(world: World, resolved: Moment) -> Moment:
    """It is merged."""
    before, since = world.github.origin.head("dev"), time.monotonic()
    world.github.origin.merge("feature/right", "dev", "squash")
    return world.moment(world.github.pushed("dev", before), since)


@pytest.fixture(scope="module")
def broken(world: World, merged: Moment) -> Moment:
    """A model comes to dev that is as good as the one before, and can not be loaded where it has to serve."""
    since, load = time.monotonic(), "    return joblib.load("
    script = f"src/{world.settings['package']}/inference.py"
    edit = {script: lambda text: text.replace(load, f'    raise RuntimeError("no such model")\n{load}')}
    return world.moment(world.github.commit("dev", edit), since)


def test_a_conflict_resolved_and_pushed_by_force_is_trained_as_what_it_is_now(
    world: World, start: Moment, resolved: Moment
) -> None:
    report = {"feature.yml train/train": (resolved.newest("feature"),)}
    Expected(start, came={"feature": ("Approved",)}, reports=report, trains=True).check(world, resolved)
    run = resolved.run("feature.yml")
    assert run.conclusion == "success", run.told()
    assert run.event.payload["forced"] is True
    version = resolved.newest("feature")
    assert version.metadata["commit"] == world.github.origin.head("feature/right") != resolved.notes["before"]
    assert version.metadata["parameter.train.C"] == "0.76"
    assert not {"0.61", "0.91"} & {each.metadata["parameter.train.C"] for each in resolved.groups["feature"]}


def test_what_was_resolved_is_what_serves_after_the_merge(world: World, resolved: Moment, merged: Moment) -> None:
    assert merged.run("dev.yml").conclusion == "success", merged.told()
    Expected(
        resolved,
        came={"dev": ("Approved",)},
        serves={"dev": resolved.newest("feature")},
        reports={DEV: (merged.newest("dev"),)},
    ).check(world, merged)
    assert merged.jobs == resolved.jobs


def test_a_deployment_that_fails_goes_back_and_the_run_says_so(world: World, merged: Moment, broken: Moment) -> None:
    # Nothing tells a model that does not come up from an account that has no instance: it may be tried again.
    Expected(
        merged,
        came={"feature": ("Approved",), "dev": ("Approved",)},
        reports={DEV: (broken.newest("dev"), merged.newest("dev"))},
        trains=True,
    ).check(world, broken)
    run = broken.run("dev.yml")
    assert run.jobs["train/train"].result == "success", run.told()
    assert run.jobs["deploy/deploy"].result == "failure"
    served = merged.newest("dev").number
    assert f"rolled back to version {served}" in run.jobs["deploy/deploy"].log, run.told()
