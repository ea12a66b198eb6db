"""What git knows of the project: commits, the objects in them, and what is not committed."""

import os
import subprocess
from pathlib import Path

from mlops.errors import BadInput, Failure

ELSEWHERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}
"""Set while git runs a hook; they would point our calls at the hook's repository instead of the folder we name."""


def git(root: Path, *arguments: str) -> str:
    """Run git in a folder and return what it printed.

    Raises:
        Failure: git is not there or ends with an error.
    """
    return output(root, *arguments).decode("utf-8", errors="surrogateescape")


def output(root: Path, *arguments: str) -> bytes:
    """What git printed, as bytes; see `git`."""
    variables = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    command = ["git", "-C", str(root), "-c", "core.quotePath=false", *arguments]
    try:
        done = subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise Failure("git is not installed; install it and run the command again") from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
        raise Failure(f"git {arguments[0]} in {root}: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout


def commit_of(root: Path, revision: str) -> str:
    """The full hash of the commit that a branch, tag or shortened hash names.

    Raises:
        BadInput: the repository has no such commit.
    """
    try:
        return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
    except Failure as error:
        # Of a missing commit git says nothing; what it does say is of the repository.
        if "exit code" not in str(error):
            raise
        raise BadInput(f"commit is {revision!r}; the repository in {root} has no such commit") from error


def branch(root: Path) -> str:
    """The branch that is worked on; in a workflow, where git has none checked out, the one that GitHub names."""
    named = os.environ.get("GITHUB_HEAD_REF") or os.environ.get("GITHUB_REF_NAME")
    if os.environ.get("GITHUB_ACTIONS") == "true" and named:
        return named
    return git(root, "rev-parse", "--abbrev-ref", "HEAD").strip()


def objects(root: Path, commit: str, paths: list[str]) -> dict[str, str]:
    """Mode, kind and hash of the files and folders that a commit has at some paths; a missing path is left out."""
    entries = git(root, "ls-tree", "-z", commit, "--", *paths).split("\0")
    found = (entry.partition("\t") for entry in entries if entry)
    return {path: description for description, _, path in found}


def files(root: Path, commit: str, folder: str) -> dict[str, str]:
    """Hash of every file that a commit has in a folder and below it, by path."""
    entries = git(root, "ls-tree", "-r", "-z", commit, "--", folder).split("\0")
    found = (entry.partition("\t") for entry in entries if entry)
    return {path: description.split(" ")[2] for description, _, path in found}


def content(root: Path, commit: str, path: str) -> bytes:
    """A file as a commit has it.

    Raises:
        BadInput: the commit has no such file.
    """
    try:
        return output(root, "cat-file", "blob", f"{commit}:./{path}")
    except Failure as error:
        raise BadInput(f"{path} is not in commit {commit[:12]}; add it and commit") from error


def uncommitted(root: Path, paths: list[str]) -> list[str]:
    """The files at some paths that differ from the last commit, new ones too."""
    entries = iter(git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--", *paths).split("\0"))
    found = []
    for entry in entries:
        if entry:
            found.append(entry[3:])
            if entry[0] in "RC":
                next(entries)  # the name that it had before
    return found


def archive(root: Path, commit: str) -> bytes:
    """All files of a commit as a tar archive."""
    return output(root, "archive", "--format=tar", commit)
