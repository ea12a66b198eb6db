"""What the bootstrap has made on GitHub: remembered there, so that nothing else is ever changed or removed."""

import json
from collections.abc import Iterable

from mlops import rest
from mlops.setup.plan import Deed, Step
from mlops.setup.repository import Repository

VARIABLE = "MLOPS_BOOTSTRAP"
"""The repository's variable that remembers it. Environments and rulesets have no place for a mark of their own."""

APP = "GitHub App "
"""Begins what is remembered of an App; its name on GitHub follows."""


def things(repository: Repository) -> frozenset[str]:
    """What is remembered, such as "environment dev"; nothing when the repository is not there."""
    return frozenset(read(value(repository, VARIABLE)))


def value(repository: Repository, name: str) -> str | None:
    """The value of a variable of the repository; None when there is none of that name."""
    found = repository.find(f"actions/variables/{name}")
    return str(found["value"]) if found else None


def read(text: str | None) -> list[str]:
    """What the variable remembers; nothing when it is missing, or a person has written something else into it."""
    try:
        return [str(each) for each in json.loads(text or "")["made"]]
    except (ValueError, KeyError, TypeError):
        return []


def remembering(repository: Repository, known: frozenset[str], new: Iterable[str]) -> Step:
    """The step that remembers what the steps after it are about to make.

    Before, not after: a run that is killed in between leaves nothing that the next one takes for somebody else's.
    """
    wanted = sorted(known | set(new))
    what: Deed = "keep" if known == frozenset(wanted) else "change" if known else "make"

    def write() -> None:
        remember(repository, wanted)

    detail = f"remembers what the bootstrap has made: {len(wanted)} things"
    return Step(f"variable {VARIABLE}", what, detail, write)


def remember(repository: Repository, wanted: Iterable[str]) -> None:
    """Write down what has been made."""
    write(repository, VARIABLE, json.dumps({"made": sorted(wanted)}))


def write(repository: Repository, name: str, value: str) -> None:
    """Set a variable of the repository, whether it is there or not."""
    try:
        repository.ask("PATCH", f"actions/variables/{name}", {"name": name, "value": value})
    except rest.Refused as error:
        if error.status != 404:
            raise
        repository.ask("POST", "actions/variables", {"name": name, "value": value})


def remove(repository: Repository, name: str) -> None:
    """Remove a variable of the repository, whether it is there or not."""
    repository.gone(f"actions/variables/{name}")
