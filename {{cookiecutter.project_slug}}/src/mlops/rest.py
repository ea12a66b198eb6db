"""One request to GitHub's REST API: its answer, why it was refused, tried again when GitHub is busy."""

import json
import time
import urllib.error
import urllib.request
from email.message import Message
from typing import Any

from mlops.errors import Failure

SECONDS = 30
"""How long one request may take."""

ATTEMPTS = 5
"""How often a request is tried while GitHub is busy."""

PAUSE_SECONDS = 1.0
"""The wait before the second attempt; it doubles with each."""

LONGEST_PAUSE_SECONDS = 60
"""A limit that is lifted later than this is an error: nobody waits an hour before a silent command."""

VERSION = "2022-11-28"


class Refused(Failure):
    """GitHub says no: the message names the request and the reason, `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        """Keep the status beside the message."""
        super().__init__(message)
        self.status = status


def request(base: str, token: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """One request and its answer, read as JSON.

    Args:
        base: address of the API.
        token: GitHub's, or empty for what everybody may read.
        method: HTTP's.
        path: below the address, with its query.
        body: sent as JSON.

    Raises:
        Refused: GitHub says no, with its reason.
        Failure: it does not answer, or is busy for longer than anybody waits.
    """
    pause = PAUSE_SECONDS
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(written(base, token, method, path, body), timeout=SECONDS) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            said = reason(error)
            wait = patience(method, error.code, error.headers, said, pause)
            if wait is None or wait > LONGEST_PAUSE_SECONDS or attempt == ATTEMPTS:
                raise Refused(f"GitHub {method} {path}: {error.code} {said}", error.code) from error
        except (OSError, ValueError) as error:
            # What was sent may have been done: to send it again is safe only where twice is as good as once.
            if method == "POST" or attempt == ATTEMPTS or isinstance(error, ValueError):
                raise Failure(f"GitHub {method} {path}: {error}; run it again") from error
            wait = pause
        time.sleep(wait)
        pause *= 2
    raise AssertionError("the last attempt returns or raises")


def written(base: str, token: str, method: str, path: str, body: dict[str, Any] | None) -> urllib.request.Request:
    """The request as it goes out."""
    headers = {
        "Accept": "application/vnd.github+json",
        "Content-Type": "application/json",
        "User-Agent": "mlops",
        "X-GitHub-Api-Version": VERSION,
    }
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    return urllib.request.Request(base.rstrip("/") + path, method=method, data=data, headers=headers)


def patience(method: str, status: int, headers: Message, said: str, pause: float) -> float | None:
    """How many seconds to wait before a refused request is sent again; None when that would not help.

    Source: docs.github.com, Best practices for using the REST API, "Handle rate limit errors appropriately".
    """
    if status in (403, 429) and (after := headers.get("Retry-After")):
        return float(after) if after.isdecimal() else pause
    if status in (403, 429) and headers.get("X-RateLimit-Remaining") == "0":
        return max(0.0, float(headers.get("X-RateLimit-Reset", "0")) - time.time()) + 1
    if status == 429 or (status == 403 and "rate limit" in said.lower()):
        return pause
    # A POST that ended with 500 may have been done; 503 was not begun.
    return pause if status == 503 or (status >= 500 and method != "POST") else None


def reason(error: urllib.error.HTTPError) -> str:
    """What GitHub says in the body of a refusal, in one line with its details."""
    try:
        said = json.loads(error.read())
        details = [each if isinstance(each, str) else each.get("message", "") for each in said.get("errors") or []]
        text = "; ".join(each for each in [str(said.get("message") or error.reason), *details] if each)
    except (OSError, ValueError, AttributeError, TypeError):
        text = str(error.reason)
    return " ".join(text.split())
