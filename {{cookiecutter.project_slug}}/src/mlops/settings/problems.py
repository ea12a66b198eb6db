"""Problems of settings: what pydantic found, as lines for a person."""

import re
from typing import Any

from mlops.settings.criteria import Model
from mlops.settings.serving import KINDS

CHOICES = {"all_at_once", "canary", "linear", "shadow", "named_alarm", "signal", *KINDS}
"""Which kind was given: pydantic has it in the place of a problem, and the file has no such place."""


SAID = {
    "extra_forbidden": "is not known",
    "missing": "is missing",
    "union_tag_invalid": "give one of {expected_tags}",
    "union_tag_not_found": "is missing",
    "literal_error": "give {expected}",
    "string_type": "a text is needed; a number is one in quotes",
    "string_pattern_mismatch": "its form has to be {pattern}",
    "int_type": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "float_type": "a number is needed",
    "float_parsing": "a number is needed",
    "bool_type": "give true or false",
    "bool_parsing": "give true or false",
    "greater_than": "give more than {gt}",
    "greater_than_equal": "give {ge} or more",
    "less_than": "give less than {lt}",
    "less_than_equal": "give {le} or less",
    "dict_type": "settings below it are needed",
    "model_type": "settings below it are needed",
    "model_attributes_type": "settings below it are needed",
    "list_type": "a list is needed",
    "tuple_type": "a list is needed",
}
"""What pydantic finds, in words for who writes the file; the rest it says in words of its own."""


def words(problem: Any) -> str:
    """What is wrong with a value, and what is allowed, without Python's and pydantic's terms."""
    if said := SAID.get(problem["type"]):
        return said.format(**problem.get("ctx", {}))
    said = re.sub(r"^(String|Tuple|List|Dictionary) should have", "give", problem["msg"].removeprefix("Value error, "))
    return said.replace(" after validation", "").replace("Input should", "it has to")


def of_yaml(error: Exception) -> str:
    """What is wrong with a text that is no YAML, and where."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    said = getattr(error, "problem", None) or str(error)
    return f"not valid YAML: {where}{' '.join(said.split())}"


def plain(value: Any) -> str:
    """A value as the file has it."""
    if value is None:
        return "empty"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def line(problem: Any, content: Any, file: str) -> str:
    """One line for a person about one problem that pydantic found."""
    place: list[str] = []
    for part in problem["loc"]:
        if part in CHOICES:
            continue
        content = (
            content[part]
            if isinstance(content, list) and isinstance(part, int) and part < len(content)
            else (content.get(part) if isinstance(content, dict) else None)
        )
        if isinstance(part, int) and isinstance(content, dict) and "name" in content:
            place.append(str(content["name"]))
        else:
            place.append(str(part))
    where = ".".join(place)
    text = words(problem)
    if problem["type"] == "extra_forbidden":
        return f"{file}: {where} is no setting; look for a slip of the pen or remove it"
    if problem["type"] == "missing":
        return f"{file}: {where} is missing"
    if problem["type"].startswith("union_tag"):
        where += f".{problem['ctx']['discriminator']}".replace("'", "")
        problem = {**problem, "input": problem["ctx"].get("tag", {})}
    shown = "" if isinstance(problem["input"], dict | Model) else f" is {plain(problem['input'])}"
    return f"{file}: {where}{shown}: {text}" if where else f"{file}: {text}"
