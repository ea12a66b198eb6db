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
    """A workflow or an action."""
    return yaml.load(text, Loader)


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
    files = [*sorted(folder.glob("workflows/*.yml")), *sorted(folder.glob("actions/*/action.yml"))]
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


def started(repo: Repository, event: str, branch: str) -> set[str]:
    """Names of the workflows that an event on a branch starts; of a pull request it is the branch that it goes to."""
    found = set()
    for path, document in repo.workflows.items():
        if event in document["on"]:
            # A schedule is a list of times, and has no filter.
            filters = document["on"][event] if isinstance(document["on"][event], dict) else {}
            patterns = filters.get("branches", ["**"])
            if any(pattern_of(each).fullmatch(branch) for each in patterns):
                found.add(path.rpartition("/")[2].removesuffix(".yml"))
    return found


def pattern_of(branches: str) -> re.Pattern[str]:
    """A pattern of a filter as a regular expression: `*` stays inside a part of a name, `**` does not."""
    parts = re.split(r"(\*\*|\*)", branches)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts))
