"""The `if` of a job, worked out where act has ended its plan too early to do so."""

import ast
import operator
import re
from collections.abc import Mapping
from typing import Any

STATUS_FUNCTIONS = re.compile(r"\b(?:always|failure|cancelled|success)\s*\(")
_WORDS = re.compile(r"'(?:[^']|'')*'|&&|\|\||!=|!|[A-Za-z_][\w.-]*(?:\(\))?|==|[()]|[\d.]+|\s+")
_COMPARISONS = {ast.Eq: operator.eq, ast.NotEq: operator.ne}


def would_run(condition: Any, needs: Mapping[str, str]) -> bool:
    """Whether GitHub would run a job after the jobs that it needs have ended.

    Args:
        condition: the job's `if`; None when it has none.
        needs: the results of the jobs that it needs, by their ids.

    Raises:
        ValueError: the condition holds more than results, status functions and their combinations.
    """
    text = re.sub(r"^\$\{\{(.*)\}\}$", r"\1", str("success()" if condition is None else condition).strip(), flags=re.S)
    # Without a status function GitHub puts `success() &&` before it.
    if not STATUS_FUNCTIONS.search(text) and set(needs.values()) - {"success"}:
        return False
    words = _WORDS.findall(text)
    if "".join(words) != text:
        raise ValueError(f"the harness does not understand the condition {text!r}")
    python = {"&&": " and ", "||": " or ", "!": " not "}
    return bool(
        _value(ast.parse("".join(python.get(word, _name(word)) for word in words).strip(), mode="eval").body, needs)
    )


def _name(word: str) -> str:
    """A word of an expression as Python reads it: contexts become one string, which is looked up later."""
    if re.match(r"[A-Za-z_]", word) and word not in ("true", "false"):
        return repr(f"\0{word}")
    return {"true": "True", "false": "False"}.get(word, word)


def _value(node: ast.expr, needs: Mapping[str, str]) -> Any:
    if isinstance(node, ast.BoolOp):
        values = (_value(each, needs) for each in node.values)
        return all(values) if isinstance(node.op, ast.And) else any(values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _value(node.operand, needs)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARISONS:
        return _COMPARISONS[type(node.ops[0])](_value(node.left, needs), _value(node.comparators[0], needs))
    if isinstance(node, ast.Constant):
        value: Any = node.value
        is_context = isinstance(value, str) and value.startswith("\0")
        return _context(value[1:], needs) if is_context else value
    raise ValueError(f"the harness does not understand {ast.dump(node)} in a condition")


def _context(name: str, needs: Mapping[str, str]) -> Any:
    results = needs.values()
    functions = {
        "always()": True,
        "cancelled()": False,
        "failure()": "failure" in results,
        "success()": set(results) <= {"success"},
    }
    if name in functions:
        return functions[name]
    if found := re.fullmatch(r"needs\.([\w-]+)\.result", name):
        return needs[found[1]]
    if found := re.fullmatch(r"needs\.([\w-]+)\.outputs\.[\w-]+", name):
        if needs[found[1]] == "success":
            raise ValueError(f"the harness does not know {name} of a job that has run")
        return ""
    raise ValueError(f"the harness does not know {name} in a condition")
