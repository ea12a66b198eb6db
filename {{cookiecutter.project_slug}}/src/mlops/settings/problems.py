"""Problems of settings: what pydantic found, as lines for a person."""

from typing import Any

from mlops.settings.criteria import Model
from mlops.settings.serving import KINDS

CHOICES = {"all_at_once", "canary", "linear", "shadow", "named_alarm", "signal", *KINDS}
"""Which kind was given: pydantic has it in the place of a problem, and the file has no such place."""


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
    text = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"{file}: {where} is no setting; look for a slip of the pen or remove it"
    if problem["type"] == "missing":
        return f"{file}: {where} is missing"
    shown = "" if isinstance(problem["input"], dict | Model) else f" is {problem['input']!r}"
    return f"{file}: {where}{shown}: {text}" if where else f"{file}: {text}"
