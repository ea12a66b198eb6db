"""Workflow files as GitHub reads them: YAML 1.2, in which `on` is a string."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


class Yaml12(yaml.SafeLoader):
    """Only true and false are booleans."""


Yaml12.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Yaml12.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def load(file: Path) -> dict[str, Any]:
    """Read a workflow, an action or any other YAML file of a repository."""
    return parsed(file.read_text(encoding="utf-8"), str(file))


def parsed(text: str, name: str) -> dict[str, Any]:
    """The mapping that a YAML text holds."""
    content = yaml.load(text, Yaml12)
    if not isinstance(content, dict):
        raise ValueError(f"{name}: holds no mapping")
    return content


def dump(document: dict[str, Any], file: Path) -> None:
    """Write a document as act reads it."""
    file.write_text(yaml.safe_dump(document, sort_keys=False, width=10**6), encoding="utf-8")


def used_actions(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every `uses` in a document with the inputs it is given."""
    if isinstance(node, dict):
        if isinstance(node.get("uses"), str):
            yield node["uses"], node.get("with") or {}
        for each in node.values():
            yield from used_actions(each)
    elif isinstance(node, list):
        for each in node:
            yield from used_actions(each)


def replaced(node: Any, pattern: re.Pattern[str], text: str) -> Any:
    """A document with a pattern replaced in all of its strings."""
    if isinstance(node, dict):
        return {key: replaced(each, pattern, text) for key, each in node.items()}
    if isinstance(node, list):
        return [replaced(each, pattern, text) for each in node]
    return pattern.sub(text, node) if isinstance(node, str) else node
