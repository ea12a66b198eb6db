"""Mistakes, made one at a time from the workflows themselves: each thing is forgotten, or set wrong."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from mlops.workflows.documents import Document, Repository
from static.swaps import inside, nodes, swaps

FOR_PEOPLE = {"description", "run-name"}
"""Keys that nothing but people reads."""

OPERATORS = {"==": "!=", "!=": "==", "&&": "||", "||": "&&", "!cancelled()": "always()"}
"""What in a condition is taken for what else, wherever it stands."""

OPERAND = r"!?[\w.-]+(?:\([^()]*\))?(?: [!=]= (?:'[^']*'|[\w.]+))?"
PART = re.compile(rf"{OPERAND}\s+(?:&&|\|\|)\s+|\s+(?:&&|\|\|)\s+{OPERAND}(?=[\s)]|$)")
"""One of the things that a condition asks for, with the word that joins it to the others."""


@dataclass(frozen=True)
class Mutant:
    """A repository with one mistake: what the mistake is, of which kind, and in which file."""

    name: str
    kind: str
    path: str
    repo: Repository


def mutants(repo: Repository) -> Iterator[Mutant]:
    """Every mistake, each once."""
    for path, document in repo.documents.items():
        seen: set[tuple[tuple[Any, ...], str]] = set()
        for kind, place, value in chain(forgotten(document), changes(document), swaps(repo, document)):
            if (place, repr(value)) not in seen and (value is None or value != inside(document, place)):
                seen.add((place, repr(value)))
                yield mutant(repo, path, kind, place, value)


def forgotten(document: Document) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """Everything that is taken away."""
    yield from (("forgotten", place, None) for place in sorted(set(places(document)), key=str))


def mutant(repo: Repository, path: str, kind: str, place: tuple[Any, ...], value: Any) -> Mutant:
    """The repository with what is at a place of a file replaced, or taken away when there is no value."""
    what = f"without {dotted(place)}" if value is None else f"{dotted(place)} is {value!r}"
    changed = replaced(repo.documents[path], place, value)
    documents = {**repo.documents, path: changed}
    return Mutant(f"{path.removeprefix('.github/')}: {what}", kind, path, Repository(repo.texts, documents))


def replaced(node: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A document with another value at a place; what it does not touch is the original's."""
    if not place:
        return value
    first, rest = place[0], place[1:]
    entries = dict(node) if isinstance(node, dict) else list(node)
    if rest or value is not None:
        entries[first] = replaced(node[first], rest, value)
    else:
        del entries[first]
    return entries


def places(document: Document) -> Iterator[tuple[Any, ...]]:
    """Where something may be forgotten: every key, and every step."""
    for place, node in nodes(document):
        if isinstance(node, dict):
            yield from ((*place, each) for each in node if each not in FOR_PEOPLE and not is_title((*place, each)))
        if isinstance(node, list):
            yield from ((*place, index) for index in range(len(node)))


def is_title(place: tuple[Any, ...]) -> bool:
    """Whether a name is that of a step or a workflow, for people."""
    return place[-1] == "name" and (len(place) == 1 or place[-3:-2] == ("steps",))


def changes(document: Document) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """Conditions that are set wrong or lack a part, steps in another order, and refs that name a branch."""
    for place, node in nodes(document):
        match (place[-1] if place else "", node):
            case ("if", str()):
                for operator, other in OPERATORS.items():
                    parts = node.split(operator)
                    for index in range(1, len(parts)):
                        joined = operator.join(parts[:index]) + other + operator.join(parts[index:])
                        yield "condition", place, joined
                for part in PART.finditer(node):
                    yield "condition", place, node[: part.start()] + node[part.end() :]
            case ("steps", list()):
                for index in range(len(node) - 1):
                    yield "order", place, [*node[:index], node[index + 1], node[index], *node[index + 2 :]]
            case ("ref" | "group", str()):
                yield "text", place, "main"


def dotted(place: tuple[Any, ...]) -> str:
    """A place as people write it."""
    return ".".join(map(str, place))
