"""IAM policies: which statements match a request, and what they decide together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

Statement = Mapping[str, Any]
Values = Mapping[str, list[str]]


class Decision(Enum):
    """What a set of statements says; a denial wins over any number of allowances."""

    ALLOWED = "allowed"
    DENIED = "denied"
    SILENT = "silent"


@dataclass(frozen=True)
class Request:
    """What is asked of a policy: may these principals do this action on this resource?

    Args:
        action: such as `s3:GetObject`.
        resource: an ARN, or `*` for what has none.
        principals: the names that a Principal element may know the caller by, as (kind, name) pairs.
        context: the condition keys of the request; a key that is absent is not in it.
    """

    action: str
    resource: str
    principals: frozenset[tuple[str, str]] = frozenset()
    context: Values = field(default_factory=dict)


def decide(documents: Iterable[Mapping[str, Any]], request: Request) -> Decision:
    """What policy documents say to a request: identity policies, a resource's policy or a trust policy."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in listed(document.get("Statement", []))
        if matches(statement, request)
    }
    if "Deny" in effects:
        return Decision.DENIED
    return Decision.ALLOWED if "Allow" in effects else Decision.SILENT


def matches(statement: Statement, request: Request) -> bool:
    """Whether a statement speaks of a request: its principal, action, resource and conditions."""
    return (
        _principal_matches(statement, request.principals)
        and _element_matches(statement, "Action", request.action.lower(), str.lower, required=True)
        and _element_matches(statement, "Resource", request.resource, _variables(request.context), required=False)
        and _conditions_hold(statement.get("Condition", {}), request.context)
    )


def listed(value: Any) -> list[Any]:
    """A policy's elements may be one value or a list of them."""
    return list(value) if isinstance(value, list | tuple | set | frozenset) else [value]


def like(pattern: str, value: str) -> bool:
    """IAM's wildcards: `*` for any characters, `?` for one."""
    return _compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern), re.DOTALL)


def _principal_matches(statement: Statement, principals: frozenset[tuple[str, str]]) -> bool:
    if "NotPrincipal" in statement:
        return not _names_one_of(statement["NotPrincipal"], principals)
    # An identity policy has no principal: it is attached to whom it speaks of.
    return "Principal" not in statement or _names_one_of(statement["Principal"], principals)


def _names_one_of(element: Any, principals: frozenset[tuple[str, str]]) -> bool:
    if element == "*":
        return True
    named = {(kind, name) for kind, names in element.items() for name in map(_principal_name, listed(names))}
    return ("AWS", "*") in named or bool(named & principals)


def _principal_name(name: str) -> str:
    return f"arn:aws:iam::{name}:root" if re.fullmatch(r"[0-9]{12}", name) else name


def _element_matches(
    statement: Statement, element: str, value: str, prepared: Callable[[str], str], required: bool
) -> bool:
    if f"Not{element}" in statement:
        return not any(like(prepared(pattern), value) for pattern in listed(statement[f"Not{element}"]))
    if element not in statement:
        return not required  # A trust policy has no resource: it is attached to the role it speaks of.
    return any(like(prepared(pattern), value) for pattern in listed(statement[element]))


def _variables(context: Values) -> Callable[[str], str]:
    """Replaces policy variables such as `${aws:PrincipalAccount}` by the request's values."""

    def value(found: re.Match[str]) -> str:
        return context.get(found[1], [found[0]])[0]

    return lambda pattern: re.sub(r"\$\{([^}]+)\}", value, pattern) if "${" in pattern else pattern


def _number(test: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda expected, actual: test(float(actual), float(expected))


def _equal(expected: str, actual: str) -> bool:
    return expected == actual


_POSITIVE: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": lambda expected, actual: expected.lower() == actual.lower(),
    "StringLike": like,
    "ArnEquals": like,
    "ArnLike": like,
    "Bool": lambda expected, actual: expected.lower() == actual.lower(),
    "NumericEquals": _number(lambda actual, expected: actual == expected),
    "NumericLessThan": _number(lambda actual, expected: actual < expected),
    "NumericLessThanEquals": _number(lambda actual, expected: actual <= expected),
    "NumericGreaterThan": _number(lambda actual, expected: actual > expected),
    "NumericGreaterThanEquals": _number(lambda actual, expected: actual >= expected),
}
_NEGATIVE = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
}


class UnknownOperator(ValueError):
    """A condition operator that this evaluator was not taught; passing over it would grant too much or too little."""


def _conditions_hold(block: Mapping[str, Mapping[str, Any]], context: Values) -> bool:
    present = {key.lower(): values for key, values in context.items()}
    return all(
        _condition_holds(operator, [str(each) for each in map(_text, listed(expected))], present.get(key.lower()))
        for operator, keys in block.items()
        for key, expected in keys.items()
    )


def _condition_holds(operator: str, expected: list[str], actual: list[str] | None) -> bool:
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    if name == "Null":
        return (actual is None) == (expected[0].lower() == "true")
    negative = name in _NEGATIVE
    test = _POSITIVE.get(_NEGATIVE.get(name, name))
    if test is None:
        raise UnknownOperator(f"the sandbox does not know the condition operator {operator}")
    if actual is None:
        return if_exists or negative or quantifier == "ForAllValues"
    results = [any(test(each, value) for each in expected) is not negative for value in actual]
    # Without a quantifier a negative operator has to hold for every value, a positive one for some value.
    return all(results) if quantifier == "ForAllValues" or (negative and not quantifier) else any(results)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
