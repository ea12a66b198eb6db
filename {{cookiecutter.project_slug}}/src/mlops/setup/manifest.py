"""GitHub's manifest flow: a page on this computer hands GitHub what an App shall be, and gets a code for its key back.

Source: docs.github.com, Registering a GitHub App from a manifest.
"""

import hmac
import html
import json
import secrets
import sys
import time
import urllib.parse
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from mlops.display import Progress
from mlops.errors import Failure
from mlops.setup.repository import Repository, server

PATIENCE_SECONDS = 900
"""How long a person may take; GitHub's code is good for an hour."""

LONGEST_NAME = 34
"""Characters that GitHub takes for an App's name."""


@dataclass
class Talk:
    """What passes between the page and whoever waits for it.

    Args:
        page: what a person sees first.
        host: as a browser names this server.
        state: known to GitHub and to this page only, so that nobody else can hand a code in.
        receive: takes the code, and gives the address at which the person goes on.
    """

    page: str
    host: str
    state: str
    receive: Callable[[str], str]
    done: bool = False
    failed: Exception | None = field(default=None, repr=False)


def manifest(name: str, repository: Repository, back: str) -> dict[str, Any]:
    """What the App shall be: it can start workflows, and nothing else; it hears of nothing.

    Args:
        name: how it is called; a person can change it on GitHub's page.
        repository: that it is for.
        back: where GitHub sends the person with the code.
    """
    return {
        "name": name[:LONGEST_NAME].rstrip("-"),
        "url": repository.url,
        "hook_attributes": {"url": repository.url, "active": False},
        "redirect_url": back,
        "public": False,
        "default_permissions": {"actions": "write", "metadata": "read"},
        "default_events": [],
    }


def registration(repository: Repository, organisation: bool, state: str) -> str:
    """The page of GitHub that takes a manifest."""
    place = f"organizations/{repository.owner}/settings" if organisation else "settings"
    return f"{server()}/{place}/apps/new?state={state}"


def last_page(repository: Repository, slug: str, organisation: bool) -> str:
    """The page on which a person deletes an App: GitHub has no other way."""
    place = f"organizations/{repository.owner}/settings" if organisation else "settings"
    return f"{server()}/{place}/apps/{slug}/advanced"


def form(action: str, content: dict[str, Any]) -> str:
    """A page that sends a manifest when a person presses its button."""
    value = html.escape(json.dumps(content), quote=True)
    return (
        "<!doctype html><meta charset=utf-8><title>mlops</title>"
        f"<p>GitHub will be asked to make the App <b>{html.escape(content['name'])}</b>, which may start workflows."
        f'<form method="post" action="{html.escape(action, quote=True)}">'
        f'<input type="hidden" name="manifest" value="{value}"><button>Go on to GitHub</button></form>'
    )


def offered(
    name: str, repository: Repository, organisation: bool, receive: Callable[[str], str], told: Progress
) -> None:
    """Show the page, wait for GitHub's code, hand it on.

    Args:
        name: of the App.
        repository: that it is for.
        organisation: whether the owner is one.
        receive: takes the code while the person waits, and gives the address at which the person goes on.
        told: hears where the page is.

    Raises:
        Failure: nobody came back from GitHub, or what `receive` raises.
    """
    state = secrets.token_urlsafe(32)
    with HTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.timeout = 1.0
        address = f"http://127.0.0.1:{listener.server_port}"
        content = manifest(name, repository, f"{address}/made")
        talk = Talk(
            form(registration(repository, organisation, state), content),
            address.removeprefix("http://"),
            state,
            receive,
        )
        listener.talk = talk  # type: ignore[attr-defined]
        print(f"open {address} in a browser of this computer: GitHub asks you there", file=sys.stderr, flush=True)
        if sys.stdin is not None and sys.stdin.isatty():
            webbrowser.open(address)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not talk.done:
            listener.handle_request()
            if time.monotonic() > deadline:
                raise Failure(f"nobody made the App within {PATIENCE_SECONDS // 60} minutes; run it again")
    if talk.failed is not None:
        raise talk.failed
    told("GitHub has made the App")


class Handler(BaseHTTPRequestHandler):
    """Answers the browser: the page at /, and the way on at /made."""

    timeout = 5  # seconds: browsers open connections beforehand, and say nothing on them

    def do_GET(self) -> None:
        """Answer one request."""
        talk: Talk = self.server.talk  # type: ignore[attr-defined]
        parts = urllib.parse.urlsplit(self.path)
        # A page of somebody else that leads here by another name gets nothing.
        if self.headers.get("Host") != talk.host:
            return self.answered(403, "not here")
        if parts.path == "/":
            return self.answered(200, talk.page)
        if parts.path == "/made":
            return self.made(talk, dict(urllib.parse.parse_qsl(parts.query)))
        return self.answered(404, "nothing here")

    def made(self, talk: Talk, given: dict[str, str]) -> None:
        """Take GitHub's code, when it is GitHub that sent the person here."""
        if not hmac.compare_digest(given.get("state", "").encode(), talk.state.encode()) or not given.get("code"):
            return self.answered(403, "this is not the answer that was waited for")
        talk.done = True
        try:
            onward = talk.receive(given["code"])
        except Exception as error:
            talk.failed = error
            return self.answered(500, "this went wrong; the terminal says why")
        self.send_response(303)
        self.send_header("Location", onward)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answered(self, status: int, text: str) -> None:
        """Send a page that nobody else may frame or keep."""
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Frame-Options", "DENY")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the code is in the address."""
