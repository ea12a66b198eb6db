"""A pull request that proposes new data: its branch, the workflow that trains it, and what people read of it."""

import base64
import urllib.parse
from dataclasses import dataclass

from mlops import aws, github, rest, storage
from mlops.display import Progress
from mlops.reporting import markdown
from mlops.retraining import incoming
from mlops.retraining.incoming import Arrival
from mlops.settings.project import Environment, Settings

BASE = "dev"
WORKFLOW = "feature.yml"
PREFIX = "proposed"
"""Where the bucket remembers what was proposed without a pull request, by which GitHub would remember it."""

SETTING = (
    "in the repository's settings, Actions, General, `Allow GitHub Actions to create and approve pull requests`: then "
    "this workflow opens them itself, and any workflow that may write on pull requests could approve one"
)
SHOWN = 50
"""So many files are named."""


@dataclass(frozen=True)
class Proposal:
    """What became of new data.

    Args:
        branch: that has it.
        address: of its pull request; where no workflow may open one, of the page on which a person does, empty when its
            branch is gone.
        new: whether it is proposed now; else it was there, open or closed.
        opened: whether there is a pull request.
        memory: the object by which it is known to be proposed, where there is no pull request.
    """

    branch: str
    address: str
    new: bool
    opened: bool = True
    memory: str = ""


def propose(
    settings: Settings, environment: Environment, arrivals: list[Arrival], commit: str, reason: str, progress: Progress
) -> Proposal:
    """Propose new data to dev: a branch with its pointers, a training of it, a pull request.

    The branch is named after the data, so that the same data is proposed once, whatever people say of it. GitHub
    starts no workflow for what a workflow has pushed, so the training is started here.

    Args:
        settings: of the project.
        environment: the one that trains.
        arrivals: what has come in.
        commit: of dev, where the branch begins.
        reason: why there was a look.
        progress: told what is done.

    Raises:
        Failure: GitHub refuses; a second run carries on.
    """
    branch = f"retrain/{incoming.name(arrivals)}"
    pulls = f"/repos/{github.repository()}/pulls"
    owner = github.repository().partition("/")[0]
    for pull in github.listing(pulls, state="all", head=f"{owner}:{branch}"):
        if pull["head"]["ref"] == branch:
            return Proposal(branch, str(pull["html_url"]), new=False)
    memory = f"s3://{environment.bucket}/{PREFIX}/{incoming.name(arrivals)}"
    session = aws.session(settings, environment, aws.duty_in(settings, environment))
    if storage.exists(session, memory):
        page = by_hand(branch) if github.head(branch) else ""
        return Proposal(branch, page, new=False, opened=False, memory=memory)
    begin(branch, commit)
    for each in arrivals:
        write(branch, f"{each.path}.dvc", each.pointer, f"{len(each.files)} new files in {each.path}")
    github.dispatch(WORKFLOW, branch, {})
    progress(f"{branch}: {WORKFLOW} trains it")
    body = {"title": title(arrivals), "head": branch, "base": BASE, "body": text(arrivals, reason)}
    try:
        return Proposal(branch, str(github.call("POST", pulls, body)["html_url"]), new=True)
    except rest.Refused as refusal:
        # A setting of the repository, off in new ones: workflows could approve pull requests by it as well.
        if refusal.status != 403:
            raise
        storage.write(session, memory, f"{branch} {github.run_url()}\n".encode(), environment.kms_key)
        return Proposal(branch, by_hand(branch), new=True, opened=False, memory=memory)


def by_hand(branch: str) -> str:
    """The page on which a person opens the pull request."""
    server = github.required("GITHUB_SERVER_URL")
    return f"{server}/{github.repository()}/compare/{BASE}...{urllib.parse.quote(branch)}?expand=1"


def begin(branch: str, commit: str) -> None:
    """Make a branch at a commit, unless it is there."""
    if not github.head(branch):
        ref = {"ref": f"refs/heads/{branch}", "sha": commit}
        github.call("POST", f"/repos/{github.repository()}/git/refs", ref)


def write(branch: str, path: str, content: str, message: str) -> None:
    """Commit a file's new content to a branch, unless it has that already."""
    address = f"/repos/{github.repository()}/contents/{urllib.parse.quote(path)}"
    encoded = base64.b64encode(content.encode()).decode()
    try:
        there = github.call("GET", f"{address}?{urllib.parse.urlencode({'ref': branch})}")
    except rest.Refused as refusal:
        if refusal.status != 404:
            raise
        there = {}
    if "".join(str(there.get("content", "")).split()) == encoded:
        return
    known = {"sha": there["sha"]} if there else {}
    github.call("PUT", address, {"message": message, "content": encoded, "branch": branch, **known})


def title(arrivals: list[Arrival]) -> str:
    """The pull request's title."""
    return "New data: " + ", ".join(f"{len(each.files)} files in {each.path}" for each in arrivals)


def text(arrivals: list[Arrival], reason: str) -> str:
    """What the pull request says."""
    lines = [f"The data has changed. Looked at because of: {markdown.text(reason)}.", ""]
    for each in arrivals:
        lines.append(f"`{each.path}`: `{each.before[:12]}` → `{each.after[:12]}`")
        lines += [f"- `{markdown.cell(file)}`" for file in each.files[:SHOWN]]
        lines += [f"- and {len(each.files) - SHOWN} more"] if len(each.files) > SHOWN else []
        lines.append("")
    lines.append(f"The model of it is trained and reported here. Made by {github.run_url()}.")
    return "\n".join(lines)


def told(settings: Settings, found: Proposal | None, reason: str) -> str:
    """What was done, as the summary of the workflow says it."""
    head = f"## {settings.project}: data"
    if found is None:
        return f"{head} unchanged\n\nNothing has come in that dev does not have: nothing is trained ({reason}).\n"
    if not found.new and not found.opened:
        how = (
            f"`{found.branch}` has it: open its pull request at {found.address}, or delete the branch to refuse it"
            if found.address
            else f"Its branch `{found.branch}` was deleted, so it is refused; to have it proposed again, delete "
            f"{found.memory}"
        )
        return f"{head} already proposed\n\n{how}. Nothing is trained ({reason}).\n"
    if not found.new:
        return f"{head} already proposed\n\nWhat has come in is proposed by {found.address}: nothing is trained.\n"
    if not found.opened:
        return (
            f"{head} waits on `{found.branch}`\n\nNo workflow may open pull requests here: open it at {found.address}. "
            f"Its model is being trained ({reason}). A person can allow it {SETTING}.\n"
        )
    return f"{head} proposed\n\n{found.address} proposes what has come in; its model is being trained ({reason}).\n"
