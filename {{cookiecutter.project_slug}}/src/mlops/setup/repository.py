"""The project's repository on GitHub: reached with an administrator's token, made, its branches pushed."""

import base64
import os
import shutil
import subprocess
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlops import git, rest
from mlops.errors import BadInput, Failure
from mlops.settings.project import FILE, Settings
from mlops.setup.plan import Step, deed

BRANCHES = ("main", "dev")
"""In the order in which they are pushed: the first becomes the default branch."""

MARK = "(made by mlops bootstrap)"
"""Ends the description of a repository that the bootstrap has made, so that a killed run knows its own."""

MERGES = {"allow_merge_commit": True, "allow_auto_merge": False}


@dataclass(frozen=True)
class Repository:
    """A repository, there or not yet, and the token that reaches it."""

    owner: str
    name: str
    api: str
    token: str = field(repr=False)

    @property
    def full_name(self) -> str:
        """OWNER/NAME."""
        return f"{self.owner}/{self.name}"

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One request; a path that does not begin with a slash is below the repository's."""
        return rest.request(self.api, self.token, method, self.path(path), body)

    def find(self, path: str) -> Any | None:
        """What is at a path; None when there is nothing."""
        try:
            return self.ask("GET", path)
        except rest.Refused as error:
            if error.status == 404:
                return None
            raise

    def gone(self, path: str) -> None:
        """Remove what is at a path; it may be gone already."""
        try:
            self.ask("DELETE", path)
        except rest.Refused as error:
            if error.status != 404:
                raise

    def listing(self, path: str, key: str = "") -> list[dict[str, Any]]:
        """All entries of a listing, page by page; of an object with a key that holds them, or of a list."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            answer = self.ask("GET", f"{path}?per_page=100&page={page}")
            entries = answer[key] if key else answer
            found += entries
            if len(entries) < 100:
                return found
            page += 1

    def path(self, path: str) -> str:
        """A path of the API."""
        return path if path.startswith("/") else f"/repos/{self.full_name}{'/' if path else ''}{path}"

    @property
    def url(self) -> str:
        """Its page."""
        return f"{server()}/{self.full_name}"


def server() -> str:
    """Address of GitHub's pages."""
    return os.environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")


def quoted(name: str) -> str:
    """A name as one part of a path."""
    return urllib.parse.quote(name, safe="")


def of(settings: Settings) -> Repository:
    """The repository that mlops.yaml names, with the token of this shell.

    Raises:
        BadInput: mlops.yaml names none, or there is no token.
    """
    return reached(settings, token)


def reached(settings: Settings, by: Callable[[], str]) -> Repository:
    """The repository that mlops.yaml names, with some token.

    Raises:
        BadInput: mlops.yaml names none.
    """
    if settings.repository is None:
        raise BadInput(f"{FILE}: repository is missing; write `repository: OWNER/NAME`, its name on GitHub")
    owner, _, name = settings.repository.partition("/")
    api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    return Repository(owner=owner, name=name, api=api, token=by())


def has_token() -> bool:
    """Whether GitHub can be asked from this shell."""
    try:
        return bool(token())
    except BadInput:
        return False


def token() -> str:
    """The token of this shell, or of GitHub's own command line.

    Raises:
        BadInput: there is none.
    """
    for name in ("GH_TOKEN", "GITHUB_TOKEN"):
        if value := os.environ.get(name):
            return value
    if program := shutil.which("gh"):
        done = subprocess.run([program, "auth", "token"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and (value := done.stdout.strip()):
            return value
    raise BadInput(
        "GH_TOKEN is not set, and what is on GitHub can not be looked at without: give a token that administers the "
        "repository, or log in with `gh auth login`"
    )


def is_own(found: dict[str, Any], made: frozenset[str]) -> bool:
    """Whether the bootstrap has made the repository."""
    return "repository" in made or str(found.get("description") or "").endswith(MARK)


def making(settings: Settings, repository: Repository, found: dict[str, Any] | None, public: bool) -> Step:
    """The step that makes the repository; one that is there is used as it is."""
    sort = "public" if public else "private"
    if found is not None:
        sort = "private" if found["private"] else "public"
        return Step(f"repository {repository.full_name}", "keep", f"{sort}, id {found['id']}")

    def make() -> str:
        body = {
            "name": repository.name,
            "description": f"{settings.project}: a model's way to production {MARK}",
            "private": not public,
            **MERGES,
        }
        made = repository.ask("POST", place_of(repository), body)
        return f"{made['html_url']}, id {made['id']}"

    return Step(f"repository {repository.full_name}", "make", sort, make)


def place_of(repository: Repository) -> str:
    """The path at which a repository of its owner is made.

    Raises:
        BadInput: the owner is a person, and the token another's; or GitHub knows no such owner.
    """
    owner = repository.find(f"/users/{quoted(repository.owner)}")
    if owner is None:
        raise BadInput(f"{FILE}: repository is {repository.full_name}; GitHub knows no owner {repository.owner}")
    if owner["type"] == "Organization":
        return f"/orgs/{quoted(repository.owner)}/repos"
    who = repository.ask("GET", "/user")["login"]
    if who.lower() != repository.owner.lower():
        raise BadInput(
            f"{FILE}: repository is {repository.full_name}; the token is of {who}: give {repository.owner}'s"
        )
    return "/user/repos"


def pushes(settings: Settings, repository: Repository, found: dict[str, Any] | None) -> list[Step]:
    """The steps that push the branches; a branch that is there is never pushed over."""
    return [push(settings, repository, branch, found is not None) for branch in BRANCHES]


def push(settings: Settings, repository: Repository, branch: str, there: bool) -> Step:
    """The step that pushes one branch.

    Raises:
        BadInput: the folder has no such branch.
    """
    head = head_of(repository, branch) if there else None
    if head is not None:
        return Step(f"branch {branch}", "keep", f"at {head[:12]}")
    commit = git.commit_of(settings.root, f"refs/heads/{branch}")

    def send() -> None:
        url = repository.ask("GET", "")["clone_url"]
        if head_of(repository, branch) is None:
            upload(settings, repository, url, branch)

    return Step(f"branch {branch}", "make", f"pushed at {commit[:12]}", send)


def head_of(repository: Repository, branch: str) -> str | None:
    """The commit of a branch on GitHub; an empty repository answers 409."""
    try:
        found = repository.find(f"git/ref/heads/{branch}")
    except rest.Refused as error:
        if error.status == 409:
            return None
        raise
    return str(found["object"]["sha"]) if found else None


def upload(settings: Settings, repository: Repository, url: str, branch: str) -> None:
    """Push a branch over HTTPS; the token is in no argument and no file, where others could read it.

    Raises:
        Failure: git or GitHub refuses.
    """
    word = base64.b64encode(f"x-access-token:{repository.token}".encode()).decode()
    host = "/".join(url.split("/")[:3]) + "/"
    given = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{host}.extraheader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {word}",
    }
    variables = {name: value for name, value in os.environ.items() if name not in git.ELSEWHERE} | given
    reference = f"refs/heads/{branch}"
    command = ["git", "-C", str(settings.root), "push", "--quiet", url, f"{reference}:{reference}"]
    done = subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"git push {branch} to {url}: {why(done.stderr) or f'exit code {done.returncode}'}")


def why(said: str) -> str:
    """The line of a refused push that tells the reason."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "rejected]" in line or line.startswith("fatal:")]
    reason = (telling or lines or [""])[0 if telling else -1]
    scope = "`workflow` scope" in reason
    return f"{reason}; give the token that scope: gh auth refresh -s workflow" if scope else reason


def origin(settings: Settings, repository: Repository) -> Step:
    """The step that makes the repository the folder's remote `origin`; another one stays."""
    url = f"{repository.url}.git"
    names = git.git(settings.root, "remote").split()
    given = git.git(settings.root, "remote", "get-url", "origin").strip() if "origin" in names else ""
    right = given.removesuffix(".git").lower().endswith(repository.full_name.lower())

    def add() -> None:
        git.git(settings.root, "remote", "add", "origin", url)

    return Step("git remote origin", deed(bool(given), right, own=False), given or url, add)


def default_branch(repository: Repository, found: dict[str, Any] | None, own: bool) -> Step:
    """The step that makes main the default branch: schedules and dispatches run what is there."""
    right = found is not None and found["default_branch"] == BRANCHES[0]
    # Whatever a new account's default is called: GitHub takes the branch that is pushed first.
    detail = BRANCHES[0] if found is None or right else f"{found['default_branch']}, {BRANCHES[0]} is wanted"

    def change() -> None:
        if repository.ask("GET", "")["default_branch"] != BRANCHES[0]:
            repository.ask("PATCH", "", {"default_branch": BRANCHES[0]})

    return Step("default branch", deed(found is not None, right, own), detail, change)
