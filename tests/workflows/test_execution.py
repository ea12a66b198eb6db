"""The harness executes jobs as a runner does, and lets no job without a result go unseen."""

import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import GitHub, HarnessError

Open = Callable[..., GitHub]


def test_a_job_that_neither_ran_nor_was_skipped_is_an_error(opened: Open) -> None:
    github = opened({
        ".github/workflows/main.yml": "on: push\njobs: {a: {runs-on: ubuntu-lates, steps: [{run: echo}]}}\n"
    })  # fmt: skip

    with pytest.raises(HarnessError, match="job a neither ran nor was skipped"):
        github.commit("main", {"a": "1"})


def test_jobs_after_a_failed_called_workflow_are_skipped_or_an_error_when_they_ask_to_run(opened: Open) -> None:
    def files(condition: str) -> dict[str, str]:
        return {
            ".github/workflows/main.yml": f"""
                on: push
                jobs:
                  call: {{uses: ./.github/workflows/called.yml}}
                  after: {{needs: call, {condition} runs-on: ubuntu-latest, steps: [{{run: echo}}]}}
                  last: {{needs: after, runs-on: ubuntu-latest, steps: [{{run: echo}}]}}
            """,
            ".github/workflows/called.yml": """
                on: workflow_call
                jobs: {inner: {runs-on: ubuntu-latest, steps: [{run: 'false'}]}}
            """,
        }

    github = opened(files("if: \"!cancelled() && needs.call.result == 'success'\","))
    [run] = github.commit("main", {"a": "1"})
    assert run.results == {"call/inner": "failure", "call": "failure", "after": "skipped", "last": "skipped"}

    workflow = textwrap.dedent(files("if: always(),")[".github/workflows/main.yml"])
    with pytest.raises(HarnessError, match="job after neither ran nor was skipped"):
        github.commit("main", {".github/workflows/main.yml": workflow})


def test_steps_see_nothing_of_the_machine_and_the_commit_that_was_pushed(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    monkeypatch.setenv("MLOPS_SECRET", "leaks")
    github = opened({
        ".env": "FROM_DOTENV=leaks\n",
        ".github/workflows/main.yml": """
            on: push
            permissions: {contents: write}
            jobs:
              look:
                runs-on: ubuntu-latest
                steps:
                  - run: env; exit 0
                  - uses: actions/checkout@v7
                  - run: test "$(git rev-parse HEAD)" = "$GITHUB_SHA" && git status --short --branch && cat a
                  - run: git push -q origin HEAD:refs/heads/by-workflow
        """,
    })  # fmt: skip

    [run] = github.commit("main", {"a": "pushed"})

    assert run.conclusion == "success", run.told()
    assert "leaks" not in run.log
    assert "AWS_PROFILE" not in run.log
    assert "pushed" in run.log
    assert github.origin.head("by-workflow") == run.event.sha


def test_composite_actions_hand_on_inputs_outputs_and_the_jobs_token(opened: Open) -> None:
    github = opened({
        ".github/actions/greet/action.yml": """
            name: greet
            description: greets
            inputs:
              token: {description: token, default: "${{ github.token }}"}
              who: {description: who, required: true}
            outputs: {line: {description: line, value: "${{ steps.s.outputs.line }}"}}
            runs:
              using: composite
              steps:
                - id: s
                  shell: bash
                  env: {WHO: "${{ inputs.who }}"}
                  run: echo "line=hello $WHO" >> "$GITHUB_OUTPUT"
                - {shell: bash, env: {TOKEN: "${{ inputs.token }}"}, run: 'test "$TOKEN" = "$HARNESS_TOKEN"'}
        """,
        ".github/workflows/main.yml": """
            on: push
            jobs:
              a:
                runs-on: ubuntu-latest
                steps:
                  - uses: actions/checkout@v7
                  - {id: greet, uses: $/.github/actions/greet, with: {who: ines}}
                  - run: echo "${{ steps.greet.outputs.line }}" && git diff --exit-code
        """,
    })  # fmt: skip

    [run] = github.commit("main", {"a": "1"})

    assert run.conclusion == "success", run.told()
    assert "hello ines" in run.log


def test_a_cancelled_run_gets_the_signal_in_the_process_of_its_step(opened: Open, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    github = opened({
        ".github/workflows/main.yml": f"""
            on: push
            jobs:
              waits:
                runs-on: ubuntu-latest
                steps:
                  - run: |
                      trap 'echo stopped >> {mark}; exit 130' INT
                      mkfifo {tmp_path}/never && echo begun > {mark} && exec 3<> {tmp_path}/never && read -r -u 3 line
              after: {{needs: waits, runs-on: ubuntu-latest, steps: [{{run: 'echo ran > {mark}'}}]}}
        """,
    })  # fmt: skip

    with github.together():
        [run] = github.commit("main", {"a": "1"})
        deadline = time.monotonic() + 20
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        github.cancel(run)

    assert run.conclusion == "cancelled"
    assert mark.read_text().split() == ["begun", "stopped"]


def test_artifacts_are_unique_in_a_run_and_leave_hidden_files_out(opened: Open) -> None:
    github = opened({
        ".github/workflows/main.yml": """
            on: push
            jobs:
              up:
                runs-on: ubuntu-latest
                steps:
                  - run: mkdir -p out/deep && echo 1 > out/deep/a.txt && echo 2 > out/.hidden
                  - {uses: actions/upload-artifact@v7, with: {name: all, path: out, if-no-files-found: error}}
              down:
                needs: up
                runs-on: ubuntu-latest
                steps:
                  - {uses: actions/download-artifact@v8, with: {name: all, path: in}}
                  - run: find in -type f
                  - {uses: actions/upload-artifact@v7, with: {name: all, path: in}}
        """,
    })  # fmt: skip

    [run] = github.commit("main", {"a": "1"})

    assert run.results == {"up": "success", "down": "failure"}
    assert "in/deep/a.txt" in run.jobs["down"].log
    assert ".hidden" not in run.jobs["down"].log
    assert "exists already in this run" in run.jobs["down"].log
