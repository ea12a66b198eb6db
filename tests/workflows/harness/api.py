"""GitHub's REST API, in the operations that workflows call; a token that lacks a permission is refused as there."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.tokens import JobToken

if TYPE_CHECKING:
    from harness.github import GitHub

Answer = tuple[int, Any]
Body = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A request to the API with the parts of its path, for one operation to answer."""

    github: "GitHub"
    token: JobToken
    parts: dict[str, str]
    query: dict[str, str]
    body: Body


@dataclass(frozen=True)
class Operation:
    """One operation: how it is addressed, what a token needs for it, what it does."""

    method: str
    path: re.Pattern[str]
    needs: tuple[tuple[str, str], ...]
    do: Callable[[Request], Answer]


@dataclass
class Call:
    """What was asked, and how it ended."""

    method: str
    path: str
    run: int
    status: int
    body: Body


OPERATIONS: list[Operation] = []


def operation(
    method: str, path: str, *needs: str
) -> Callable[[Callable[[Request], Answer]], Callable[[Request], Answer]]:
    """Register an operation below `/repos/OWNER/NAME`; any one of the permissions `scope: level` suffices.

    A part of the path is `{part}`, one that may hold slashes `{part*}`.
    """
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", re.sub(r"\{(\w+)\*\}", r"(?P<\1>.+)", path)))
    wanted = tuple((scope, level) for scope, level in (need.split(": ") for need in needs))

    def registered(do: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
        OPERATIONS.append(Operation(method, pattern, wanted, do))
        return do

    return registered


@dataclass
class Api:
    """The API of one repository.

    Args:
        before: what is done before a request to a path is answered, such as to wait.
    """

    github: "GitHub"
    calls: list[Call] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    before: Callable[[str, JobToken | None], None] = lambda path, token: None

    def answer(self, method: str, path: str, query: dict[str, str], body: Body, token: JobToken | None) -> Answer:
        """Answer a request; one that this stub does not know is kept, so that the test can fail for it."""
        self.before(path, token)
        status, content = self._answered(method, path, query, body, token)
        self.calls.append(Call(method, path, token.run if token else 0, status, body))
        return status, content

    def _answered(self, method: str, path: str, query: dict[str, str], body: Body, token: JobToken | None) -> Answer:
        if token is None:
            return 401, {"message": "Bad credentials"}
        prefix = f"/repos/{self.github.repository.full_name}"
        if path != prefix and not path.startswith(f"{prefix}/"):
            return 404, {"message": "Not Found"}
        for each in OPERATIONS:
            if each.method == method and (found := each.path.fullmatch(path.removeprefix(prefix))):
                if each.needs and not any(token.may(scope, level) for scope, level in each.needs):
                    return 403, {"message": "Resource not accessible by integration"}
                return each.do(Request(self.github, token, found.groupdict(), query, body))
        self.unknown.append(f"{method} {path}")
        return 404, {"message": f"the harness does not know {method} {path}"}


@operation("GET", "")
def repository(request: Request) -> Answer:
    """The repository itself."""
    return 200, request.github.repository.payload()


@operation("GET", "/actions/runs/{run}", "actions: read")
def run(request: Request) -> Answer:
    """A run."""
    found = request.github.runs.get(int(request.parts["run"]))
    if found is None:
        return 404, {"message": "Not Found"}
    return 200, {
        "id": found.id,
        "name": found.name,
        "event": found.event.name,
        "head_sha": found.event.sha,
        "head_branch": found.event.ref.removeprefix("refs/heads/"),
        "actor": {"login": found.event.actor},
        "triggering_actor": {"login": found.event.actor},
        "status": "completed" if found.finished else "in_progress",
        "conclusion": found.conclusion if found.finished else None,
    }


@operation("GET", "/actions/runs/{run}/approvals", "actions: read")
def approvals(request: Request) -> Answer:
    """Who has approved or rejected a run's deployments, and with what words; of all attempts, without their time."""
    found = request.github.runs.get(int(request.parts["run"]))
    if found is None:
        return 404, {"message": "Not Found"}
    return 200, [each for attempt in found.attempts for each in attempt.gate.approvals]


@operation("GET", "/actions/runs/{run}/jobs", "actions: read")
def jobs(request: Request) -> Answer:
    """The jobs of all attempts of a run that have begun, as `filter=all` asks for them."""
    found = request.github.runs.get(int(request.parts["run"]))
    if found is None:
        return 404, {"message": "Not Found"}
    if request.query.get("filter") != "all":
        return 422, {"message": "the harness knows filter=all only"}
    listed = [
        {
            "name": job.name,
            "run_attempt": attempt.attempt,
            "conclusion": job.result,
            # One that was not made again is listed with its old times.
            "started_at": f"attempt {next(each.attempt for each in found.attempts if job in each.jobs.values())}",
            "steps": [{"name": step} for step in job.steps],
        }
        for attempt in found.attempts
        for job in attempt.jobs.values()
        if job.result != "skipped"
    ]
    size, page = int(request.query.get("per_page", "30")), int(request.query.get("page", "1"))
    return 200, {"total_count": len(listed), "jobs": listed[size * (page - 1) : size * page]}


@operation("GET", "/git/ref/heads/{branch*}", "contents: read")
def branch(request: Request) -> Answer:
    """Where a branch is."""
    name, origin = request.parts["branch"], request.github.origin
    if not origin.has(name):
        return 404, {"message": "Not Found"}
    return 200, {"ref": f"refs/heads/{name}", "object": {"type": "commit", "sha": origin.head(name)}}


@operation("GET", "/git/trees/{tree}", "contents: read")
def tree(request: Request) -> Answer:
    """What lies in a folder, by its hash or that of a commit."""
    return 200, {
        "sha": request.parts["tree"],
        "tree": request.github.origin.tree(request.parts["tree"]),
        "truncated": False,
    }


@operation("POST", "/git/refs", "contents: write")
def make_branch(request: Request) -> Answer:
    """A new branch, which starts no workflow when a job makes it."""
    name, origin = str(request.body["ref"]).removeprefix("refs/heads/"), request.github.origin
    if origin.has(name):
        return 422, {"message": "Reference already exists"}
    origin.reset(name, request.body["sha"])
    return 201, {"ref": request.body["ref"], "object": {"type": "commit", "sha": origin.head(name)}}


@operation("GET", "/contents/{path*}", "contents: read")
def content(request: Request) -> Answer:
    """A file of a branch."""
    found = request.github.origin.blob(request.query["ref"], request.parts["path"])
    if found is None:
        return 404, {"message": "Not Found"}
    sha, data = found
    return 200, {"type": "file", "encoding": "base64", "content": base64.encodebytes(data).decode(), "sha": sha}


@operation("PUT", "/contents/{path*}", "contents: write")
def write(request: Request) -> Answer:
    """Commit a file to a branch; of one that is there the hash has to be known."""
    origin, path, body = request.github.origin, request.parts["path"], request.body
    there = origin.blob(body["branch"], path)
    if there and there[0] != body.get("sha"):
        return 409, {"message": f"{path} does not match {body.get('sha')}"}
    text = base64.b64decode(body["content"]).decode()
    sha = origin.commit(body["branch"], {path: text}, body["message"], author="github-actions[bot]")
    return 200 if there else 201, {"commit": {"sha": sha}}


@operation("POST", "/actions/workflows/{workflow}/dispatches", "actions: write")
def dispatch(request: Request) -> Answer:
    """Start a workflow, which then runs beside the one that asked."""
    if set(request.body) - {"ref", "inputs"} or "ref" not in request.body:
        return 422, {"message": "Invalid request"}
    request.github.dispatched_by_job(request.parts["workflow"], request.body["ref"], request.body.get("inputs", {}))
    return 204, None


@operation("GET", "/environments/{environment}", "actions: read")
def environment(request: Request) -> Answer:
    """An environment with its rules."""
    rules = request.github.environments.get(request.parts["environment"])
    if rules is None:
        return 404, {"message": "Not Found"}
    reviewers = [{"type": "User", "reviewer": {"login": login}} for login in rules.reviewers]
    required = {"type": "required_reviewers", "prevent_self_review": rules.prevent_self_review, "reviewers": reviewers}
    return 200, {"name": request.parts["environment"], "protection_rules": [required] if reviewers else []}


@operation("GET", "/pulls", "pull-requests: read")
def pull_requests(request: Request) -> Answer:
    """Pull requests, open ones unless asked otherwise, by head `owner:branch` and base."""
    state = request.query.get("state", "open")
    found = [
        pull.payload(request.github)
        for pull in request.github.pulls.values()
        if state in ("all", pull.state)
        and request.query.get("head", pull.label(request.github)) == pull.label(request.github)
        and request.query.get("base", pull.base) == pull.base
    ]
    return 200, found


@operation("POST", "/pulls", "pull-requests: write")
def open_pull_request(request: Request) -> Answer:
    """Open a pull request; by GITHUB_TOKEN it starts no workflow."""
    missing = {"title", "head", "base"} - set(request.body)
    if missing or not request.github.origin.has(request.body["head"]):
        return 422, {"message": "Validation Failed", "errors": sorted(missing) or ["head does not exist"]}
    pull = request.github.new_pull(
        request.body["head"], request.body["base"], request.body["title"], by="github-actions[bot]"
    )
    pull.body = request.body.get("body", "")
    return 201, pull.payload(request.github)


@operation("GET", "/pulls/{number}", "pull-requests: read")
def pull_request(request: Request) -> Answer:
    """One pull request."""
    pull = request.github.pulls.get(int(request.parts["number"]))
    return (200, pull.payload(request.github)) if pull else (404, {"message": "Not Found"})


@operation("GET", "/commits/{sha}/pulls", "pull-requests: read")
def pull_requests_of_commit(request: Request) -> Answer:
    """The pull requests that a commit came by."""
    github = request.github
    sha = request.parts["sha"]
    return 200, [pull.payload(github) for pull in github.pulls.values() if sha in (pull.head_sha, pull.merge_sha)]


@operation("GET", "/issues/{number}/comments", "issues: read", "pull-requests: read")
def comments(request: Request) -> Answer:
    """The comments of a pull request."""
    pull = request.github.pulls.get(int(request.parts["number"]))
    size, page = int(request.query.get("per_page", "30")), int(request.query.get("page", "1"))
    return (200, pull.comments[size * (page - 1) : size * page]) if pull else (404, {"message": "Not Found"})


@operation("POST", "/issues/{number}/comments", "issues: write", "pull-requests: write")
def comment(request: Request) -> Answer:
    """Comment on a pull request."""
    pull = request.github.pulls.get(int(request.parts["number"]))
    if pull is None or not request.body.get("body"):
        return 422 if pull else 404, {"message": "Validation Failed"}
    number = sum(len(each.comments) for each in request.github.pulls.values()) + 1
    user = {"login": "github-actions[bot]", "type": "Bot"}
    address = f"{pull.payload(request.github)['html_url']}#issuecomment-{number}"
    pull.comments.append({"id": number, "body": request.body["body"], "user": user, "html_url": address})
    return 201, pull.comments[-1]


@operation("PATCH", "/issues/comments/{comment}", "issues: write", "pull-requests: write")
def edit_comment(request: Request) -> Answer:
    """Replace a comment's text."""
    for pull in request.github.pulls.values():
        for each in pull.comments:
            if each["id"] == int(request.parts["comment"]):
                each["body"] = request.body["body"]
                return 200, each
    return 404, {"message": "Not Found"}


@operation("GET", "/deployments", "deployments: read")
def deployments(request: Request) -> Answer:
    """The deployment records."""
    return 200, [{"environment": name, "sha": sha} for name, sha in request.github.deployments]
