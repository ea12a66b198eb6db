"""What a job's token may do: `permissions` of workflow and job, and what a caller leaves to the workflow it calls.

Source: docs.github.com, Workflow syntax, "permissions", and "Reusing workflows", "Supported keywords".
"""

from collections.abc import Mapping
from typing import Any

Permissions = dict[str, str]

LEVELS = {"none": 0, "read": 1, "write": 2}
SCOPES = (
    "actions", "attestations", "checks", "contents", "deployments", "discussions", "id-token", "issues", "models",
    "packages", "pages", "pull-requests", "security-events", "statuses",
)  # fmt: skip
DEFAULT: Permissions = {"contents": "read", "packages": "read"}
"""The token of a repository with the restricted default, which GitHub gives to new repositories."""

EVERYTHING: Permissions = dict.fromkeys(SCOPES, "write")


class TooMuch(Exception):
    """A called workflow asks for more than its caller has: GitHub does not start the run."""


def expanded(given: Any) -> Permissions:
    """A `permissions` value in its long form."""
    if given in ("write-all", "read-all"):
        level = given.removesuffix("-all")
        return {scope: level for scope in SCOPES if scope != "id-token" or level == "write"}
    if not isinstance(given, Mapping):
        return {}
    if unknown := [scope for scope, level in given.items() if scope not in SCOPES or level not in LEVELS]:
        raise ValueError(f"permissions: {', '.join(unknown)} is no scope with read, write or none")
    return {scope: level for scope, level in given.items() if level != "none"}


def of_job(workflow: Mapping[str, Any], job: Mapping[str, Any], most: Permissions, called: bool) -> Permissions:
    """What the token of a job may do.

    Args:
        workflow: the workflow that the job stands in.
        job: the job.
        most: what the caller of the workflow leaves at most.
        called: whether the workflow runs by `workflow_call`: its own wishes are then held against the caller's.

    Raises:
        TooMuch: a called workflow asks for more than its caller has.
    """
    given = job.get("permissions", workflow.get("permissions"))
    wanted = (dict(most) if called else dict(DEFAULT)) if given is None else expanded(given)
    beyond = [scope for scope, level in wanted.items() if LEVELS[level] > LEVELS[most.get(scope, "none")]]
    if called and beyond:
        asked = ", ".join(f"{scope}: {wanted[scope]} (its caller has {most.get(scope, 'none')})" for scope in beyond)
        raise TooMuch(f"the called workflow requests {asked}")
    granted = {scope: min(level, most.get(scope, "none"), key=LEVELS.__getitem__) for scope, level in wanted.items()}
    return {scope: level for scope, level in granted.items() if level != "none"}


def from_a_fork(granted: Permissions) -> Permissions:
    """What is left of a token when the event comes from a fork: nothing is written, and nobody's role taken on."""
    return {scope: "read" for scope in granted if scope != "id-token"}
