"""A copy of the project with a sandbox of its own, in a folder that goes away: nothing of the user's is touched."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mlops.errors import BadInput, Failure
from mlops.laptop import sandbox
from mlops.settings import project as settings
from mlops.settings.project import FILE, Settings

HOURS = re.compile(r"(?<=[\s{,])hours: [0-9.]+")

IDENTITY = ["-c", "user.name=demo", "-c", "user.email=demo@example.invalid", "-c", "commit.gpgsign=false"]


@contextmanager
def playground(project: Settings, time_scale: float) -> Iterator[Settings]:
    """A clone of the project's last commit, with `main` and `dev`, pointed at a sandbox that runs until the end.

    Every command in it holds only the rights of the role that a workflow would hold.

    Args:
        project: the project to copy.
        time_scale: how many of the service's seconds pass in one of ours while a rollout waits.

    Raises:
        BadInput: the project is no git repository with a commit.
        Failure: the sandbox does not start.
    """
    before = dict(os.environ)
    folder = Path(tempfile.mkdtemp(prefix=f"{project.project}-demo-"))
    process = None
    try:
        root = clone(project, folder / project.project)
        for name in [name for name in os.environ if name.startswith(("AWS_", "GITHUB_"))]:
            del os.environ[name]
        os.environ["MLOPS_SANDBOX_STATE"] = str(folder / "sandbox")
        copy = settings.load(root)
        process = sandbox.start(copy, time_scale, warm=True)
        server = sandbox.running(sandbox.folder(copy))
        if server is None:
            raise Failure("the sandbox ended as soon as it had started")
        os.environ.update(sandbox.environment(copy, server.url))
        yield copy
    finally:
        with uninterrupted():
            if process is not None:
                sandbox.stop(process)
            os.environ.clear()
            os.environ.update(before)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Finish what is within, however often Ctrl-C is pressed: what is tidied up half stays for ever."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def clone(project: Settings, target: Path) -> Path:
    """Clone the last commit with its data, settled on the sandbox and on the branches `main` and `dev`."""
    head = subprocess.run(
        ["git", "-C", project.root, "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, check=False
    )
    if head.returncode:
        raise BadInput(f"{project.root} has no commit; git init, git add -A and git commit make one")
    git(project.root, "clone", "--quiet", "--no-hardlinks", str(project.root), str(target))
    raw = project.root / "data" / "raw"
    if raw.is_dir():
        shutil.copytree(raw, target / "data" / "raw", dirs_exist_ok=True)
    git(target, "checkout", "--quiet", "-B", "main", head.stdout.strip())
    file = target / FILE
    text = file.read_text(encoding="utf-8")
    # Hours that a challenger has to serve are real ones, also here.
    tried = HOURS.sub("hours: 0", text.replace("aws: account", "aws: sandbox"))
    if tried != text:
        file.write_text(tried, encoding="utf-8")
        commit(target, "Try it on the sandbox")
    git(target, "branch", "--force", "dev")
    return target


def git(root: Path, *arguments: str) -> str:
    """Run git in a folder and give what it printed.

    Raises:
        Failure: git ends with an error.
    """
    done = subprocess.run(["git", *IDENTITY, *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"git {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


def commit(root: Path, message: str) -> None:
    """Commit every change of tracked files."""
    git(root, "commit", "--quiet", "--no-verify", "--all", "--message", message)


def edit(root: Path, path: str, old: str, new: str) -> None:
    """Replace a text that stands in a file once, or add one at its end when no text to replace is given.

    Raises:
        BadInput: the file does not hold the text.
    """
    file = root / path
    text = file.read_text(encoding="utf-8")
    if not old:
        file.write_text(text.rstrip("\n") + "\n\n\n" + new, encoding="utf-8")
    elif text.count(old) == 1:
        file.write_text(text.replace(old, new), encoding="utf-8")
    else:
        raise BadInput(f"{path} does not hold {old!r} once: the demo changes that line to make its models")


def change(root: Path, environment: str, *, endpoint: dict[str, Any] | None = None, **of_it: Any) -> None:
    """Change the endpoint of an environment in mlops.yaml, as a whole or some fields of it."""
    file = root / FILE
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    (found,) = [each for each in content["environments"] if each["name"] == environment]
    found["endpoint"] = {**(found.get("endpoint") or {}), **of_it} if endpoint is None else endpoint
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
