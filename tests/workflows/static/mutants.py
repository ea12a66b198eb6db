"""Mistakes, made one at a time from the workflows themselves: each thing that may be forgotten is taken away."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from static.documents import Document, Repository

LISTS = {"permissions", "outputs", "inputs", "env", "with", "concurrency", "environment"}
"""Keys whose entries are forgotten one by one."""

WHOLE = {"permissions", "needs", "if", "environment", "concurrency", "outputs", "env", "with", "timeout-minutes", "id"}
"""Keys that are forgotten as a whole."""


OPERATORS = {"==": "!=", "!=": "==", "&&": "||", "||": "&&", "!cancelled()": "always()"}
"""What in a condition is taken for what else, wherever it stands."""


@dataclass(frozen=True)
class Mutant:
    """A repository with one mistake, and what the mistake is."""

    name: str
    repo: Repository


def mutants(repo: Repository) -> Iterator[Mutant]:
    """Every mistake."""
    for path, document in repo.documents.items():
        for place in sorted(set(places(document)), key=str):
            yield mutant(repo, path, f"without {dotted(place)}", place, None)
        for place, value in changes(document):
            yield mutant(repo, path, f"{dotted(place)} is {value!r}", place, value)


def mutant(repo: Repository, path: str, name: str, place: tuple[Any, ...], value: Any) -> Mutant:
    """The repository with what is at a place of a file replaced, or taken away when there is no value."""
    changed = copy.deepcopy(repo.documents[path])
    node = changed
    for part in place[:-1]:
        node = node[part]
    if value is None:
        del node[place[-1]]
    else:
        node[place[-1]] = value
    return Mutant(f"{path.removeprefix('.github/')}: {name}", Repository(repo.texts, {**repo.documents, path: changed}))


def places(document: Document) -> Iterator[tuple[Any, ...]]:
    """Where something may be forgotten: whole keys, their entries, and whole steps."""
    for place, node in nodes(document):
        key = place[-1] if place else ""
        if isinstance(node, dict):
            yield from ((*place, each) for each in node if each in WHOLE)
            if key in LISTS:
                yield from ((*place, each) for each in node)
        if isinstance(node, list) and key in {"steps", "branches", "types", "needs", "options"}:
            yield from ((*place, index) for index in range(len(node)))


def changes(document: Document) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Values that are set wrong, in place of others."""
    for place, node in nodes(document):
        key = place[-1] if place else ""
        match (key, node):
            case ("if", str()):
                for operator, other in OPERATORS.items():
                    parts = node.split(operator)
                    for index in range(1, len(parts)):
                        yield place, operator.join(parts[:index]) + other + operator.join(parts[index:])
            case ("cancel-in-progress", False):
                yield place, True
            case ("queue", str()):
                yield place, "single"
            case (
                "name" | "environment" | "duty",
                "prod" | "dev" | "feature" | "train" | "deploy" | "approve" | "destroy" | "monitor" | "plan" | "apply",
            ):
                wrong = {
                    "prod": "dev",
                    "dev": "prod",
                    "feature": "dev",
                    "train": "deploy",
                    "deploy": "approve",
                    "plan": "apply",
                }
                if key != "name" or place[-2:-1] == ("environment",):
                    yield place, wrong.get(node, "train")
            case ("type", "boolean"):
                yield place, "string"
            case ("contents" | "actions", "read"):
                yield place, "write"
            case ("deployment", False):
                yield place, True
            case ("ref" | "group", str()):
                yield place, "main"


def nodes(node: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every node of a document with its place."""
    yield place, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from nodes(value, (*place, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from nodes(value, (*place, index))


def dotted(place: tuple[Any, ...]) -> str:
    """A place as people write it."""
    return ".".join(map(str, place))
