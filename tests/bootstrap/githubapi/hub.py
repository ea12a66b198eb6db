"""GitHub's state: accounts, repositories with their environments, rules and variables, and what each request does."""

import base64
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from githubapi import description

Answer = tuple[int, Any]
PLAN = "Please ensure the billing plan supports the {} protection rule."
UPGRADE = "Upgrade to GitHub Pro or make this repository public to enable this feature."
ACTIONS = 15368


class Refusal(Exception):
    """GitHub says no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Call:
    """What was asked and how it ended; `problem` is of a request that GitHub's description does not have."""

    operation: str
    path: str
    body: Any
    status: int = 0
    problem: str = ""

    @property
    def writes(self) -> bool:
        """Whether it may have changed something."""
        return not self.operation.startswith("GET") and self.status < 400


@dataclass
class Repository:
    """One repository."""

    id: int
    name: str
    owner: str
    private: bool
    description: str | None
    folder: Path
    default_branch: str = "master"
    opens: bool = False
    token: str = "write"
    immutable: bool = True
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, dict[str, int]] = field(default_factory=dict)
    rulesets: dict[int, dict[str, Any]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def heads(self) -> dict[str, str]:
        """Its branches with their commits."""
        # A branch that was pushed is a file; to ask git for each request would take longer than all the rest.
        files = sorted((self.folder / "refs/heads").iterdir())
        return {file.name: file.read_text(encoding="utf-8").strip() for file in files}


@dataclass
class App:
    """A GitHub App.

    Args:
        id: its number.
        public_key: by which GitHub knows its tokens.
        installations: repository → the installation in it.
    """

    id: int
    public_key: Any
    installations: dict[str, dict[str, Any]] = field(default_factory=dict)


OF_APPS = ("GET /app", "GET /repos/{owner}/{repo}/installation")
"""What GitHub tells an App alone, by a token that it has signed."""


def decoded(text: str) -> bytes:
    """A part of a token."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Hub:
    """GitHub.

    Args:
        folder: where repositories lie.
        token: the one token that is taken.
        user: whose it is.
        plan: what the owner pays for: free, team, enterprise.
        immutable: whether subjects of new repositories have numbers in them.
        readers: who may read every repository, and so be a reviewer.
    """

    folder: Path
    token: str = "a-token"
    user: str = "mira"
    plan: str = "enterprise"
    immutable: bool = True
    accounts: dict[str, tuple[int, str]] = field(
        default_factory=lambda: {"mira": (11, "User"), "noor": (12, "User"), "acme": (1, "Organization")}
    )
    teams: dict[str, int] = field(default_factory=lambda: {"acme/reviewers": 31})
    readers: set[int] = field(default_factory=lambda: {11, 12, 31})
    releases: dict[str, tuple[str, str]] = field(default_factory=dict)
    app: App | None = None
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    faults: list[tuple[str, int, dict[str, str], str]] = field(default_factory=list)
    numbers: int = 100

    def answer(self, method: str, path: str, body: Any, token: str) -> tuple[int, Any, dict[str, str]]:
        """Answer a request: first the faults that a test wants, then GitHub's description, then the operation."""
        found = description.find(method, path)
        call = Call(found[0].name if found else f"{method} {path}", path, body)
        self.calls.append(call)
        if self.faults and self.faults[0][0] in call.operation:
            _, call.status, headers, message = self.faults.pop(0)
            return call.status, {"message": message}, headers
        if found is None:
            call.status, call.problem = 404, "GitHub has no such operation"
            return 404, {"message": "Not Found"}, {}
        operation, parts = found
        call.problem = description.refusal(operation, body)
        if call.problem:
            call.status = 422
            return 422, {"message": "Invalid request.", "errors": [call.problem]}, {}
        try:
            own = operation.name in OF_APPS
            if not (self.is_app(token) if own else token == self.token) and "app-manifests" not in path:
                raise Refusal(401, "A JSON web token could not be decoded" if own else "Bad credentials")
            call.status, content = DEEDS[operation.name](self, parts, body)
        except Refusal as refusal:
            call.status, content = refusal.status, {"message": str(refusal)}
        description.checked(operation, call.status, content)
        return call.status, content, {}

    def is_app(self, token: str) -> bool:
        """Whether a token is signed by the App's key, and not for longer than GitHub takes."""
        if self.app is None:
            return False
        signed, _, signature = token.rpartition(".")
        claims = json.loads(decoded(signed.partition(".")[2]))
        try:
            self.app.public_key.verify(decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        now = time.time()
        return bool(claims["iss"] == str(self.app.id) and claims["iat"] <= now < claims["exp"] < now + 600)

    def writes(self) -> list[str]:
        """The operations that may have changed something."""
        return [call.operation for call in self.calls if call.writes]

    def number(self) -> int:
        """A number that nothing else has."""
        self.numbers += 1
        return self.numbers

    def repository(self, parts: dict[str, str]) -> Repository:
        """The repository of a path."""
        found = self.repositories.get(f"{parts['owner']}/{parts['repo']}".lower())
        if found is None:
            raise Refusal(404, "Not Found")
        heads = found.heads()
        if heads and found.default_branch not in heads:
            found.default_branch = next(iter(heads))
        return found

    def create(self, owner: str, name: str, private: bool = True, description: str | None = None) -> Repository:
        """Make an empty repository, as a person does on the page or a program over the API."""
        if f"{owner}/{name}".lower() in self.repositories:
            raise Refusal(422, "Repository creation failed.")
        folder = self.folder / owner / f"{name}.git"
        subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
        made = Repository(self.number(), name, owner, private, description, folder, immutable=self.immutable)
        self.repositories[f"{owner}/{name}".lower()] = made
        return made

    def state(self) -> dict[str, Any]:
        """All that a person would find, to hold two ends against each other."""
        return {
            name: {
                "private": each.private,
                "default": each.default_branch,
                "token": each.token,
                "immutable": each.immutable,
                "heads": each.heads(),
                "environments": {
                    name: {**each.environments[name], "branches": sorted(each.policies[name])}
                    for name in sorted(each.environments)
                },
                "rulesets": sorted(json.dumps(ruleset, sort_keys=True) for ruleset in each.rulesets.values()),
                "variables": dict(sorted(each.variables.items())),
            }
            for name, each in self.repositories.items()
        }


Deed = Callable[[Hub, dict[str, str], Any], Answer]
DEEDS: dict[str, Deed] = {}
R = "/repos/{owner}/{repo}"


def deed(name: str) -> Callable[[Deed], Deed]:
    """Register what an operation does."""

    def registered(do: Deed) -> Deed:
        DEEDS[name] = do
        return do

    return registered
