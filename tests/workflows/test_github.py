"""The harness does what GitHub does and act does not: filters, permissions, environments, tokens, inputs."""

import base64
import json
from collections.abc import Callable

import pytest

from harness import Environment, GitHub, HarnessError, Run
from harness.origin import git

SHOW_SUBJECT = (
    "curl -sf -H \"authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\" "
    "\"$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com\""
)  # fmt: skip
Open = Callable[..., GitHub]


def subject(run: Run, job: str) -> str:
    """The `sub` claim that a job's step has printed the token of."""
    body = json.loads(run.jobs[job].log.strip().splitlines()[-1])["value"].split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(body + "=="))["sub"])


def test_filters_choose_the_workflows_of_a_push(opened: Open) -> None:
    job = "jobs: {a: {runs-on: ubuntu-latest, steps: [{run: echo hi}]}}"
    filters = {
        "feature": '{branches: ["feature/**", "!feature/draft/**"]}',
        "one-level": "{branches: [feature/*]}",
        "docs": '{branches: ["**"], paths: ["docs/**"]}',
        "code": '{paths-ignore: ["docs/**"]}',
        "tags": '{tags: ["v*"]}',
    }
    github = opened({
        f".github/workflows/{name}.yml": f"on: {{push: {each}}}\n{job}\n" for name, each in filters.items()
    })  # fmt: skip

    started = {
        branch: sorted(run.workflow for run in github.commit(branch, {path: "text"}))
        for branch, path in {"feature/a/b": "code.py", "feature/draft/x": "docs/x.md", "feature/y": "docs/y.md"}.items()
    }

    assert started == {
        "feature/a/b": ["code.yml", "feature.yml"],
        "feature/draft/x": ["docs.yml"],
        "feature/y": ["docs.yml", "feature.yml", "one-level.yml"],
    }


def test_the_token_of_a_job_has_the_subject_of_its_environment_or_its_ref(opened: Open) -> None:
    github = opened({
        ".github/workflows/main.yml": f"""
            on: {{push: {{}}, workflow_dispatch: {{inputs: {{where: {{type: choice, options: [prod, dev]}}}}}}}}
            permissions: {{}}
            jobs:
              plain: {{runs-on: ubuntu-latest, permissions: {{id-token: write}}, steps: [{{run: '{SHOW_SUBJECT}'}}]}}
              named:
                runs-on: ubuntu-latest
                permissions: {{id-token: write}}
                environment: {{name: "${{{{ inputs.where || 'dev' }}}}"}}
                steps: [{{run: '{SHOW_SUBJECT}'}}]
              called: {{uses: $/.github/workflows/called.yml, permissions: {{id-token: write}}, with: {{where: prod}}}}
        """,
        ".github/workflows/called.yml": f"""
            on: {{workflow_call: {{inputs: {{where: {{type: string, required: true}}}}}}}}
            jobs:
              inner:
                runs-on: ubuntu-latest
                environment: "${{{{ inputs.where }}}}"
                steps: [{{run: '{SHOW_SUBJECT}'}}]
        """,
    })  # fmt: skip

    [pushed] = github.commit("feature/x", {"a": "1"})
    dispatched = github.dispatch("main.yml", {"where": "prod"})

    prefix = "repo:example@101/churn@202"
    assert subject(pushed, "plain") == f"{prefix}:ref:refs/heads/feature/x"
    assert subject(pushed, "named") == f"{prefix}:environment:dev"
    assert subject(pushed, "called/inner") == f"{prefix}:environment:prod"
    assert subject(dispatched, "named") == f"{prefix}:environment:prod"
    assert ("prod", pushed.event.sha) in github.deployments


def test_a_job_without_the_permission_gets_no_token(opened: Open) -> None:
    github = opened({
        ".github/workflows/main.yml": """
            on: push
            permissions: {id-token: write}
            jobs:
              none: {runs-on: ubuntu-latest, permissions: {}, steps: [{run: 'test -z "$ACTIONS_ID_TOKEN_REQUEST_URL"'}]}
              reads: {runs-on: ubuntu-latest, permissions: {contents: read}, steps: [{uses: actions/checkout@v7}]}
              cannot: {runs-on: ubuntu-latest, permissions: {}, steps: [{uses: actions/checkout@v7}]}
        """,
    })  # fmt: skip

    [run] = github.commit("main", {"a": "1"})

    assert run.results == {"none": "success", "reads": "success", "cannot": "failure"}
    assert "no `contents: read`" in run.jobs["cannot"].log


def test_a_called_workflow_can_not_have_more_than_its_caller(opened: Open) -> None:
    github = opened({
        ".github/workflows/main.yml": "on: push\njobs: {a: {uses: ./.github/workflows/called.yml}}\n",
        ".github/workflows/called.yml": """
            on: workflow_call
            permissions: {id-token: write}
            jobs: {inner: {runs-on: ubuntu-latest, steps: [{run: echo}]}}
        """,
    })  # fmt: skip

    [run] = github.commit("main", {"a": "1"})

    assert run.conclusion == "startup_failure"
    assert "id-token: write" in run.startup_failure


def held_for_review() -> dict[str, str]:
    """A workflow whose second job waits, with outputs before and after."""
    return {
        ".github/workflows/main.yml": """
            on: push
            permissions: {contents: read}
            jobs:
              copy:
                runs-on: ubuntu-latest
                outputs: {version: "${{ steps.s.outputs.version }}"}
                steps: [{id: s, run: 'echo "version=7" >> "$GITHUB_OUTPUT"'}]
              approve:
                needs: copy
                runs-on: ubuntu-latest
                permissions: {actions: read}
                environment: {name: prod-approval}
                steps:
                  - env: {TOKEN: "${{ github.token }}", URL: "${{ github.api_url }}/repos/${{ github.repository }}"}
                    run: 'curl -sf -H "authorization: Bearer $TOKEN" "$URL/actions/runs/$GITHUB_RUN_ID/approvals"'
              deploy:
                needs: [copy, approve]
                runs-on: ubuntu-latest
                steps: [{run: 'echo "deploys ${{ needs.copy.outputs.version }}" >> "$GITHUB_STEP_SUMMARY"'}]
              refused:
                needs: approve
                if: ${{ !cancelled() && needs.approve.result == 'failure' }}
                runs-on: ubuntu-latest
                steps: [{run: echo refused}]
        """,
    }


def test_a_job_waits_for_the_reviewers_of_its_environment(opened: Open) -> None:
    github = opened(held_for_review(), prod_approval=Environment(reviewers=("ines",)))

    [run] = github.commit("main", {"a": "1"})
    assert run.conclusion == "waiting"
    assert run.gate.held() == ["prod-approval"]

    with pytest.raises(PermissionError, match="no reviewer"):
        github.approve(run, "prod-approval", by="mira")
    github.approve(run, "prod-approval", by="ines", comment="better recall")

    assert run.results == {"copy": "success", "approve": "success", "deploy": "success", "refused": "skipped"}
    [review] = json.loads(run.jobs["approve"].log.splitlines()[-1])
    assert (review["user"]["login"], review["comment"]) == ("ines", "better recall")
    assert run.summary == "deploys 7\n"


def test_a_rejected_job_fails_and_what_needs_it_is_skipped(opened: Open) -> None:
    github = opened(held_for_review(), prod_approval=Environment(reviewers=("ines",)))

    [run] = github.commit("main", {"a": "1"})
    github.reject(run, "prod-approval", by="ines", comment="wrong data")

    assert run.results == {"copy": "success", "approve": "failure", "deploy": "skipped", "refused": "success"}


def test_an_environment_without_rules_holds_nobody_and_one_with_branches_refuses_others(opened: Open) -> None:
    github = opened(held_for_review(), prod_approval=Environment(branches=("main",)))

    [allowed] = github.commit("main", {"a": "1"})
    [refused] = github.commit("feature/x", {"a": "2"})

    assert allowed.jobs["approve"].log.splitlines()[-1] == "[]"
    assert "not allowed to deploy to prod-approval" in refused.jobs["approve"].log


def test_a_pull_request_from_a_fork_gets_a_token_that_only_reads(opened: Open) -> None:
    github = opened({
        ".github/workflows/pull.yml": """
            on: {pull_request: {branches: [dev]}}
            jobs:
              comment:
                runs-on: ubuntu-latest
                permissions: {pull-requests: write, id-token: write}
                steps:
                  - env: {TOKEN: "${{ github.token }}", NUMBER: "${{ github.event.number }}"}
                    run: |
                      echo "oidc: ${ACTIONS_ID_TOKEN_REQUEST_URL:+yes}"
                      curl -s -o /dev/null -w '%{http_code}\\n' -H "authorization: Bearer $TOKEN" -d '{"body": "hi"}' \\
                        "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments"
        """,
    })  # fmt: skip
    github.commit("feature/own", {"a": "1"})
    github.origin.commit("feature/theirs", {"a": "2"}, "theirs")

    own, [own_run] = github.open_pull_request("feature/own")
    theirs, [fork_run] = github.open_pull_request("feature/theirs", fork="stranger")

    assert own_run.log.split() == ["oidc:", "yes", "201"]
    assert fork_run.log.split() == ["oidc:", "403"]
    assert [len(own.comments), len(theirs.comments)] == [1, 0]


def test_dispatches_are_checked_against_their_inputs(opened: Open) -> None:
    github = opened({
        ".github/workflows/go.yml": """
            on:
              workflow_dispatch:
                inputs:
                  where: {type: choice, options: [dev, prod], required: true}
                  sure: {type: boolean, default: false}
            jobs:
              a:
                if: inputs.sure
                runs-on: ubuntu-latest
                steps: [{run: 'echo "${{ inputs.where }}"'}]
        """,
    })  # fmt: skip

    assert github.dispatch("go.yml", {"where": "prod"}).conclusion == "skipped"
    assert "prod" in github.dispatch("go.yml", {"where": "prod", "sure": True}).log
    for wrong in ({}, {"where": "moon"}, {"where": "dev", "extra": 1}):
        with pytest.raises(HarnessError, match="422"):
            github.dispatch("go.yml", wrong)

    github.commit("feature/x", {".github/workflows/new.yml": "on: workflow_dispatch\njobs: {}\n"})
    with pytest.raises(HarnessError, match=r"404: new\.yml is not on main"):
        github.dispatch("new.yml", {}, ref="feature/x")


def test_a_merge_by_each_button_gives_the_same_tree(opened: Open) -> None:
    github = opened({"a.txt": "a\n"})
    trees = {}
    for how in ("merge", "squash", "rebase"):
        github.origin.reset("dev", "main")
        github.commit(f"feature/{how}", {"a.txt": "b\n"}, start="dev")
        pull, _ = github.open_pull_request(f"feature/{how}")
        github.merge(pull, how)
        trees[how] = git(github.origin.bare, "rev-parse", "dev^{tree}")

    assert len(set(trees.values())) == 1
    assert github.origin.file("dev", "a.txt") == "b"
