"""actionlint over the composite actions, none of whose steps it reads by itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from mlops.errors import Failure
from mlops.workflows.documents import Document, Repository


def findings(repo: Repository, root: Path) -> str:
    """What it finds, with shellcheck over their scripts; empty when it has nothing to say against them."""
    found = []
    for path, action in repo.actions.items():
        if action["runs"].get("using") == "composite":
            text = yaml.safe_dump(as_workflow(action), sort_keys=False, width=10_000)
            options = ["-oneline", "-shellcheck", tool("shellcheck"), "-stdin-filename", path, "-"]
            done = subprocess.run(
                [tool("actionlint"), *options], cwd=root, input=text, capture_output=True, text=True, check=False
            )
            found.append((done.stdout + done.stderr).strip() if done.returncode else "")
    return "\n".join(filter(None, found))


def tool(name: str) -> str:
    """The path of a linter: beside this Python, or on PATH."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise Failure(f"{name} is not installed: the dependency group quality has it, uv sync installs it")
    return found


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
