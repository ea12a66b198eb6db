"""Who waits for whom, as `concurrency` says, and what is run again: as GitHub does both, and act neither."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import GitHub, documents
from harness.environments import Environment

WORKFLOWS = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}/.github/workflows"
pytestmark = pytest.mark.slow
TO_DEV = "deploy-dev-champion"
Open = Callable[..., GitHub]


def hollow(go: Path) -> dict[str, str]:
    """The deployment to dev as it is, but that it is not made: its job goes on when there is a file."""
    dev, deploy = (documents.load(WORKFLOWS / name) for name in ("dev.yml", "_deploy.yml"))
    called = {key: value for key, value in dev["jobs"]["deploy"].items() if key in ("uses", "with")}
    waits = f"for _ in $(seq 5000); do [ -e {go} ] && exit; sleep 0.02; done; exit 1"
    job = {**deploy["jobs"]["deploy"], "outputs": {}, "steps": [{"run": waits}]}
    # Only a person reads what a workflow is given as permissions here: nothing is checked out.
    job.pop("permissions")
    files = {"dev.yml": {**dev, "jobs": {"deploy": called}}, "_deploy.yml": {**deploy, "jobs": {"deploy": job}}}
    return {f".github/workflows/{name}": json.dumps(each) for name, each in files.items()}


def test_runs_of_dev_deploy_in_the_order_in_which_they_came_and_none_is_left_out(opened: Open, tmp_path: Path) -> None:
    go, runs = tmp_path / "go", []
    github = opened(hollow(go), dev=Environment(branches=("dev",)))

    with github.together():
        for number in range(3):
            runs += github.commit("dev", {"a": str(number)})
            github.groups.wait_until(TO_DEV, "waits" if number else "enters", runs[-1])
        go.touch()

    assert [run.conclusion for run in runs] == ["success"] * 3, runs[1].told()
    first, second, third = (run.id for run in runs)
    assert github.groups.told[TO_DEV] == [
        *(("enters", first), ("waits", second), ("waits", third)),
        *(("leaves", first), ("enters", second), ("leaves", second), ("enters", third)),
    ]


def test_without_a_longer_queue_a_job_that_waits_is_replaced(opened: Open, tmp_path: Path) -> None:
    go, runs = tmp_path / "go", []
    lock = "concurrency: {group: one}, runs-on: ubuntu-latest"
    step = f"until [ -e {go} ]; do sleep 0.02; done"
    github = opened({
        ".github/workflows/main.yml": f"on: push\njobs: {{a: {{{lock}, steps: [{{run: '{step}'}}]}}}}\n"
    })  # fmt: skip

    with github.together():
        for number in range(3):
            runs += github.commit("main", {"a": str(number)})
            github.groups.wait_until("one", "waits" if number else "enters", runs[-1])
        go.touch()

    assert [run.conclusion for run in runs] == ["success", "failure", "success"]
    assert "higher priority waiting request" in runs[1].log


def test_a_job_that_would_be_cancelled_while_it_runs_is_a_problem(opened: Open, tmp_path: Path) -> None:
    go = tmp_path / "go"
    lock = "concurrency: {group: one, cancel-in-progress: true}, runs-on: ubuntu-latest"
    step = f"until [ -e {go} ]; do sleep 0.02; done"
    github = opened({
        ".github/workflows/main.yml": f"on: push\njobs: {{a: {{{lock}, steps: [{{run: '{step}'}}]}}}}\n"
    })  # fmt: skip

    def twice() -> None:
        with github.together():
            [first] = github.commit("main", {"a": "1"})
            github.groups.wait_until("one", "enters", first)
            [second] = github.commit("main", {"a": "2"})
            github.groups.wait_until("one", "waits", second)
            go.touch()

    with pytest.raises(AssertionError, match="GitHub would cancel a here"):
        twice()


FAILS_ONCE = """
    on: push
    jobs:
      first:
        runs-on: ubuntu-latest
        outputs: {version: "${{ steps.s.outputs.version }}"}
        steps: [{id: s, run: 'echo "version=$GITHUB_RUN_ATTEMPT" >> "$GITHUB_OUTPUT"'}]
      called: {uses: ./.github/workflows/called.yml}
      passed-over: {if: false, runs-on: ubuntu-latest, steps: [{run: echo}]}
      beside:
        needs: [first, passed-over]
        if: ${{ !cancelled() && needs.first.result == 'success' }}
        runs-on: ubuntu-latest
        steps: [{run: echo}]
      fails:
        needs: [first, called]
        runs-on: ubuntu-latest
        steps:
          - run: echo "${{ needs.first.outputs.version }} of $GITHUB_RUN_ATTEMPT"; [ "$GITHUB_RUN_ATTEMPT" = 2 ]
      after:
        needs: [called, fails, beside]
        if: ${{ !cancelled() && needs.fails.result == 'success' && needs.beside.result == 'success' }}
        runs-on: ubuntu-latest
        steps: [{run: 'echo "by ${{ needs.called.outputs.who }}" >> "$GITHUB_STEP_SUMMARY"'}]
      otherwise:
        needs: fails
        if: ${{ !cancelled() && needs.fails.result == 'failure' }}
        runs-on: ubuntu-latest
        steps: [{run: echo}]
"""
CALLED = """
    on: {workflow_call: {outputs: {who: {value: "${{ jobs.inner.outputs.who }}"}}}}
    jobs:
      inner:
        runs-on: ubuntu-latest
        outputs: {who: "${{ steps.s.outputs.who }}"}
        steps: [{id: s, run: 'echo "who=attempt $GITHUB_RUN_ATTEMPT" >> "$GITHUB_OUTPUT"'}]
"""


def test_failed_jobs_are_run_again_with_what_needs_them_and_the_others_keep_their_outputs(opened: Open) -> None:
    github = opened({".github/workflows/main.yml": FAILS_ONCE, ".github/workflows/called.yml": CALLED})

    [run] = github.commit("main", {"a": "1"})
    again = github.rerun_failed(run)

    kept = {"first": "success", "called": "success", "called/inner": "success", "passed-over": "skipped"}
    kept["beside"] = "success"
    assert run.results == {**kept, "fails": "failure", "after": "skipped", "otherwise": "success"}, run.told()
    assert again.results == {**kept, "fails": "success", "after": "success", "otherwise": "skipped"}, again.told()
    assert again.attempt == 2
    assert "1 of 2" in again.jobs["fails"].log
    assert again.summary == "by attempt 1\n"
    assert all(again.jobs[name] is run.jobs[name] for name in kept)
