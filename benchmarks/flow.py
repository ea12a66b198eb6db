"""Measures a model's whole way through the executed workflows: feature branch, dev, production, with its approval.

Beside it the same by bare commands, and, with --install, what the tests' runners leave out: each job's installation.

Example: uv run python benchmarks/flow.py --install --json flow.json
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "workflows"), str(ROOT / "{{cookiecutter.project_slug}}")]

from harness import Environment  # noqa: E402
from harness.world import World, bake  # noqa: E402

UV = os.environ.get("UV", "uv")
INSTALLED = {
    "check": (3, "model pipeline jobs sandbox quality"),
    "train": (2, "pipeline jobs"),
    "copy, approve, deploy": (4, ""),
}
"""The jobs of the whole way: how many there are of a kind, and the dependency groups that each of them installs."""


def opened(folder: Path) -> World:
    """A project on GitHub and its accounts, after its first push."""
    rules = {
        "dev": Environment(branches=("dev", "main")),
        "prod": Environment(branches=("main",)),
        "prod-approval": Environment(reviewers=("ines",), branches=("main",)),
    }
    world = World(folder, bake(ROOT, folder), rules)
    for branch in ("main", "dev"):
        for run in world.github.pushed(branch):
            ended(run, "success")
    return world


def penalty(value: float, text: str) -> str:
    """params.yaml with another penalty, which makes another model."""
    lines = (f"  C: {value}" if line.strip().startswith("C:") else line for line in text.splitlines())
    return "\n".join(lines) + "\n"


def through_workflows(world: World) -> Iterator[tuple[str, float]]:
    """Seconds of each step of the way, as people would see them but for the installations."""
    github, origin = world.github, world.github.origin
    start = time.perf_counter()
    [run] = github.commit("feature/measured", {"params.yaml": lambda text: penalty(0.5, text)}, start="dev")
    ended(run, "success")
    yield "feature push", time.perf_counter() - start

    start, before = time.perf_counter(), origin.head("dev")
    origin.merge("feature/measured", "dev")
    [run] = github.pushed("dev", before)
    ended(run, "success")
    yield "merge to dev", time.perf_counter() - start

    start, before = time.perf_counter(), origin.head("main")
    origin.merge("dev", "main")
    [run] = github.pushed("main", before)
    ended(run, "waiting")
    yield "merge to main, until it waits", time.perf_counter() - start

    start = time.perf_counter()
    ended(github.approve(run, "prod-approval", by="ines", comment="measured"), "success")
    yield "approval, until it serves", time.perf_counter() - start


def ended(run: Any, conclusion: str) -> None:
    """Hold a run against how it has to end."""
    if run.conclusion != conclusion:
        sys.exit(run.told())


def by_commands(world: World) -> Iterator[tuple[str, float]]:
    """Seconds of each command of the same way, for another model, at a desk."""
    desk = world.folder / "desk-of-commands"
    git(world.folder, "clone", "-q", str(world.project), str(desk))
    parameters, settings = desk / "params.yaml", desk / "mlops.yaml"
    parameters.write_text(penalty(0.7, parameters.read_text(encoding="utf-8")), encoding="utf-8")
    settings.write_text(settings.read_text(encoding="utf-8").replace("aws: account", "aws: sandbox"), encoding="utf-8")
    git(desk, "commit", "-q", "-a", "-m", "Another penalty")
    for words in (
        "run --env feature",
        "register --env feature",
        "promote --to dev",
        "deploy --env dev",
        "verify --env dev",
        "promote --to prod",
        "approve --env prod --by ines --reason measured",
        "deploy --env prod",
        "verify --env prod",
    ):
        start = time.perf_counter()
        world.as_administrator("mlops", *words.split(), folder=desk)
        yield words, time.perf_counter() - start


def git(folder: Path, *arguments: str) -> None:
    """Run git as somebody."""
    who = ["-c", "user.name=measure", "-c", "user.email=measure@example.invalid"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def installations(world: World) -> Iterator[tuple[str, float]]:
    """Seconds that the jobs of each kind take together to install what they need, from a warm package cache."""
    project = world.folder / "installed"
    shutil.copytree(world.project, project)
    clean = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run([UV, "lock", "-q"], cwd=project, env=clean, check=True)
    for kind, (jobs, groups) in INSTALLED.items():
        command = [UV, "sync", "-q", "--locked", "--no-default-groups", *(f"--group={each}" for each in groups.split())]
        seconds = []
        for _ in range(2):  # the first may have to download
            shutil.rmtree(project / ".venv", ignore_errors=True)
            start = time.perf_counter()
            subprocess.run(command, cwd=project, env=clean, check=True)
            seconds.append(time.perf_counter() - start)
        yield f"install, {jobs} jobs: {kind}", jobs * seconds[-1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure a model's way through the workflows")
    parser.add_argument("--runs", type=int, default=1, help="worlds that are made; each takes about three minutes")
    parser.add_argument("--install", action="store_true", help="measure the installations too")
    parser.add_argument("--json", type=Path, help="keep every run in this file")
    given = parser.parse_args()

    found: dict[str, list[float]] = {}
    for _ in range(given.runs):
        folder = Path(tempfile.mkdtemp(prefix="flow-"))
        world = opened(folder)
        try:
            parts = [("workflows", through_workflows(world)), ("commands", by_commands(world))]
            parts += [("apart", installations(world))] if given.install else []
            for part, steps in parts:
                seconds = dict(steps)
                for name, value in {**seconds, "together": sum(seconds.values())}.items():
                    found.setdefault(f"{part}: {name}", []).append(value)
        finally:
            world.stop()
            shutil.rmtree(folder, ignore_errors=True)
    for name, values in found.items():
        print(f"{name:<60} {statistics.median(values):8.2f} s   of {len(values)}")
    if given.json:
        rows = [{"name": name, "unit": "s", "values": values} for name, values in found.items()]
        given.json.write_text(json.dumps(rows, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
