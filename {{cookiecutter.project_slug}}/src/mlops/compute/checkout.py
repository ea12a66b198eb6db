"""A commit's files in a folder of their own, where nothing of the work tree plays a part."""

import io
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops import git
from mlops.errors import BadInput
from mlops.settings import project as settings
from mlops.settings.project import Settings

FOLDER = Path(".mlops") / "checkouts"

STALE_SECONDS = 24 * 3600
"""A run that was killed leaves its folder behind; the next one removes those older than this."""


@contextmanager
def checkout(project: Settings, commit: str) -> Iterator[Settings]:
    """The settings of a project as a commit has them, in a clean folder that goes away at the end.

    Args:
        project: whose repository it is.
        commit: full hash.

    Raises:
        BadInput: the commit has no settings, or they are not allowed.
    """
    with files_of(project, commit) as folder:
        # Not `load`, which would find the work tree's settings above this folder.
        if not (folder / settings.FILE).is_file():
            raise BadInput(f"{settings.FILE} is not in commit {commit[:12]}; add it and commit")
        yield settings.read(folder / settings.FILE)


@contextmanager
def files_of(project: Settings, commit: str) -> Iterator[Path]:
    """The files of a commit, in a clean folder that goes away at the end.

    Args:
        project: whose repository it is.
        commit: full hash.
    """
    home = project.root / FOLDER
    home.mkdir(parents=True, exist_ok=True)
    remove_stale(home)
    folder = Path(tempfile.mkdtemp(prefix=f"{commit}-", dir=home))
    try:
        with tarfile.open(fileobj=io.BytesIO(git.archive(project.root, commit))) as files:
            files.extractall(folder, filter="data")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale(home: Path) -> None:
    """Remove what runs that were killed have left."""
    for folder in home.iterdir():
        if folder.is_dir() and time.time() - folder.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
