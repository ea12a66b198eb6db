"""Measures what a rollout and a rollback cost beside what SageMaker takes: calls of AWS, and own seconds.

On the sandbox, with the service's waits running 600 times as fast. A call's seconds are the sandbox's, and are taken
off; so is the time between two looks at an endpoint that is busy.

Example: uv run python benchmarks/rollouts.py --runs 3 --json rollouts.json
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
TIME_SCALE = 600
COPIES = 20
"""Requests of which a shadow has to have answered copies; a client sends them while it is measured."""

SETTINGS = """
project: churn
package: churn
region: eu-west-1
environments:
  - {name: feature, account: "111111111111"}
  - {name: dev, account: "111111111111", endpoint: {instances: 2}}
stages: {}
"""
SCRIPT = """
def model_fn(folder):
    return None

def transform_fn(model, body, content_type, accept):
    return "1", "text/csv"
"""
ROLLOUTS: dict[str, dict[str, Any]] = {
    "all at once": {"kind": "all_at_once", "bake_seconds": 300},
    "canary": {"kind": "canary", "percent": 50, "wait_seconds": 300, "bake_seconds": 300},
    "linear": {"kind": "linear", "percent": 50, "wait_seconds": 300, "bake_seconds": 300},
    "shadow": {"kind": "shadow", "requests": COPIES, "seconds": 600, "latency": 100, "bake_seconds": 300},
}


@dataclass
class Meter:
    """Counts calls, and the seconds that are not the machinery's own: of answers, and of waiting between two looks."""

    calls: list[str] = field(default_factory=list)
    elsewhere: float = 0.0
    begun: dict[int, float] = field(default_factory=dict)

    def watch(self, session: Any) -> Any:
        """Count what a session sends."""
        session.events.register("before-send", self.before)
        session.events.register("response-received", self.after)
        return session

    def before(self, event_name: str, **_: Any) -> None:
        """A request goes out."""
        self.calls.append(event_name.rpartition(".")[2])
        self.begun[0] = time.perf_counter()

    def after(self, **_: Any) -> None:
        """Its answer is there."""
        self.elsewhere += time.perf_counter() - self.begun.pop(0, time.perf_counter())


@contextmanager
def sandbox(folder: Path) -> Iterator[str]:
    """A sandbox while the block runs: its address."""
    command = [sys.executable, "-m", "sandbox", "--state", folder / "state", "--settings", folder / "mlops.yaml"]
    options = ["--time-scale", TIME_SCALE, "--parent", os.getpid()]
    process = subprocess.Popen(list(map(str, [*command, *options])), env={**os.environ, "PYTHONPATH": str(PROJECT)})
    try:
        while not (folder / "state" / "server.json").exists():
            if process.poll() is not None:
                sys.exit("the sandbox did not start")
            time.sleep(0.05)
        yield str(json.loads((folder / "state" / "server.json").read_text())["url"])
    finally:
        process.terminate()
        process.wait(timeout=30)


def register(mlops: Any, environment: Any, number: int) -> None:
    """A version of its own in the environment's group."""
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo("code/inference.py")
        entry.size = len(SCRIPT.encode())
        tar.addfile(entry, io.BytesIO(SCRIPT.encode()))
    session = mlops.aws.base(mlops.project, environment)
    fingerprint = f"{number:064x}"
    uri = f"s3://{environment.bucket}/models/{fingerprint}/model.tar.gz"
    mlops.storage.write(session, uri, buffer.getvalue())
    image = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
    mlops.packages.create(
        session,
        environment.group,
        fingerprint,
        mlops.packages.token("benchmark", fingerprint),
        ModelPackageDescription=mlops.packages.description(fingerprint, "0" * 40),
        ModelApprovalStatus="Approved",
        InferenceSpecification=mlops.packages.specification(image, uri),
    )


def measured(mlops: Any, deed: Callable[[], Any]) -> tuple[int, float, float]:
    """Calls, own seconds and all seconds of a deed."""
    clock: Any = time
    meter, opened, sleep = Meter(), mlops.aws.opened, time.sleep

    def waited(seconds: float) -> None:
        meter.elsewhere += seconds
        sleep(seconds)

    mlops.aws.opened = lambda *given, **named: meter.watch(opened(*given, **named))
    clock.sleep = waited
    start = time.perf_counter()
    try:
        deed()
    finally:
        mlops.aws.opened, clock.sleep = opened, sleep
    total = time.perf_counter() - start
    return len(meter.calls), total - meter.elsewhere, total


@contextmanager
def asking(mlops: Any, environment: Any) -> Iterator[None]:
    """A client that asks an endpoint while the block runs; what it calls and waits is not measured."""
    runtime, stopped = mlops.aws.client(mlops.aws.base(mlops.project, environment), "sagemaker-runtime"), Event()

    def ask() -> None:
        while not stopped.wait(0.02):
            runtime.invoke_endpoint(EndpointName=environment.endpoint_name, Body=b"1", ContentType="text/csv")

    client = Thread(target=ask, daemon=True)
    client.start()
    try:
        yield
    finally:
        stopped.set()
        client.join()


class Machinery:
    """The modules that are measured, and the project; imported when the sandbox is there."""

    def __init__(self, folder: Path) -> None:
        sys.path.insert(0, str(PROJECT / "src"))
        from mlops import aws, storage
        from mlops.hosting import deployment
        from mlops.registry import groups, packages
        from mlops.settings import project as settings
        from mlops.settings import serving

        self.aws, self.deployment, self.groups, self.packages = aws, deployment, groups, packages
        self.serving, self.storage, self.project = serving, storage, settings.load(folder)


def run() -> dict[str, tuple[int, float, float]]:
    """Each rollout and a rollback, once, in a sandbox of their own."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "mlops.yaml").write_text(SETTINGS, encoding="utf-8")
        with sandbox(folder) as url:
            os.environ["AWS_ENDPOINT_URL"] = url
            mlops: Any = Machinery(folder)
            mlops.groups.create(mlops.project)
            plain = mlops.project.environment("dev")
            register(mlops, plain, 1)
            mlops.deployment.deploy(mlops.project, plain, lambda line: None)
            for number, (name, given) in enumerate(ROLLOUTS.items(), start=2):
                endpoint = mlops.serving.Endpoint.model_validate({**plain.endpoint.model_dump(), "rollout": given})
                environment = plain.model_copy(update={"endpoint": endpoint})
                register(mlops, plain, number)
                deploy = partial(mlops.deployment.deploy, mlops.project, environment, print_nothing)
                with asking(mlops, environment) if name == "shadow" else nullcontext():
                    found[name] = measured(mlops, deploy)
            rollback = partial(mlops.deployment.rollback, mlops.project, plain, print_nothing)
            found["rollback"] = measured(mlops, rollback)
    return found


def print_nothing(line: str) -> None:
    """What a command says on its way is not measured."""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="keep every run in this file")
    given = parser.parse_args()
    runs = [run() for _ in range(given.runs)]
    print(f"{'':<12} {'calls':>6} {'own s':>7} {'all s':>7}   of {given.runs}, waits {TIME_SCALE} times as fast")
    for name in runs[0]:
        calls, own, total = (statistics.median(each[name][part] for each in runs) for part in range(3))
        print(f"{name:<12} {calls:>6.0f} {own:>7.2f} {total:>7.2f}")
    if given.json:
        given.json.write_text(json.dumps(runs, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
