"""GitHub's description of its API: which operation a request is of, what is wrong with it, what an answer may hold."""

import json
import re
import urllib.parse
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator


@dataclass(frozen=True)
class Operation:
    """An operation: its path as a pattern, and what goes in and out."""

    name: str
    method: str
    path: re.Pattern[str]
    statuses: frozenset[int]
    request: Any
    answer: Any


@cache
def operations() -> list[Operation]:
    """All operations, those with fixed paths first."""
    content = json.loads((Path(__file__).parent / "description.json").read_text(encoding="utf-8"))
    found = [described(name, each) for name, each in content["operations"].items()]
    return sorted(found, key=lambda each: each.name.count("{"))


def described(name: str, facts: dict[str, Any]) -> Operation:
    """One operation as the description has it."""
    method, path = name.split(" ")
    # Of all parts of paths only the name of a reference has slashes in it.
    pattern = re.sub(
        r"\\{(\w+)\\}", lambda found: f"(?P<{found[1]}>{'.+' if found[1] == 'ref' else '[^/]+'})", re.escape(path)
    )
    return Operation(
        name=name,
        method=method,
        path=re.compile(pattern),
        statuses=frozenset(facts["statuses"]),
        request=Draft202012Validator(facts["request"]) if "request" in facts else None,
        answer=Draft202012Validator(facts["answer"]) if "answer" in facts else None,
    )


def find(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """The operation of a request, and the parts of its path; None when GitHub has none such."""
    for each in operations():
        if each.method == method and (match := each.path.fullmatch(path)):
            return each, {name: urllib.parse.unquote(part) for name, part in match.groupdict().items()}
    return None


def refusal(operation: Operation, body: Any) -> str:
    """What GitHub would not take, or would ignore without a word; empty when there is nothing."""
    if operation.request is None:
        return "" if body is None else "a body, where none is taken"
    problems = [f"{error.json_path}: {error.message}" for error in operation.request.iter_errors(body)]
    return "; ".join(problems)


def checked(operation: Operation, status: int, body: Any) -> None:
    """See that an answer of the stand-in is one that GitHub could give.

    Raises:
        AssertionError: it is not.
    """
    assert status >= 400 or status in operation.statuses, f"{operation.name} never answers {status}"
    if operation.answer is not None and status < 300:
        problems = [f"{error.json_path}: {error.message}" for error in operation.answer.iter_errors(body)]
        assert problems == [], f"{operation.name} would not answer so: {problems}"
