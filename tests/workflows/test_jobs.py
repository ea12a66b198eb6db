"""Jobs that give a run trouble: one that takes longer than it may wait, one whose runner is lost, one that fails."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import Run
from harness.expected import Expected
from harness.moments import Moment
from harness.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WAIT = "wait_minutes: 0.1\n"
"""Six seconds: longer than an evaluation takes here, and more than enough to see that a training goes on."""

GUARD = 'if __name__ == "__main__":\n'


@dataclass(frozen=True)
class Long:
    """A training that takes as long as the test wants, what its two runs made of it, and one that fails meanwhile."""

    job: str
    go: Path
    lost: Run
    again: Run
    failing: Run
    moment: Moment


def gated(go: Path) -> Callable[[str], str]:
    """An edit of train.py after which it begins only when there is a file."""
    waits = f"while not Path({str(go)!r}).exists():\n    __import__('time').sleep(0.05)\n"
    return lambda text: text.replace(GUARD, f"{waits}\n{GUARD}")


def failed(text: str) -> str:
    """An edit of train.py after which it fails."""
    says = '    print("32 rows are missing")\n    raise SystemExit("the training set is too small")\n'
    return text.replace(GUARD, GUARD + says)


@pytest.fixture(scope="module")
def script(world: World) -> str:
    """The path of the training's script."""
    return f"src/{world.settings['package']}/train.py"


@pytest.fixture(scope="module")
def start(world: World, feature: Moment) -> Moment:
    """How things stand before."""
    return world.moment([], time.monotonic())


@pytest.fixture(scope="module")
def long(world: World, start: Moment, script: str, tmp_path_factory: pytest.TempPathFactory) -> Long:
    """A training whose runner is lost while it goes on; the run is made again, and can not wait for its end.

    Another training fails at the same time.
    """
    go, since = tmp_path_factory.mktemp("gate") / "go", time.monotonic()
    edits = {script: gated(go), "mlops.yaml": lambda text: text + WAIT}
    with world.github.together():
        [lost] = world.github.commit("feature/long", edits, start="dev")
        job = world.wait_for_job("InProgress")
        world.github.lose(lost)
    with world.github.together():
        [failing] = world.github.commit("feature/failing", {script: failed}, start="dev")
        again = world.github.rerun(lost)
    return Long(job, go, lost, again, failing, world.moment([failing, again], since))


@pytest.fixture(scope="module")
def taken_up(world: World, long: Long) -> Moment:
    """The training ends, and its event comes twice."""
    since = time.monotonic()
    long.go.touch()
    world.wait_for_job("Completed", long.job)
    first = world.github.dispatch("training-finished.yml", {"job": long.job})
    [gone_on] = world.github.after(first)
    # On a busy machine the evaluation may take longer than its run waits, too.
    while left := re.search(r"job (\S+) is still at it", gone_on.summary):
        world.wait_for_job("Completed", left[1])
        [gone_on] = world.github.after(world.github.dispatch("training-finished.yml", {"job": left[1]}))
    second = world.github.dispatch("training-finished.yml", {"job": long.job})
    return world.moment([first, gone_on, second], since, first=first, gone_on=gone_on, second=second)


def test_a_job_that_failed_is_reported_with_its_reason_and_the_last_lines_of_its_log(
    long: Long, taken_up: Moment
) -> None:
    run = long.failing
    assert run.jobs["train/train"].result == "failure"
    assert "the training set is too small" in run.jobs["train/train"].log
    report = run.summary.partition("Not registered.")[2]
    assert "is Failed: AlgorithmError" in report.splitlines()[0], run.told()
    assert "\n32 rows are missing\n" in report
    assert run.event.sha not in {each.metadata["commit"] for each in taken_up.groups["feature"]}


def test_a_run_that_is_made_again_adopts_the_job_of_the_one_that_was_lost(world: World, long: Long) -> None:
    assert f"job {long.job} is at it already; waiting for it" in long.again.log, long.again.told()
    assert [name for name in world.jobs() if name.startswith(long.job[:-2])] == [long.job]


def test_a_job_that_takes_longer_than_a_run_may_wait_fails_nothing_and_registers_nothing(
    world: World, start: Moment, long: Long
) -> None:
    Expected(start, trains=True).check(world, long.moment)
    assert long.again.conclusion == "success", long.again.told()
    assert "still training" in long.again.summary
    assert long.job in long.again.summary
    assert "training-finished" in long.again.summary
    assert "registered:" not in long.again.log


def test_the_end_of_a_job_takes_up_the_commit_that_waits_for_it(world: World, long: Long, taken_up: Moment) -> None:
    run = taken_up.notes["gone_on"]
    assert run.conclusion == "success", taken_up.told()
    report = {"feature.yml train/train": (taken_up.newest("feature"),)}
    Expected(long.moment, came={"feature": ("Approved",)}, reports=report, trains=True).check(world, taken_up)
    assert (run.workflow, run.event.sha) == ("feature.yml", long.lost.event.sha)
    version = taken_up.newest("feature")
    assert version.metadata["commit"] == long.lost.event.sha
    assert version.metadata["branch"] == "feature/long"
    assert version.metadata["training_job"].endswith(f"/{long.job}")


def test_the_same_event_once_more_starts_nothing(world: World, taken_up: Moment) -> None:
    second = taken_up.notes["second"]
    assert second.conclusion == "success", second.told()
    assert "No commit waits for it" in second.summary
    assert world.github.after(second) == []
