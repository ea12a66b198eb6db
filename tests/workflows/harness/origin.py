"""The repository on GitHub's side: a bare git repository, and a desk at which people commit and merge."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from harness.documents import parsed

Edit = str | Callable[[str], str] | None
How = Literal["merge", "squash", "rebase"]

CLEAN = {
    **{name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
}


def git(folder: Path, *arguments: str, author: str = "mira") -> str:
    """Run git without this machine's settings and return what it printed."""
    who = ("-c", f"user.name={author}", "-c", f"user.email={author}@example.invalid")
    command = ["git", *who, "-c", "commit.gpgsign=false", *arguments]
    done = subprocess.run(command, cwd=folder, env=CLEAN, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


class Origin:
    """The repository that workflows check out, and what people do to its branches."""

    def __init__(self, folder: Path, source: Path) -> None:
        """Make it from a local repository with all of its branches."""
        self.bare = folder / "origin.git"
        self.desk = folder / "desk"
        git(folder, "clone", "-q", "--bare", "--no-hardlinks", str(source), str(self.bare))
        # A workflow checks a commit out by its hash, as actions/checkout does.
        git(self.bare, "config", "uploadpack.allowAnySHA1InWant", "true")
        git(folder, "clone", "-q", str(self.bare), str(self.desk))

    def head(self, ref: str) -> str:
        """The commit of a branch or another ref."""
        return git(self.bare, "rev-parse", "--verify", f"{ref}^{{commit}}")

    def has(self, branch: str) -> bool:
        """Whether a branch exists."""
        return bool(git(self.bare, "for-each-ref", f"refs/heads/{branch}"))

    def contains(self, commit: str, earlier: str) -> bool:
        """Whether a commit is made on top of an earlier one."""
        return git(self.bare, "merge-base", commit, earlier) == earlier

    def branches(self) -> list[str]:
        """The names of all branches."""
        return git(self.bare, "for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()

    def changed(self, before: str, after: str) -> tuple[str, ...]:
        """The paths in which two commits differ."""
        return tuple(git(self.bare, "diff", "--name-only", before, after).splitlines())

    def commit(
        self, branch: str, edits: Mapping[str, Edit], message: str, start: str = "main", author: str = "mira"
    ) -> str:
        """Commit edits to a branch, which starts at another one when it is new; nobody is told.

        Args:
            branch: the branch.
            edits: by path, the new text, a function of the old text, or None to remove the file.
            message: the commit's message.
            start: where a new branch starts.
            author: who commits.
        """
        self._check_out(branch, branch if self.has(branch) else start)
        for path, edit in edits.items():
            file = self.desk / path
            if edit is None:
                file.unlink()
                continue
            old = file.read_text(encoding="utf-8") if file.exists() else ""
            new = edit(old) if callable(edit) else edit
            if new == old and file.exists():
                raise ValueError(f"the edit of {path} changes nothing")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(new, encoding="utf-8")
        git(self.desk, "add", "-A", *edits)
        git(self.desk, "commit", "-q", "--allow-empty", "-m", message, author=author)
        return self._push(branch)

    def merge(self, source: str, into: str, how: How = "merge", message: str | None = None) -> str:
        """Merge a ref into a branch as the button on GitHub does."""
        self._check_out(into, into)
        tip = git(self.desk, "rev-parse", f"origin/{source}")
        text = message or f"Merge {source} into {into}"
        if how == "merge":
            git(self.desk, "merge", "-q", "--no-ff", "-m", text, tip)
        elif how == "squash":
            git(self.desk, "merge", "-q", "--squash", tip)
            git(self.desk, "commit", "-q", "-m", text)
        else:
            git(self.desk, "checkout", "-q", "--detach", tip)
            # GitHub's rebase makes new commits even when it could go forward.
            git(self.desk, "rebase", "-q", "--force-rebase", f"origin/{into}")
            git(self.desk, "checkout", "-q", "-B", into, "HEAD")
        return self._push(into)

    def rebase(self, branch: str, onto: str, resolved: Mapping[str, Edit]) -> str:
        """Rebase a branch and push it by force; its one commit conflicts, and the edits of what git has left solve it.

        Raises:
            ValueError: nothing conflicts.
        """
        self._check_out(branch, branch)
        try:
            git(self.desk, "rebase", "-q", f"origin/{onto}")
        except RuntimeError:
            for path, edit in resolved.items():
                file = self.desk / path
                text = file.read_text(encoding="utf-8")
                file.write_text(edit(text) if callable(edit) else str(edit), encoding="utf-8")
            git(self.desk, "add", *resolved)
            git(self.desk, "-c", "core.editor=true", "rebase", "--continue")
            return self._push(branch)
        raise ValueError(f"{branch} does not conflict with {onto}")

    def revert(self, branch: str, commit: str) -> str:
        """Take a commit back on a branch."""
        self._check_out(branch, branch)
        parents = git(self.desk, "rev-list", "--parents", "-n", "1", commit).split()[1:]
        git(self.desk, "revert", "--no-edit", *(["-m", "1"] if len(parents) > 1 else []), commit)
        return self._push(branch)

    def reset(self, branch: str, commit: str) -> str:
        """Move a branch to a commit, by force."""
        git(self.bare, "update-ref", f"refs/heads/{branch}", self.head(commit))
        return self.head(branch)

    def merge_preview(self, number: int, head: str, base: str) -> str:
        """Make `refs/pull/N/merge`, what a pull request's workflows check out.

        Args:
            number: the pull request's.
            head: the commit to be merged.
            base: the branch that it goes to.
        """
        git(self.desk, "fetch", "-q", "--prune", "origin")
        git(self.desk, "checkout", "-q", "--detach", f"origin/{base}")
        git(self.desk, "merge", "-q", "--no-ff", "-m", f"Merge {head} into {base}", head)
        git(self.desk, "push", "-q", "--force", "origin", f"HEAD:refs/pull/{number}/merge")
        git(self.desk, "push", "-q", "--force", "origin", f"{head}:refs/pull/{number}/head")
        return self.head(f"refs/pull/{number}/merge")

    def file(self, ref: str, path: str) -> str:
        """The text of a file in a commit."""
        return git(self.bare, "show", f"{ref}:{path}")

    def blob(self, ref: str, path: str) -> tuple[str, bytes] | None:
        """Hash and bytes of a file in a commit; None when it has none there."""
        entry = git(self.bare, "ls-tree", ref, "--", path).split()
        return (entry[2], (self.file(ref, path) + "\n").encode()) if entry else None

    def tree(self, tree: str) -> list[dict[str, str]]:
        """What lies in a folder, by the hash of it or of a commit."""
        lines = git(self.bare, "ls-tree", tree).splitlines()
        return [dict(zip(("mode", "type", "sha", "path"), line.split(None, 3), strict=True)) for line in lines]

    def documents(self, ref: str, folder: Path) -> dict[str, dict[str, Any]]:
        """The YAML files of a folder in a commit, by their names."""
        paths = map(Path, git(self.bare, "ls-tree", "--name-only", ref, f"{folder}/").splitlines())
        return {
            path.name: parsed(self.file(ref, str(path)), path.name)
            for path in paths
            if path.suffix in (".yml", ".yaml")
        }

    def _check_out(self, branch: str, start: str) -> None:
        git(self.desk, "fetch", "-q", "--prune", "origin")
        git(self.desk, "checkout", "-q", "--force", "-B", branch, f"origin/{start}")

    def _push(self, branch: str) -> str:
        git(self.desk, "push", "-q", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return self.head(branch)
