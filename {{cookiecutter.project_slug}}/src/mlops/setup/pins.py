"""Actions of others that the workflows use: each pinned to a commit, with the version that it is of."""

import re
from pathlib import Path

from mlops.setup.health import Check
from mlops.setup.repository import Repository

PIN = re.compile(
    r"^\s*(?:- )?uses: (?P<action>[\w.-]+/[\w.-]+)(?:/[\w./-]+)?@(?P<commit>[0-9a-f]{40}) # (?P<tag>v\S+)$"
)


def pins(root: Path) -> dict[str, set[tuple[str, str]]]:
    """The commits and versions to which each action is pinned in a project's workflows and actions."""
    found: dict[str, set[tuple[str, str]]] = {}
    for file in sorted((root / ".github").rglob("*.y*ml")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if match := PIN.match(line):
                found.setdefault(match["action"], set()).add((match["commit"], match["tag"]))
    return found


def checks(root: Path, repository: Repository) -> list[Check]:
    """Whether each action is pinned to its newest release, and to the commit that the release is of."""
    return [examined(repository, action, used) for action, used in pins(root).items()]


def examined(repository: Repository, action: str, used: set[tuple[str, str]]) -> Check:
    """Whether one action is up to date."""
    what = f"pin of {action}"
    given = ", ".join(sorted(tag for _, tag in used))
    newest = repository.find(f"/repos/{action}/releases/latest")
    if newest is None:
        return Check(what, True, f"{given}; it has no releases")
    tag = newest["tag_name"]
    if {each for _, each in used} != {tag}:
        return Check(what, False, f"{given}; {tag} is out", "merge Dependabot's pull request, or pin it by hand")
    commit = repository.ask("GET", f"/repos/{action}/commits/{tag}")["sha"]
    if {each for each, _ in used} != {commit}:
        return Check(what, False, f"{given} is commit {commit}, another one is pinned", "pin that commit")
    return Check(what, True, given)
