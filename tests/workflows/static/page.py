"""What docs/workflows.md tells of the inputs and outputs of the building blocks."""

import re
from collections.abc import Iterator

from mlops.workflows.documents import Repository


def broken(repo: Repository, page: str) -> Iterator[str]:
    """Every input and output of the building blocks that the page does not tell, and the other way round."""
    rows = re.findall(r"^\| `([\w-]+)` \| (input|output) \| `([\w-]+)` \| (.*) \|$", page, re.MULTILINE)
    told = {(name, kind, each) for name, kind, each, _ in rows}
    defaults = {(name, each): without(text) for name, kind, each, text in rows if kind == "input"}
    there = set()
    for path, document in repo.documents.items():
        called = document if path in repo.actions else (document["on"].get("workflow_call") or {})
        name = path.split("/")[-2] if path in repo.actions else path.rpartition("/")[2].removesuffix(".yml")
        there |= {(name, kind, each) for kind in ("input", "output") for each in called.get(f"{kind}s") or {}}
        for each, declared in (called.get("inputs") or {}).items():
            given = None
            if "default" in declared:
                given = "false" if declared["default"] is False else str(declared["default"])
            if (said := defaults.get((name, each))) != given:
                yield f"{name}: without {each} it is {given!r}, told is {said!r}"
    yield from (f"{' '.join(each)} is not told" for each in sorted(there - told))
    yield from (f"{' '.join(each)} is told and not there" for each in sorted(told - there))


def without(text: str) -> str | None:
    """What the page says that an input is when it is not given; None when it has to be given."""
    found = re.search(r"(?:`([\w-]+)`|(none)) when not given", text)
    return None if found is None else found[1] or ""
