"""GitHub as an App sees it: a token for one repository that can start workflows and nothing else, and the start."""

import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import jwt

from lambdas.events import Dispatch

SECONDS = 10
"""How long one request may take."""

LIFETIME_SECONDS = 300
"""GitHub takes an App's token of ten minutes at most; its clock and this one may differ by a minute."""


class Refused(Exception):
    """GitHub did not do what was asked: the message says why. Lambda tries again, then puts the event aside."""


@dataclass(frozen=True)
class App:
    """A GitHub App, as its secret holds it: `{"app_id": …, "private_key": "-----BEGIN …"}`."""

    app_id: str
    private_key: str

    @classmethod
    def from_secret(cls, secret: str) -> "App":
        """Read the secret.

        Raises:
            Refused: it is not in its form. What it holds is in no message.
        """
        try:
            content = json.loads(secret)
            return cls(app_id=str(content["app_id"]), private_key=str(content["private_key"]))
        except (ValueError, KeyError, TypeError):
            raise Refused("the App's secret is no JSON with app_id and private_key") from None


def start(app: App, repository: str, ref: str, wanted: Dispatch) -> None:
    """Start a workflow of a repository.

    Args:
        app: installed in the repository, with `actions: write`.
        repository: OWNER/NAME.
        ref: the branch whose file of the workflow runs.
        wanted: which one, with its inputs.

    Raises:
        Refused: GitHub refuses, or does not answer.
    """
    path = f"/repos/{repository}/actions/workflows/{wanted.workflow}/dispatches"
    call("POST", path, token(app, repository), {"ref": ref, "inputs": wanted.inputs})


def token(app: App, repository: str) -> str:
    """A token that can start workflows of one repository, for an hour, whatever else the App may do."""
    own = signed(app)
    installation = call("GET", f"/repos/{repository}/installation", own)["id"]
    wanted = {"repositories": [repository.partition("/")[2]], "permissions": {"actions": "write"}}
    return str(call("POST", f"/app/installations/{installation}/access_tokens", own, wanted)["token"])


def signed(app: App) -> str:
    """What an App identifies itself with."""
    now = int(time.time())
    claims = {"iat": now - 60, "exp": now + LIFETIME_SECONDS, "iss": app.app_id}
    try:
        made: str = jwt.encode(claims, app.private_key, algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError):
        raise Refused("the App's private_key is no RSA key in PEM") from None
    return made


def call(method: str, path: str, bearer: str, body: dict[str, Any] | None = None) -> Any:
    """One request and its answer.

    Raises:
        Refused: GitHub answers with an error, with its reason, or does not answer.
    """
    request = urllib.request.Request(
        os.environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/") + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {bearer}",
            "Content-Type": "application/json",
            "User-Agent": "mlops",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        raise Refused(f"GitHub {method} {path}: {error.code} {error.read()[:300].decode(errors='replace')}") from error
    except (OSError, ValueError) as error:
        raise Refused(f"GitHub {method} {path}: {error}") from error
