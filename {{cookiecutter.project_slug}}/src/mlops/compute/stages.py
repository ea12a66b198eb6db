"""A stage of the pipeline as a process on this machine, under the contract of SageMaker's containers."""

import os
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import IO

from mlops.compute import container, imports, pipeline
from mlops.errors import Failure
from mlops.settings.project import Settings

LAST_LINES = 10

STANDARD_ERROR = 2
"""Its file descriptor."""


def run_locally(settings: Settings, stage: str, quiet: bool = False, aside: bool = False) -> str:
    """Run a stage's script here; what dvc.yaml calls.

    The output folder begins empty, as in a job. The script's own output passes through.

    Args:
        settings: of the project, in whose folder the data is.
        stage: name of a stage in dvc.yaml.
        quiet: keep the script's output to ourselves.
        aside: what it prints goes to standard error, since standard output is for JSON.

    Returns:
        The folder that it has filled, from the project's.

    Raises:
        BadInput: there is no such stage, or it imports a module that its deps do not name.
        Failure: an input is missing, or the script ends with an error; with its exit code and last lines.
    """
    root = settings.root
    wanted = pipeline.named(pipeline.read(settings), stage)
    imports.refuse_undeclared(wanted, settings.package, root)
    for path in wanted.inputs:
        if not (root / path).exists():
            raise Failure(
                f"{stage}: input {path} is not there; `dvc pull` fetches it, or the stage that makes it runs first"
            )
    trains = stage in settings.stages and settings.stages[stage].job == "training"
    variables = container.local_environment(wanted, root, trains)
    for folder in {variables["SM_MODEL_DIR"], variables["SM_OUTPUT_DATA_DIR"]}:
        emptied(Path(folder))
    script = f"{settings.package}/{stage}.py"
    command = [sys.executable, script, *container.command_line(wanted.arguments)]
    code, lines = execute(command, root / "src", variables, quiet, aside)
    if code:
        said = "".join(f"\n  {line}" for line in lines) if quiet else f": {lines[-1].strip()}" if lines else ""
        raise Failure(f"{stage}: src/{script} ended with exit code {code}{said}")
    return wanted.output


def emptied(folder: Path) -> None:
    """Make a folder that is there and empty. A link into DVC's cache is replaced, not followed."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def execute(
    command: list[str], folder: Path, variables: dict[str, str], quiet: bool, aside: bool = False
) -> tuple[int, list[str]]:
    """Run a command to its end; what it prints passes through, aside to standard error, unless it is to be quiet.

    Returns:
        Its exit code and the last lines of its standard error.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SM_")}
    lines: deque[str] = deque(maxlen=LAST_LINES)
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**inherited, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else STANDARD_ERROR if aside else None,
        stderr=subprocess.PIPE,
    )
    try:
        pass_on(process.stderr, lines, quiet)
        return process.wait(), list(lines)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def pass_on(stream: IO[bytes] | None, lines: deque[str], quiet: bool) -> None:
    """Copy what a script says on standard error to ours, line by line, and keep the last lines."""
    for line in stream or ():
        text = line.decode("utf-8", errors="replace").rstrip()
        if text:
            lines.append(text)
        if not quiet:
            sys.stderr.write(line.decode("utf-8", errors="replace"))
            sys.stderr.flush()
