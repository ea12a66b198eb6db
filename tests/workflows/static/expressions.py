"""GitHub's expressions, as far as conditions of jobs and steps use them, and which jobs and steps run by them."""

import re
from functools import cache
from typing import Any

from mlops.workflows.documents import Document

TOKEN = re.compile(r"\s*(?:(?P<text>'[^']*')|(?P<operator>&&|\|\||==|!=|[!(),])|(?P<name>[\w.-]+))")
STATUS = ("always()", "cancelled()", "failure()", "success()")
CANCELLED_AFTER = "cancelled after"
"""Among the results of jobs: the job after whose end somebody cancels the run."""

Context = dict[str, Any]


def holds(condition: str, context: Context) -> bool:
    """Whether a condition holds. `context` has the status of what came before under `status`."""
    value, rest = either(list(tokens_of(condition)), context)
    if rest:
        raise ValueError(f"{condition}: cannot read from {' '.join(rest)}")
    return bool(value)


@cache
def tokens_of(condition: str) -> tuple[str, ...]:
    """The parts of a condition; one that does not ask for the status asks for success beside its own."""
    given = condition.strip().removeprefix("${{").removesuffix("}}").strip()
    tokens = tuple(match.group().strip() for match in TOKEN.finditer(given))
    return tokens if any(word in given for word in STATUS) else ("success", "(", ")", "&&", "(", *tokens, ")")


def either(tokens: list[str], context: Context) -> tuple[Any, list[str]]:
    """`a || b`, of lower rank than `&&`."""
    value, rest = both(tokens, context)
    while rest[:1] == ["||"]:
        other, rest = both(rest[1:], context)
        value = value or other
    return value, rest


def both(tokens: list[str], context: Context) -> tuple[Any, list[str]]:
    """`a && b`."""
    value, rest = compared(tokens, context)
    while rest[:1] == ["&&"]:
        other, rest = compared(rest[1:], context)
        value = value and other
    return value, rest


def compared(tokens: list[str], context: Context) -> tuple[Any, list[str]]:
    """`a == b` and `a != b`."""
    value, rest = single(tokens, context)
    while rest[:1] in (["=="], ["!="]):
        other, after = single(rest[1:], context)
        value, rest = (value == other) == (rest[0] == "=="), after
    return value, rest


def single(tokens: list[str], context: Context) -> tuple[Any, list[str]]:
    """A value, a call, `!a` or `(a)`."""
    first, rest = tokens[0], tokens[1:]
    if first == "!":
        value, rest = single(rest, context)
        return not value, rest
    if first == "(":
        value, rest = either(rest, context)
        return value, rest[1:]
    if rest[:1] == ["("]:
        arguments, rest = [], rest[1:]
        while rest[0] != ")":
            argument, rest = either(rest, context)
            arguments.append(argument)
            rest = rest[1:] if rest[0] == "," else rest
        return call(first, arguments, context), rest[1:]
    return value_of(first, context), rest


def call(name: str, arguments: list[Any], context: Context) -> bool:
    """The functions that conditions use."""
    status = context["status"]
    if name == "startsWith":
        return str(arguments[0] or "").lower().startswith(str(arguments[1]).lower())
    return {"always": True, "cancelled": status == "cancelled", "failure": status == "failure",
            "success": status == "success"}[name]  # fmt: skip


def value_of(word: str, context: Context) -> Any:
    """A literal, or what the context has under a name; what it does not have is empty, as on GitHub."""
    if word.startswith("'"):
        return word[1:-1]
    if word in ("true", "false"):
        return word == "true"
    value: Any = context
    for part in word.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else value


def jobs_that_run(document: Document, context: Context, results: dict[str, str], outputs: Context) -> list[str]:
    """The jobs of a workflow that run at an event.

    Args:
        document: the workflow.
        context: of the event.
        results: how jobs end that run; success when not given.
        outputs: of the jobs that run.
    """
    ended: dict[str, str] = {}
    for name, job in document["jobs"].items():
        given = job.get("needs", [])
        needs = [given] if isinstance(given, str) else given
        states = [ended[each] for each in needs]
        status = "failure" if "failure" in states else "skipped"
        if all(each == "success" for each in states):
            status = "success"
        if "cancelled" in ended.values() or results.get(CANCELLED_AFTER) in ended:
            status = "cancelled"
        known = {each: {"result": ended[each], "outputs": outputs.get(each, {}) if ended[each] != "skipped" else {}}
                 for each in needs}  # fmt: skip
        runs = holds(str(job.get("if", "success()")), {**context, "needs": known, "status": status})
        ended[name] = results.get(name, "success") if runs else "skipped"
    return [name for name, result in ended.items() if result != "skipped"]


def steps_that_run(steps: list[Document], context: Context, ends: dict[int, str]) -> list[int]:
    """The steps, by their position, that run when some of them fail or are cancelled."""
    status, found, known = "success", [], {}
    for index, step in enumerate(steps):
        runs = holds(str(step.get("if", "success()")), {**context, "steps": known, "status": status})
        outcome = ends.get(index, "success") if runs else "skipped"
        known[step.get("id", "")] = {"outcome": outcome, "outputs": context.get("outputs", {}).get(step.get("id"), {})}
        if runs:
            found.append(index)
            status = outcome if outcome != "success" else status
    return found
