"""GitHub as a workflow meets it: the event, who reviewed the run, the comment on a pull request."""

import json
import os
import sys
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlops import rest
from mlops.errors import BadInput, Failure

PAGE = 100
"""Entries in one answer of a listing, GitHub's maximum."""

COMMENT_LIMIT = 65_000
"""Characters in a comment; GitHub takes 65,536 at most."""

ADVICE = {
    "approved": "give it required reviewers in the repository's settings (without them a job passes, and approves "
    "nothing), or {instead}",
    "rejected": "its job failed for another reason: run it again",
}
"""What to do when nobody has reviewed a run."""


@dataclass(frozen=True)
class Review:
    """What reviewers said of a run: who, and why."""

    who: str
    why: str


def active() -> bool:
    """Whether this command runs in a workflow."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def can_write() -> bool:
    """Whether the workflow has handed a token on."""
    return active() and bool(os.environ.get("GITHUB_TOKEN"))


def run_url() -> str:
    """Address of the workflow run that this command is part of; empty elsewhere."""
    parts = [os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else ""


def run_id() -> str:
    """The number of that run, the same in all its attempts; empty elsewhere."""
    return os.environ.get("GITHUB_RUN_ID", "") if active() else ""


def run(number: str) -> dict[str, Any] | None:
    """A run of this repository, with its `status` and `conclusion`; None when there is none of that number."""
    try:
        found: dict[str, Any] = call("GET", f"/repos/{repository()}/actions/runs/{number}")
    except rest.Refused as refusal:
        if refusal.status != 404:
            raise
        return None
    return found


def branch() -> str:
    """The branch of a push, or the one that a pull request comes from; empty elsewhere."""
    return os.environ.get("GITHUB_HEAD_REF") or os.environ.get("GITHUB_REF_NAME", "")


def workflow() -> tuple[str, str]:
    """The workflow that this command is part of, by the file's name, and the branch of its run.

    Raises:
        BadInput: it is part of none.
    """
    file, _, ref = required("GITHUB_WORKFLOW_REF").partition("@")
    return file.rpartition("/")[2], ref.removeprefix("refs/heads/")


def creates_branch() -> bool:
    """Whether the event is the push that made its branch, as the first push of a new repository is."""
    path = os.environ.get("GITHUB_EVENT_PATH")
    if not path or os.environ.get("GITHUB_EVENT_NAME") != "push":
        return False
    try:
        return json.loads(Path(path).read_text(encoding="utf-8")).get("created") is True
    except (OSError, ValueError) as error:
        raise Failure(f"the event of this run, {path}, cannot be read: {error}") from error


def review(
    environment: str,
    state: Literal["approved", "rejected"],
    job: str = "",
    instead: str = "approve in the registry",
) -> Review:
    """Who approved or rejected this run's jobs in an environment of GitHub, and why.

    GitHub lists the reviews of all attempts of a run together, without time or attempt.

    Args:
        environment: the one with the reviewers.
        state: what they should have decided.
        job: name of the job that they decide on, as GitHub lists it; this job by its id when not given.
        instead: what may be done where GitHub can ask nobody.

    Raises:
        Failure: nobody did, or only in an earlier attempt of this run. An environment without rules lets its jobs
            pass, but that approves nothing. Or a run that was made again was both rejected and approved, and a
            rejection is wanted: it may be the older one.
    """
    run = required("GITHUB_RUN_ID")
    answer = call("GET", f"/repos/{repository()}/actions/runs/{run}/approvals")
    given = [
        each
        for each in answer
        if each["state"] != "pending" and environment in {place["name"] for place in each["environments"]}
    ]
    found = [each for each in given if each["state"] == state]
    advice = ADVICE[state].format(instead=instead)
    if not found:
        raise Failure(f"run {run}: nobody has {state} it in the environment {environment}; {advice}")
    if state == "rejected" and any(each["state"] == "approved" for each in given):
        raise Failure(f"run {run}: it was approved as well as rejected in {environment}; reject the version by hand")
    if state == "approved" and len(given) <= (earlier := earlier_reviews(run, job)):
        raise Failure(
            f"run {run}: nobody has approved this attempt of it in {environment}: {len(given)} reviews are there, and "
            f"{earlier} earlier attempts; {advice}"
        )
    people = dict.fromkeys(each["user"]["login"] for each in found)
    comments = dict.fromkeys(comment for each in found if (comment := str(each.get("comment") or "").strip()))
    return Review(who=", ".join(people), why="; ".join(comments) or f"no comment, in {run_url() or f'run {run}'}")


def earlier_reviews(run: str, job: str) -> int:
    """In how many earlier attempts of a run reviewers may have decided on the job that this command is part of.

    Each time it ran, or failed without a step, which is how a rejection looks; but for one that was cancelled while it
    waited. A review decides on one attempt, so that there is one more when this attempt was reviewed too.
    """
    attempt = int(os.environ.get("GITHUB_RUN_ATTEMPT") or 1)
    if attempt == 1:
        return 0
    jobs: list[dict[str, Any]] = []
    while len(jobs) % PAGE == 0:
        query = urllib.parse.urlencode({"filter": "all", "per_page": PAGE, "page": len(jobs) // PAGE + 1})
        page = call("GET", f"/repos/{repository()}/actions/runs/{run}/jobs?{query}")["jobs"]
        jobs += page
        if not page:
            break
    name = job or required("GITHUB_JOB")
    own = [each for each in jobs if each["name"] == name and each["run_attempt"] < attempt]
    # A job that is not made again is listed once more for the next attempt, with its old times.
    return len({each["started_at"] for each in own if each["steps"] or each["conclusion"] == "failure"})


def head(branch: str) -> str:
    """The commit that a branch is at; empty when there is no such branch."""
    try:
        return str(call("GET", f"/repos/{repository()}/git/ref/heads/{urllib.parse.quote(branch)}")["object"]["sha"])
    except rest.Refused as refusal:
        if refusal.status != 404:
            raise
        return ""


def superseded() -> str:
    """The commit that the branch of this run is at by now; empty when it is still this run's.

    A run that is made again has the commit that it had. Without a token, or outside of a workflow, nothing is asked.
    """
    if not can_write() or not required("GITHUB_REF").startswith("refs/heads/"):
        return ""
    now = head(required("GITHUB_REF").removeprefix("refs/heads/"))
    return "" if now == required("GITHUB_SHA") else now


def differ(one: str, other: str, paths: Iterable[str]) -> bool:
    """Whether one of some files and folders is different in two commits."""
    return any(object_of(one, path) != object_of(other, path) for path in paths)


def object_of(commit: str, path: str) -> str:
    """The hash of a file, or of a folder with all in it, as it is in a commit; empty where it is not there."""
    found = commit
    for name in path.split("/"):
        entries = call("GET", f"/repos/{repository()}/git/trees/{found}")["tree"]
        found = next((str(each["sha"]) for each in entries if each["path"] == name), "")
        if not found:
            return ""
    return found


def dispatch(workflow: str, branch: str, inputs: dict[str, str]) -> None:
    """Start a workflow on a branch, by its `workflow_dispatch`."""
    path = f"/repos/{repository()}/actions/workflows/{urllib.parse.quote(workflow, safe='')}/dispatches"
    call("POST", path, {"ref": branch, "inputs": inputs})


def pull_requests(head: str) -> list[int]:
    """Numbers of the open pull requests that come from a branch of this repository."""
    owner = repository().partition("/")[0]
    found = listing(f"/repos/{repository()}/pulls", state="open", head=f"{owner}:{head}")
    # GitHub ignores a head that it does not understand, and would list every pull request.
    return [each["number"] for each in found if each["head"]["ref"] == head]


def comment(number: int, marker: str, text: str, new: bool = True) -> str:
    """Write the one comment on a pull request that a marker names: the one that is there, or a new one.

    Two runs that both find none both write one. Each looks again after that: the oldest stays, with the text of whoever
    came second, and the others are deleted.

    Args:
        number: of the pull request.
        marker: what this comment holds and no other does, such as an HTML comment.
        text: Markdown.
        new: write one when there is none yet.

    Returns:
        Address of the comment; empty when none was written.
    """
    body = f"{marker}\n{text}"
    if len(body) > COMMENT_LIMIT:
        body = f"{body[:COMMENT_LIMIT]}\n\n… the rest is in the summary of {run_url() or 'the run'}"
    there = marked(number, marker)
    if not there and not new:
        return ""
    if not there:
        written = call("POST", f"/repos/{repository()}/issues/{number}/comments", {"body": body})
        there = [each for each in marked(number, marker) if author(each) == author(written)] or [written]
        if there[0]["id"] == written["id"]:
            remove(there[1:])
            return str(written["html_url"])
    answer = call("PATCH", f"/repos/{repository()}/issues/comments/{there[0]['id']}", {"body": body})
    remove([each for each in there[1:] if author(each) == author(answer)])
    return str(answer["html_url"])


def marked(number: int, marker: str) -> list[dict[str, Any]]:
    """Our comments on a pull request that hold a marker, the oldest first."""
    entries = listing(f"/repos/{repository()}/issues/{number}/comments")
    # A person may have quoted the marker: only a bot's comment is ours.
    own = [each for each in entries if marker in (each["body"] or "") and each["user"]["type"] == "Bot"]
    return sorted(own, key=lambda each: int(each["id"]))


def author(comment: dict[str, Any]) -> str:
    """Who wrote a comment."""
    return str((comment.get("user") or {}).get("login", ""))


def remove(comments: list[dict[str, Any]]) -> None:
    """Delete comments, of which another run may have deleted some."""
    for each in comments:
        try:
            call("DELETE", f"/repos/{repository()}/issues/comments/{each['id']}")
        except rest.Refused as refusal:
            if refusal.status != 404:
                raise


def listing(path: str, **query: str) -> list[dict[str, Any]]:
    """All entries of a listing, page by page."""
    found: list[dict[str, Any]] = []
    page = 1
    while True:
        words = urllib.parse.urlencode({**query, "per_page": PAGE, "page": page})
        entries = call("GET", f"{path}?{words}")
        found += entries
        if len(entries) < PAGE:
            return found
        page += 1


def call(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """One request to GitHub's API and its answer, with the workflow's token; see `rest.request`."""
    base = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    return rest.request(base, required("GITHUB_TOKEN"), method, path, body)


def repository() -> str:
    """OWNER/NAME of the repository whose workflow this is."""
    return required("GITHUB_REPOSITORY")


def required(name: str) -> str:
    """A variable that GitHub sets, or that the workflow has to hand on.

    Raises:
        BadInput: it is not set.
    """
    if value := os.environ.get(name):
        return value
    raise BadInput(f"{name} is not set; only a workflow of GitHub can do this, and it has to hand its token on")


def summary(text: str) -> None:
    """Add Markdown to the summary of the job, when there is one."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")


def annotate(text: str) -> None:
    """Put a warning on the page of the run, which a run that ends well would not show; on standard error elsewhere."""
    # A percent sign begins what is escaped, and a line ends the command.
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    print(f"::warning::{escaped}" if active() else f"! {text}", file=sys.stderr)
