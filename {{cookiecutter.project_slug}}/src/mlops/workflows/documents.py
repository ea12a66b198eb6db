"""The workflows and actions of a repository, as GitHub reads them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]

SELF = "$/"
"""How a workflow addresses its own repository, at the commit that it is of itself."""


class Loader(yaml.SafeLoader):
    """YAML 1.2 as GitHub reads it: `on` is a word, and only true and false are booleans."""


Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def load(text: str) -> Document:
    """A workflow or an action, each thing that has a short form in its long one."""
    document: Document = yaml.load(text, Loader)
    if isinstance(events := document.get("on"), str | list):
        document["on"] = dict.fromkeys([events] if isinstance(events, str) else events)
    for job in document.get("jobs", {}).values():
        for key, name in (("environment", "name"), ("concurrency", "group")):
            if isinstance(job.get(key), str):
                job[key] = {name: job[key]}
    return document


@dataclass(frozen=True)
class Repository:
    """The workflows and actions of a repository, by their path inside it."""

    texts: dict[str, str]
    documents: dict[str, Document]
    found: dict[int, Any] = field(default_factory=dict, compare=False)
    """What has been worked out of parts of the documents, by their identity."""

    @property
    def workflows(self) -> dict[str, Document]:
        """Its workflows, by their path."""
        return {path: each for path, each in self.documents.items() if "/workflows/" in path}

    @property
    def actions(self) -> dict[str, Document]:
        """Its composite actions, by their path."""
        return {path: each for path, each in self.documents.items() if "/actions/" in path}

    def called(self, uses: str) -> Document | None:
        """The workflow or action of its own that `uses` names."""
        path = uses.removeprefix(SELF)
        return self.documents.get(path) or self.documents.get(f"{path}/action.yml")

    def touched(self, path: str) -> set[str]:
        """A file and those that use it, also by way of others: what may be otherwise when it is."""
        name = SELF + path.removesuffix("/action.yml")
        users = {
            each for each, text in self.texts.items() if re.search(rf"uses: {re.escape(name)}$", text, re.MULTILINE)
        }
        return {path}.union(*(self.touched(each) for each in users))


def repository(root: Path) -> Repository:
    """Read the workflows and actions of a repository."""
    folder = root / ".github"
    files = [*sorted(folder.glob("workflows/*.y*ml")), *sorted(folder.glob("actions/*/action.yml"))]
    texts = {file.relative_to(root).as_posix(): file.read_text(encoding="utf-8") for file in files}
    return Repository(texts, {path: load(text) for path, text in texts.items()})


def every_step(document: Document) -> Iterator[Document]:
    """The steps of a workflow's jobs, or of an action."""
    holders = document["jobs"].values() if "jobs" in document else [document["runs"]]
    for holder in holders:
        yield from holder.get("steps", [])


def every(node: Any, key: str) -> Iterator[str]:
    """Every value of a key, at any depth."""
    if isinstance(node, dict):
        if isinstance(node.get(key), str):
            yield node[key]
        for value in node.values():
            yield from every(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from every(value, key)
