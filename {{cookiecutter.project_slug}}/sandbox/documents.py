"""What the sandbox remembers: JSON documents by kind, account and region, kept in one file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any

Document = dict[str, Any]
Table = dict[str, Document]


def now() -> datetime:
    """The time in UTC, with its zone, as botocore returns it."""
    return datetime.now(UTC)


class Documents:
    """Tables of documents, saved in the state folder.

    Who reads and then writes holds `lock` in between; who changes a document in place says so with `changed()`.
    Members whose names begin with `_` are the sandbox's own and never leave it.

    Args:
        file: the JSON file to keep them in; read at once when it exists.
    """

    def __init__(self, file: Path) -> None:
        self.lock = RLock()
        self._file = file
        self._unsaved = False
        self._tables: dict[str, Table] = {}
        if file.exists():
            self._tables = json.loads(file.read_text(), object_hook=_restored)

    def table(self, kind: str, account: str, region: str) -> Table:
        """The documents of one kind in one account and region, by name; an empty table when there are none."""
        with self.lock:
            return self._tables.setdefault(f"{kind} {account} {region}", {})

    def everywhere(self, kind: str) -> list[tuple[str, str, Table]]:
        """All tables of one kind as (account, region, table)."""
        with self.lock:
            keys = [(key.split(" "), table) for key, table in self._tables.items()]
            return [(key[1], key[2], table) for key, table in keys if key[0] == kind]

    def changed(self) -> None:
        """Say that a document changed, so that the next save writes it."""
        self._unsaved = True

    def save(self, always: bool = False) -> None:
        """Write the file when something changed; a reader sees the old file or the new one, never half of it."""
        with self.lock:
            if not (self._unsaved or always):
                return
            text = json.dumps(self._tables, default=_stored)
            self._unsaved = False
        beside = self._file.with_suffix(".new")
        beside.write_text(text)
        beside.replace(self._file)


def public(document: Document) -> Document:
    """A copy of a document without the members that are the sandbox's own."""
    return {name: value for name, value in document.items() if not name.startswith("_")}


def _stored(value: object) -> object:
    if isinstance(value, datetime):
        return {"$time": value.isoformat()}
    raise TypeError(f"a document can not hold a {type(value).__name__}")


def _restored(value: Document) -> Any:
    return datetime.fromisoformat(value["$time"]) if value.keys() == {"$time"} else value
