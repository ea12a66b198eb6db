"""Which workflows an event starts: triggers, branches, tags, paths and types, which act does not look at.

Source: docs.github.com, Workflow syntax, "on", and its "Filter pattern cheat sheet".
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

DEFAULT_BRANCH_ONLY = frozenset({"schedule", "repository_dispatch", "workflow_run"})
PULL_REQUEST_TYPES = ("opened", "synchronize", "reopened")


@dataclass(frozen=True)
class Event:
    """Something that happened, with the commit whose files decide what runs.

    Args:
        name: push, pull_request, workflow_dispatch, schedule, …
        ref: the full ref of GITHUB_REF.
        sha: the commit of GITHUB_SHA.
        payload: the webhook's body.
        files: the paths that changed, for paths filters.
        actor: who did it.
        fork: whether it comes from a fork: no secrets, and a token that only reads.
    """

    name: str
    ref: str
    sha: str
    payload: dict[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    actor: str = "mira"
    fork: bool = False


def starts(workflow: dict[str, Any], event: Event, default_branch: str) -> bool:
    """Whether a workflow's triggers and filters answer to an event."""
    on = triggers(workflow)
    if event.name not in on:
        return False
    branch = event.ref.removeprefix("refs/heads/")
    if event.name == "schedule":
        crons = [each["cron"] for each in on["schedule"]]
        return branch == default_branch and event.payload.get("schedule") in crons
    filters = dict(on[event.name] or {})
    if event.name in DEFAULT_BRANCH_ONLY and branch != default_branch:
        return False
    if event.name == "workflow_run" and event.payload["workflow_run"]["name"] not in filters.get("workflows", []):
        return False
    if event.name == "pull_request":
        filters.setdefault("types", PULL_REQUEST_TYPES)
    if "types" in filters and event.payload.get("action") not in filters["types"]:
        return False
    return _passes(filters, event)


def triggers(workflow: dict[str, Any]) -> dict[str, Any]:
    """A workflow's `on` in its long form."""
    on = workflow.get("on", {})
    if isinstance(on, str):
        return {on: None}
    return dict.fromkeys(on) if isinstance(on, list) else dict(on)


def _passes(filters: dict[str, Any], event: Event) -> bool:
    kind = "tags" if event.ref.startswith("refs/tags/") else "branches"
    name = event.ref.removeprefix("refs/tags/").removeprefix("refs/heads/")
    if event.name == "pull_request":
        kind, name = "branches", event.payload["pull_request"]["base"]["ref"]
    elif event.name == "workflow_run":
        name = event.payload["workflow_run"]["head_branch"]
    named = {key.removesuffix("-ignore") for key in filters} & {"branches", "tags"}
    if event.name == "push" and named and kind not in named:
        return False
    return _selected(filters, kind, [name]) and (not event.files or _selected(filters, "paths", event.files))


def _selected(filters: dict[str, Any], key: str, values: Sequence[str]) -> bool:
    if key in filters and not any(matches(filters[key], value) for value in values):
        return False
    ignored = filters.get(f"{key}-ignore")
    return not (ignored and all(matches(ignored, value) for value in values))


def matches(patterns: Iterable[str], value: str) -> bool:
    """Whether the last of the patterns that fits a value takes it in; a leading ! takes it out."""
    taken = False
    for pattern in patterns:
        out = pattern.startswith("!")
        if _expression(pattern.removeprefix("!")).fullmatch(value):
            taken = not out
    return taken


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    parts, position = "", 0
    while position < len(pattern):
        character = pattern[position]
        if pattern.startswith("**/", position):
            parts, position = parts + "(?:.*/)?", position + 3
        elif pattern.startswith("**", position):
            parts, position = parts + ".*", position + 2
        elif character == "[":
            end = pattern.index("]", position)
            parts, position = parts + pattern[position : end + 1], end + 1
        elif character == "\\":
            parts, position = parts + re.escape(pattern[position + 1]), position + 2
        else:
            parts += {"*": "[^/]*", "?": "?", "+": "+"}.get(character, re.escape(character))
            position += 1
    return re.compile(parts)
