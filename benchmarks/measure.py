"""Measures how long a newcomer waits: generation, first prediction, demo, and the commands used most.

Example: uv run python benchmarks/measure.py --runs 5 --json figures.json
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SLUG = "tumour-classifier"
UV = os.environ.get("UV", "uv")


@dataclass(frozen=True)
class Figure:
    """What was measured, in which unit, and each run's value."""

    name: str
    unit: str
    values: list[float]

    @property
    def median(self) -> float:
        """The value that half of the runs stay below."""
        return statistics.median(self.values)


def run(folder: Path, *command: str, **settings: str) -> None:
    """Run a command in a folder; end with what it printed when it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"} | settings
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def timed(action: Callable[[], None]) -> float:
    """Seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def generate(**settings: str) -> Path:
    """Make a project in a new folder."""
    folder = Path(tempfile.mkdtemp(prefix="measure-"))
    run(folder, sys.executable, "-m", "cookiecutter", str(ROOT), "--no-input", "--default-config", **settings)
    return folder / SLUG


def remove(project: Path) -> None:
    """Remove a project and the folder it was made in."""
    shutil.rmtree(project.parent, ignore_errors=True)


def generated(runs: int, name: str, **settings: str) -> Figure:
    """How long generation takes."""
    values = []
    for _ in range(runs):
        start = time.perf_counter()
        project = generate(**settings)
        values.append(time.perf_counter() - start)
        remove(project)
    return Figure(name, "s", values)


def first_prediction(runs: int, cold: bool = False) -> Figure:
    """From an empty folder to a registered model and an answer of its endpoint; cold: every package is downloaded."""
    values = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as empty:
            cache = {"UV_CACHE_DIR": empty} if cold else {}
            start = time.perf_counter()
            project = generate(**cache)
            predict_first(project, **cache)
            values.append(time.perf_counter() - start)
            remove(project)
    return Figure(f"first prediction{', cold' if cold else ''}", "s", values)


def predict_first(project: Path, **settings: str) -> None:
    """Train and register a model, deploy it to dev and ask its endpoint once."""
    steps = (
        ("run", "--env", "feature"),
        ("register", "--env", "feature"),
        ("promote", "--to", "dev"),
        ("deploy", "--env", "dev"),
        ("predict", "request.csv", "--env", "dev"),
    )
    script = " && ".join(" ".join(("mlops", *step)) for step in steps)
    header, *rows = (project / "data" / "raw" / "wisconsin.csv").read_text(encoding="utf-8").splitlines()
    columns = [place for place, name in enumerate(header.split(",")) if name not in ("id", "diagnosis")]
    request = [",".join(line.split(",")[place] for place in columns) for line in (header, rows[0])]
    (project / "request.csv").write_text("\n".join(request) + "\n", encoding="utf-8")
    run(project, UV, "run", "mlops", "sandbox", "run", "--", "sh", "-c", script, **settings)


def commands(runs: int) -> list[Figure]:
    """How long the commands take that people run every day, in one project."""
    project = generate()
    mlops = str(project / ".venv" / "bin" / "mlops")
    dvc = (str(project / ".venv" / "bin" / "dvc"), "repro")
    path = f"{project / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    daily = {
        "help": (mlops, "--help"),
        "nothing changed": dvc,
        "demo": (mlops, "demo"),
    }
    run(project, *dvc, PATH=path)
    figures = []
    for name, command in daily.items():
        values = [timed(lambda command=command: run(project, *command, PATH=path)) for _ in range(runs)]  # type: ignore[misc]
        figures.append(Figure(name, "s", values))
    figures.append(stage(project, runs))
    remove(project)
    return figures


def stage(project: Path, runs: int) -> Figure:
    """What `mlops run train` takes here beyond the bare script."""
    python, values = str(project / ".venv" / "bin" / "python"), []
    with tempfile.TemporaryDirectory() as model:
        folders = {"SM_CHANNEL_PREPARED": str(project / "data" / "prepared"), "SM_MODEL_DIR": model, "PYTHONPATH": "."}
        script = f"{SLUG.replace('-', '_')}/train.py"
        for _ in range(runs):
            whole = timed(lambda: run(project, python, "-m", "mlops", "run", "train"))
            values.append(whole - timed(lambda: run(project / "src", python, script, **folders)))
    return Figure("stage", "s", values)


def installed() -> Figure:
    """Megabytes of what the machinery itself needs."""
    project = generate(MLOPS_TEMPLATE_OFFLINE="1")
    run(project, UV, "sync", "--no-default-groups", "--no-install-project")
    size = sum(file.stat().st_size for file in (project / ".venv").rglob("*") if file.is_file())
    remove(project)
    return Figure("install", "MB", [size / 1e6])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="also with an empty package cache, in each run")
    parser.add_argument("--json", type=Path, help="keep every run in this file")
    given = parser.parse_args()

    figures = [
        generated(given.runs, "generate, files", MLOPS_TEMPLATE_OFFLINE="1"),
        generated(given.runs, "generate, all"),
        first_prediction(given.runs),
        *([first_prediction(given.runs, cold=True)] if given.cold else []),
        *commands(given.runs),
        installed(),
    ]
    for figure in figures:
        print(f"{figure.name:<22} {figure.median:8.2f} {figure.unit}   of {len(figure.values)}")
    if given.json:
        rows = [{"name": figure.name, "unit": figure.unit, "values": figure.values} for figure in figures]
        given.json.write_text(json.dumps(rows, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
