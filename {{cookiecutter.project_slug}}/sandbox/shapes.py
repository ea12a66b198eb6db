"""botocore's shapes: what the service checks of a request beyond what the client does, and both wire forms."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

import regex
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from sandbox.operations import Refusal

_SHOWN_LETTERS = 80
_BEYOND_16_BITS = (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
"""The characters that Java, in which the patterns are written, has as pairs."""
_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
}


@cache
def service(name: str) -> ServiceModel:
    """botocore's model of a service: `sagemaker` or `sagemaker-runtime`."""
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def check(shape: Shape, value: Any) -> None:
    """Refuse parameters that break their shape, all problems at once, in the service's wording.

    botocore's client checks type, required and minimum; the service checks maximum, pattern and enum too.
    """
    problems = list(_problems(shape, value, ""))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise Refusal("ValidationException", count + "; ".join(problems))


def received(shape: Shape | None, value: Any) -> Any:
    """A value as it came over the wire in the form of botocore's parameters: times and bytes as such."""
    match shape:
        case StructureShape() if isinstance(value, dict):
            known = {name: member for name, member in value.items() if member is not None and name in shape.members}
            return {name: received(shape.members[name], member) for name, member in known.items()}
        case ListShape() if isinstance(value, list):
            return [received(shape.member, each) for each in value]
        case MapShape() if isinstance(value, dict):
            return {key: received(shape.value, each) for key, each in value.items()}
        case Shape(type_name="timestamp"):
            return datetime.fromtimestamp(float(value), UTC)
        case Shape(type_name="blob") if isinstance(value, str):
            return base64.b64decode(value)
    return value


def sent(shape: Shape | None, value: Any) -> Any:
    """An answer as JSON takes it: only the members that its shape has, times as seconds since 1970."""
    if value is None or shape is None:
        return value
    if isinstance(shape, StructureShape):
        return {
            name: sent(member, value[name]) for name, member in shape.members.items() if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [sent(shape.member, each) for each in value]
    if isinstance(shape, MapShape):
        return {key: sent(shape.value, each) for key, each in value.items()}
    if isinstance(value, datetime):
        return value.timestamp()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


@lru_cache(maxsize=2048)
def compiled(pattern: str) -> regex.Pattern[str]:
    """A shape's pattern; some use `\\p{L}`, which the standard library does not know."""
    return regex.compile(pattern.replace(*_BEYOND_16_BITS))


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    wanted = _TYPES.get(shape.type_name)
    if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted)):
        yield _constraint(value, path, f"be of type {shape.type_name}")
        return
    if isinstance(shape, StructureShape):
        yield from _problems_of_members(shape, value, path)
        return
    yield from _problems_of_value(shape, value, path)
    if isinstance(shape, ListShape):
        for position, each in enumerate(value, 1):
            yield from _problems(shape.member, each, f"{path}.{position}.member")
    elif isinstance(shape, MapShape):
        for key, each in value.items():
            yield from _problems(shape.key, key, f"{path}.key")
            yield from _problems(shape.value, each, f"{path}.{key}.member")


def _problems_of_members(shape: StructureShape, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"Value null at '{_below(path, name)}' failed to satisfy constraint: Member must not be null"
    for name, member in value.items():
        if name in shape.members and member is not None:
            yield from _problems(shape.members[name], member, _below(path, name))


def _problems_of_value(shape: Shape, value: Any, path: str) -> Iterator[str]:
    limits = shape.metadata
    size: float | None = None
    if shape.type_name in ("string", "list", "map", "blob"):
        size, what = len(value), "length"
    elif shape.type_name in ("integer", "long", "float", "double"):
        size, what = value, "value"
    if size is not None and size > limits.get("max", size):
        yield _constraint(value, path, f"have {what} less than or equal to {limits['max']}")
    if size is not None and size < limits.get("min", size):
        yield _constraint(value, path, f"have {what} greater than or equal to {limits['min']}")
    if shape.type_name == "string":
        pattern = limits.get("pattern")
        if pattern and not compiled(pattern).fullmatch(value):
            yield _constraint(value, path, f"satisfy regular expression pattern: {pattern}")
        if limits.get("enum") and value not in limits["enum"]:
            yield _constraint(value, path, f"satisfy enum value set: [{', '.join(limits['enum'])}]")


def _constraint(value: Any, path: str, must: str) -> str:
    return f"Value '{str(value)[:_SHOWN_LETTERS]}' at '{path}' failed to satisfy constraint: Member must {must}"


def _below(path: str, name: str) -> str:
    name = name[0].lower() + name[1:]
    return f"{path}.{name}" if path else name
