"""Hides the packages that the job did not install; the interpreter of the tests has them all."""

import importlib.metadata
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


def without(names, find):
    """The distributions that a finder finds, without hidden ones: their plugins would be loaded by name."""

    def find_distributions(*context):
        return (found for found in find(*context) if found.metadata["Name"] not in names)

    return find_distributions


if file := os.environ.get("HARNESS_INSTALLED"):
    hidden = json.loads(Path(file).read_text(encoding="utf-8"))
    finder = importlib.metadata.MetadataPathFinder
    finder.find_distributions = without(frozenset(hidden["distributions"]), finder.find_distributions)
    sys.meta_path.insert(0, NotInstalled(hidden["modules"]))
