"""The public linters, each run offline over a folder that holds `.github`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def tool(name: str) -> str:
    """The path of a linter: beside this Python, or on PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is not installed; the development dependencies have it"
    return found


def run(name: str, *arguments: str, folder: Path, text: str | None = None) -> str:
    """What a linter finds; empty when it has nothing to say against it."""
    places = [str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {**os.environ, "PATH": os.pathsep.join(places), "NO_COLOR": "1"}
    given = {"input": text} if text is not None else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(
        [tool(name), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, **given
    )
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip() or f"exit code {done.returncode}"


def actionlint(folder: Path) -> str:
    """actionlint over workflows, with shellcheck over their scripts; what they call is found beside `.git`."""
    (folder / ".git").mkdir(exist_ok=True)
    return run("actionlint", "-oneline", "-shellcheck", tool("shellcheck"), folder=folder)


def zizmor(folder: Path) -> str:
    """zizmor as its strictest persona."""
    arguments = ["--offline", "--persona", "auditor", "--strict-collection", "--format", "plain", "--quiet", "."]
    return run("zizmor", *arguments, folder=folder)


def dependabot(folder: Path) -> str:
    """Dependabot's own schema over its file."""
    return run("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml", folder=folder)
