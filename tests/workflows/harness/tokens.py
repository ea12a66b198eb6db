"""The tokens of a job: its GITHUB_TOKEN, which names what it may do, and the OIDC token that AWS is shown."""

import base64
import json
import time
from dataclasses import dataclass
from typing import Any

from harness.permissions import LEVELS, Permissions
from harness.repository import Repository

ISSUER = "https://token.actions.githubusercontent.com"


@dataclass(frozen=True)
class JobToken:
    """Whom a GITHUB_TOKEN stands for."""

    run: int
    job: str
    permissions: Permissions

    def may(self, scope: str, level: str) -> bool:
        """Whether it reaches a level in a scope."""
        return LEVELS[self.permissions.get(scope, "none")] >= LEVELS[level]

    def text(self) -> str:
        """The token as the job holds it."""
        return "ghs_" + _encoded({"run": self.run, "job": self.job, "permissions": self.permissions})


def read(text: str) -> JobToken | None:
    """The job that a token stands for; None when it is no token of ours."""
    if not text.startswith("ghs_"):
        return None
    try:
        return JobToken(**json.loads(base64.urlsafe_b64decode(text.removeprefix("ghs_") + "==")))
    except (ValueError, TypeError):
        return None


def subject(repository: Repository, event: str, ref: str, environment: str) -> str:
    """The `sub` claim: a job with an environment has that and no branch in it.

    Source: docs.github.com, OpenID Connect reference, "Example subject claims".
    """
    if environment:
        return f"repo:{repository.subject}:environment:{environment}"
    if event == "pull_request":
        return f"repo:{repository.subject}:pull_request"
    return f"repo:{repository.subject}:ref:{ref}"


def identity(repository: Repository, claims: dict[str, Any], environment: str, audience: str) -> str:
    """The JWT that says which job this is; the sandbox reads its claims and, without GitHub's keys, no signature."""
    now = int(time.time())
    body = {
        "iss": ISSUER,
        "aud": audience,
        "sub": subject(repository, claims["event_name"], claims["ref"], environment),
        "repository": repository.full_name,
        "repository_id": str(repository.id),
        "repository_owner": repository.owner,
        "repository_owner_id": str(repository.owner_id),
        **({"environment": environment} if environment else {}),
        **claims,
        "iat": now,
        "nbf": now - 5,
        "exp": now + 300,
    }
    return ".".join([_encoded({"alg": "RS256", "typ": "JWT", "kid": "harness"}), _encoded(body), "c2lnbmF0dXJl"])


def _encoded(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
