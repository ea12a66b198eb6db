"""What git says of a repository reaches the reader; of a commit that is not there it says nothing."""

import subprocess
from pathlib import Path

import pytest

from mlops import git
from mlops.errors import BadInput, Failure


def test_a_folder_without_a_repository_is_not_called_one_without_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(Failure, match="not a git repository"):
        git.commit_of(tmp_path, "HEAD")


def test_a_commit_that_is_not_there_is_named(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for revision in ("HEAD", "0" * 40, "--all", ""):
        with pytest.raises(BadInput, match=f"commit is '{revision}'"):
            git.commit_of(tmp_path, revision)
