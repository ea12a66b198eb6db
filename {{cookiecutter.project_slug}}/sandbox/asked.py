"""What roles asked for, a line each in a file: from it is told which of their rights are used, and what was refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from threading import Lock


class Asked:
    """The record that `--asked FILE` orders; what was asked before is not written again."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: set[str] = set()
        self._lock = Lock()
        file.touch()

    def note(self, role: str, action: str, resource: str, context: Mapping[str, list[str]], allowed: bool) -> None:
        """Add what a role asked for, and whether it was let.

        Args:
            role: ARN of the role.
            action: such as `s3:GetObject`.
            resource: an ARN, or `*`.
            context: the condition keys that the request itself brought.
            allowed: what the policies said.
        """
        line = json.dumps(
            {"role": role, "action": action, "resource": resource, "context": dict(context), "allowed": allowed}
        )
        with self._lock:
            if line in self._known:
                return
            self._known.add(line)
            with self._file.open("a", encoding="utf-8") as written:
                written.write(f"{line}\n")
