"""Hides the packages that the job did not install; the interpreter of the tests has them all."""

import json
import os
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path


class NotInstalled(MetaPathFinder):
    """Finds nothing, and says so for a package that is hidden."""

    def __init__(self, names):
        self.names = frozenset(names)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names and path is None:
            raise ModuleNotFoundError(f"No module named {name!r} (its dependency group was not installed)", name=name)


if file := os.environ.get("HARNESS_INSTALLED"):
    sys.meta_path.insert(0, NotInstalled(json.loads(Path(file).read_text(encoding="utf-8"))["modules"]))
