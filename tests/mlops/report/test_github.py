"""What a workflow asks GitHub: who has reviewed its run, and the one comment on a pull request."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlops import github as client
from mlops.cli import release
from mlops.errors import BadInput, Failure
from mlops.rest import Refused

APPROVALS = ("GET", "/repos/team/churn/actions/runs/77/approvals")
PULLS = ("GET", "/repos/team/churn/pulls")
COMMENTS = ("GET", "/repos/team/churn/issues/5/comments")
MARKER = "<!-- a marker -->"


def review(who, state, comment="", environment="prod-approval"):
    return {"state": state, "comment": comment, "user": {"login": who}, "environments": [{"name": environment}]}


def test_an_approval_names_who_and_why(github):
    github.answers[APPROVALS] = [review("mira", "approved", "better recall\n")]

    assert client.review("prod-approval", "approved") == client.Review("mira", "better recall")


def test_an_approval_without_a_comment_points_at_the_run(github):
    github.answers[APPROVALS] = [review("mira", "approved")]

    assert "https://github.com/team/churn/actions/runs/77" in client.review("prod-approval", "approved").why


@pytest.mark.parametrize(
    "given",
    [
        [],
        [review("mira", "rejected")],
        [review("mira", "approved", environment="feature")],
        [review("mira", "pending")],
    ],
    ids=["an environment without rules", "a rejection", "another environment", "not yet"],
)
def test_nobody_has_approved(github, given):
    github.answers[APPROVALS] = given

    with pytest.raises(Failure, match=r"nobody has approved it in the environment prod-approval; give it req"):
        client.review("prod-approval", "approved")


def test_a_rejection_names_who_and_why(github):
    github.answers[APPROVALS] = [review("mira", "rejected", "worse on the young")]

    assert client.review("prod-approval", "rejected") == client.Review("mira", "worse on the young")


def test_an_approval_whose_job_failed_is_no_rejection(github):
    github.answers[APPROVALS] = [review("mira", "approved")]

    with pytest.raises(Failure, match=r"nobody has rejected it .* run it again"):
        client.review("prod-approval", "rejected")


def test_a_run_that_was_approved_in_the_end_is_not_rejected_for_its_first_attempt(github):
    github.answers[APPROVALS] = [review("mira", "rejected"), review("mira", "approved")]

    with pytest.raises(Failure, match="approved as well as rejected"):
        client.review("prod-approval", "rejected")


JOBS = ("GET", "/repos/team/churn/actions/runs/77/jobs")


def job(attempt, conclusion, steps=1, name="approve", started="16:00"):
    return {
        "name": name,
        "run_attempt": attempt,
        "conclusion": conclusion,
        "steps": [{}] * steps,
        "started_at": started,
    }


@pytest.mark.parametrize(
    ("earlier", "reviews"),
    [
        ([job(1, "failure")], 1),
        ([job(1, "failure", steps=0)], 1),
        ([job(1, "failure"), job(2, "failure", started="17:00")], 2),
    ],
    ids=["approved, then failed", "rejected", "twice"],
)
def test_an_approval_of_an_earlier_attempt_is_none_of_this_one(github, monkeypatch, earlier, reviews):
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", str(len(earlier) + 1))
    monkeypatch.setenv("GITHUB_JOB", "approve")
    github.answers[JOBS] = {"jobs": [*earlier, job(len(earlier) + 1, None)]}
    github.answers[APPROVALS] = [review("mira", "approved", str(each)) for each in range(reviews)]

    with pytest.raises(Failure, match=f"nobody has approved this attempt of it in prod-approval: {reviews} reviews"):
        client.review("prod-approval", "approved")
    github.answers[APPROVALS].append(review("ines", "approved", "now"))

    assert client.review("prod-approval", "approved").who == "mira, ines"


def test_attempts_that_did_not_come_to_a_review_ask_for_none(github, monkeypatch):
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "4")
    monkeypatch.setenv("GITHUB_JOB", "approve")
    github.answers[JOBS] = {
        "jobs": [
            job(1, "skipped", steps=0), job(2, "cancelled", steps=0), job(1, "failure", name="copy"),
            job(3, "failure"), job(4, "failure"), job(4, None, started="18:00"),
        ]
    }  # fmt: skip
    github.answers[APPROVALS] = [review("mira", "approved"), review("ines", "approved", "now")]

    assert client.review("prod-approval", "approved").why == "now"


def pull(number, branch):
    return {"number": number, "head": {"ref": branch}}


def test_pull_requests_of_the_branch_are_found_and_no_others(github):
    github.answers[PULLS] = [pull(5, "feature/deeper"), pull(6, "feature/other")]

    assert client.pull_requests("feature/deeper") == [5]
    assert "head=team%3Afeature%2Fdeeper" in github.asked[0][1]


def entry(number, body, kind="Bot"):
    user = {"type": kind, "login": "github-actions[bot]" if kind == "Bot" else "mira"}
    return {"id": number, "body": body, "user": user, "html_url": f"https://github.com/comment/{number}"}


def test_the_first_report_is_a_new_comment(github):
    github.answers[COMMENTS] = [entry(1, "well done", "User"), entry(2, None)]
    github.answers["POST", COMMENTS[1]] = entry(3, "")

    assert client.comment(5, MARKER, "text") == "https://github.com/comment/3"
    assert ("POST", COMMENTS[1], {"body": f"{MARKER}\ntext"}) in github.asked


def test_the_next_report_replaces_it_wherever_it_is_in_a_long_talk(github):
    github.answers[COMMENTS] = [*(entry(number, "talk", "User") for number in range(150)), entry(999, f"{MARKER}\nold")]
    github.answers["PATCH", "/repos/team/churn/issues/comments/999"] = entry(999, "")

    assert client.comment(5, MARKER, "new") == "https://github.com/comment/999"
    assert github.asked[-1][2] == {"body": f"{MARKER}\nnew"}


class Comments:
    """The comments on a pull request as GitHub keeps them; `before` is done once, before a request of a method."""

    def __init__(self, *there):
        self.there, self.before = {each["id"]: each for each in there}, {}

    def call(self, method, path, body=None):
        self.before.pop(method, lambda: None)()
        number = path.partition("?")[0].rpartition("/")[2]
        if method == "GET":
            return list(self.there.values())
        if method == "DELETE":
            if int(number) not in self.there:
                raise Refused("GitHub DELETE: 404 Not Found", 404)
            del self.there[int(number)]
            return None
        number = int(number) if method == "PATCH" else max(self.there, default=0) + 1
        self.there[number] = entry(number, body["body"])
        return self.there[number]

    @property
    def texts(self):
        return [each["body"].removeprefix(f"{MARKER}\n") for each in self.there.values()]


@pytest.fixture
def comments(github, monkeypatch):
    """No comment yet."""
    found = Comments()
    monkeypatch.setattr(client, "call", found.call)
    return found


def test_a_run_that_writes_the_first_report_after_another_has_written_it_replaces_it(comments):
    # Both have looked, and have found none.
    comments.before["POST"] = lambda: client.comment(5, MARKER, "of another run")

    assert client.comment(5, MARKER, "of this run") == "https://github.com/comment/1"

    assert comments.texts == ["of this run"]


def test_however_two_runs_write_the_first_report_at_once_one_is_left(comments, monkeypatch):
    both, whole = threading.Barrier(2), comments.call

    def call(method, path, body=None):
        if method == "POST":
            both.wait(timeout=10)
        with lock:
            return whole(method, path, body)

    lock = threading.Lock()
    monkeypatch.setattr(client, "call", call)
    with ThreadPoolExecutor(2) as runs:
        addresses = set(runs.map(lambda text: client.comment(5, MARKER, text), ["one", "two"]))

    assert addresses == {"https://github.com/comment/1"}
    assert comments.texts in (["one"], ["two"])


def test_a_surplus_of_old_days_is_deleted_and_what_others_wrote_stays(comments):
    written = [entry(3, f"{MARKER}\nnewer"), entry(2, f"{MARKER}\nolder"), entry(4, f"> {MARKER}", "User")]
    comments.there = {each["id"]: each for each in written}
    comments.there[5] = {**entry(5, f"we quote {MARKER}"), "user": {"type": "Bot", "login": "another[bot]"}}

    assert client.comment(5, MARKER, "now").endswith("/2")

    assert {number: each["body"] for number, each in comments.there.items()} == {
        2: f"{MARKER}\nnow", 4: f"> {MARKER}", 5: f"we quote {MARKER}",
    }  # fmt: skip


def test_a_person_who_quotes_the_marker_keeps_the_comment(github):
    github.answers[COMMENTS] = [entry(1, f"what is {MARKER}?", "User")]
    github.answers["POST", COMMENTS[1]] = entry(3, "")

    assert client.comment(5, MARKER, "text").endswith("/3")


def test_a_report_too_long_for_a_comment_is_cut_and_says_where_the_rest_is(github):
    github.answers[COMMENTS] = []
    github.answers["POST", COMMENTS[1]] = entry(3, "")

    client.comment(5, MARKER, "x" * 100_000)

    [body] = [content["body"] for method, _, content in github.asked if method == "POST"]
    assert len(body) < 65_536
    assert body.endswith("the rest is in the summary of https://github.com/team/churn/actions/runs/77")


def test_a_refusal_says_what_was_asked_and_why_it_failed(github, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "another")

    with pytest.raises(Failure, match=r"GitHub GET /repos/team/churn/.*: 401 Bad credentials"):
        client.review("prod-approval", "approved")


def test_a_missing_variable_is_named(github, monkeypatch):
    monkeypatch.delenv("GITHUB_TOKEN")

    with pytest.raises(BadInput, match="GITHUB_TOKEN is not set"):
        client.review("prod-approval", "approved")


@pytest.mark.parametrize(
    ("event", "payload", "created"),
    [
        ("push", {"created": True}, True),
        ("push", {"created": False}, False),
        ("pull_request", {"created": True}, False),
    ],
)
def test_the_push_that_makes_a_branch_is_known(monkeypatch, tmp_path, event, payload, created):
    file = tmp_path / "event.json"
    file.write_text(json.dumps(payload), encoding="utf-8")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(file))
    monkeypatch.setenv("GITHUB_EVENT_NAME", event)

    assert client.creates_branch() is created


def test_a_branch_is_at_a_commit_or_is_not_there(github):
    github.answers["GET", "/repos/team/churn/git/ref/heads/feature/deeper"] = {"object": {"sha": "a" * 40}}

    assert client.head("feature/deeper") == "a" * 40
    assert client.head("feature/gone") == ""


@pytest.fixture
def on_dev(github, project, tmp_path, monkeypatch):
    """A run of dev for the commit `aaa…`; gives where dev is now."""
    summary, outputs = tmp_path / "summary", tmp_path / "outputs"
    variables = {"GITHUB_REF": "refs/heads/dev", "GITHUB_SHA": "a" * 40, "GITHUB_STEP_SUMMARY": str(summary),
                 "GITHUB_WORKFLOW_REF": "team/churn/.github/workflows/dev.yml@refs/heads/dev",
                 "GITHUB_OUTPUT": str(outputs)}  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)

    def at(commit):
        github.answers["GET", "/repos/team/churn/git/ref/heads/dev"] = {"object": {"sha": commit}}
        return summary, outputs

    return at


def test_a_run_whose_branch_has_moved_on_brings_nothing_and_ends_well(on_dev, capsys):
    summary, outputs = on_dev("b" * 40)

    release.promote(to="dev")

    told = capsys.readouterr()
    assert told.out.startswith("passed over: nothing is brought to dev: the branch is at bbbbbbbbbbbb")
    # The run ends well, and that commit may have none: a page of the run has to show it.
    assert "::warning" in told.err and "as after [skip ci]: start dev.yml by hand" in told.err
    assert "The run of that commit brings its model" in summary.read_text(encoding="utf-8")
    assert outputs.read_text(encoding="utf-8") == "current=false\n"


@pytest.mark.parametrize(
    ("now", "variables"),
    [
        ("a" * 40, {}),
        ("b" * 40, {"GITHUB_TOKEN": ""}),
        ("b" * 40, {"GITHUB_ACTIONS": ""}),
        ("b" * 40, {"GITHUB_REF": "refs/tags/v1"}),
    ],
    ids=["its commit", "no token", "no workflow", "a tag"],
)
def test_a_run_that_is_not_too_late_goes_on(on_dev, monkeypatch, now, variables):
    on_dev(now)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert client.superseded() == ""


def test_a_branch_that_is_gone_makes_nothing_too_late(on_dev, github):
    on_dev("b" * 40)
    github.answers.clear()

    assert client.superseded() == ""
