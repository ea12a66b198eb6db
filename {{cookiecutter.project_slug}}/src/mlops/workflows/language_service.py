"""GitHub's own language service over the workflows: `python -m mlops.workflows.language_service`.

npm has it, and nothing else has: the first run downloads it into .mlops, which git leaves out, and needs Node.js.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from mlops.errors import Failure
from mlops.workflows.foreign import ACTIONS

INSTALL = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--no-save"]
SECONDS = 120


def install(folder: Path) -> None:
    """Put the service into a folder, unless it is there in this version.

    Raises:
        Failure: there is no npm, or it can not download.
    """
    ours = Path(__file__).with_name("languageservice")
    there = folder / "package.json"
    wanted = (ours / "package.json").read_text(encoding="utf-8")
    if (folder / "node_modules").is_dir() and there.is_file() and there.read_text(encoding="utf-8") == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ours, folder)
    try:
        subprocess.run(
            INSTALL, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        said = str(getattr(error, "stderr", None) or error).strip()
        raise Failure(f"npm cannot install GitHub's language service, which needs Node.js: {said}") from error


def findings(root: Path, folder: Path) -> str:
    """What the service, installed in `folder`, finds in the repository at `root`; empty when it finds nothing."""
    inputs = folder / "inputs.json"
    known = {f"{name}@{action.sha}": action.inputs for name, action in ACTIONS.items()}
    inputs.write_text(json.dumps(known), encoding="utf-8")
    command = ["node", "--import", "./json.mjs", "check.mjs", str(root), str(inputs)]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return (done.stdout + (done.stderr if done.returncode else "")).strip()


def main() -> int:
    """Look at the repository in the current folder."""
    root = Path.cwd()
    folder = root / ".mlops" / "languageservice"
    try:
        install(folder)
    except Failure as failure:
        print(f"✗ {failure}", file=sys.stderr)
        return 1
    found = findings(root, folder)
    if found:
        print(found)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
