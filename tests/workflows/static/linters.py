"""The public linters, each run offline over a folder that holds `.github`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from static.documents import Document, Repository
from static.foreign import ACTIONS


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


def composites(folder: Path, repo: Repository) -> str:
    """actionlint over the actions, each rewritten as the workflow that it would be: it reads none of their steps."""
    found = []
    for path, action in repo.actions.items():
        text = yaml.safe_dump(as_workflow(action), sort_keys=False, width=10_000)
        shellcheck = tool("shellcheck")
        arguments = ["-oneline", "-shellcheck", shellcheck, "-stdin-filename", path, "-"]
        found.append(run("actionlint", *arguments, folder=folder, text=text))
    return "\n".join(filter(None, found))


def as_workflow(action: Document) -> Document:
    """A composite action as a reusable workflow with one job, whose inputs are strings, as an action's are."""
    inputs = {
        name: {"type": "string", "required": declared.get("required", False)}
        for name, declared in (action.get("inputs") or {}).items()
    }
    outputs = {name: declared["value"] for name, declared in (action.get("outputs") or {}).items()}
    job = {"runs-on": "ubuntu-latest", "outputs": outputs, "steps": action["runs"]["steps"]}
    handed_on = {name: {"value": f"${{{{ jobs.action.outputs.{name} }}}}"} for name in outputs}
    # An empty section is an error of its own to actionlint.
    called = {key: given for key, given in {"inputs": inputs, "outputs": handed_on}.items() if given}
    job = {key: given for key, given in job.items() if given}
    return {"name": action["name"], "on": {"workflow_call": called}, "jobs": {"action": job}}


def zizmor(folder: Path) -> str:
    """zizmor as its strictest persona."""
    arguments = ["--offline", "--persona", "auditor", "--strict-collection", "--format", "plain", "--quiet", "."]
    return run("zizmor", *arguments, folder=folder)


def dependabot(folder: Path) -> str:
    """Dependabot's own schema over its file."""
    return run("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml", folder=folder)


def language_service(folder: Path, installed: Path) -> str:
    """GitHub's own language service, from the folder where npm has put it."""
    inputs = installed / "inputs.json"
    inputs.write_text(json.dumps({name: action.inputs for name, action in ACTIONS.items()}), encoding="utf-8")
    command = ["node", "--import", "./json.mjs", "check.mjs", str(folder), str(inputs)]
    done = subprocess.run(command, cwd=installed, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return (done.stdout + (done.stderr if done.returncode else "")).strip()
