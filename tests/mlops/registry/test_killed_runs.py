"""A command that is killed before or after any of its writes, and run again, ends as if it had not been."""

import dataclasses
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops import storage
from mlops.checks import unattended
from mlops.hosting import alarms, deployment
from mlops.registry import groups

COMMANDS_THAT_DIE = Path(__file__).parent / "killed.py"
KILLED = 9


Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def run(world: Any) -> Iterator[Run]:
    """Runs a command in a process of its own, dying at a write when one is given: its exit code, and its writes."""
    source = Path(groups.__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, str(COMMANDS_THAT_DIE)],
        env={**os.environ, "PYTHONPATH": str(source)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    asked, answers = process.stdin, process.stdout

    def run(command: str, given: dict[str, Any], write: int | None = None, when: str = "") -> tuple[int, list[str]]:
        question = {"root": str(world.settings.root), "command": command, "write": write, "when": when, **given}
        asked.write(json.dumps(question) + "\n")
        asked.flush()
        answer = json.loads(answers.readline())
        assert answer["code"] in (0, KILLED), "its error is above"
        return answer["code"], answer["sent"]

    with process:
        yield run
        asked.close()


def state_of(world: Any, fingerprint: str) -> dict[str, Any]:
    """All that a command may leave behind: versions, models, configurations, endpoints, artefacts, the manual alarm."""
    found: dict[str, Any] = {}
    for environment in world.settings.environments:
        sagemaker, name = world.client(environment), environment.name
        versions = sagemaker.list_model_packages(ModelPackageGroupName=environment.group)["ModelPackageSummaryList"]
        found[f"{name} versions"] = [
            (each["ModelPackageVersion"], each["ModelApprovalStatus"], each["ModelPackageDescription"])
            for each in versions
        ]
        found[f"{name} models"] = sorted(each["ModelName"] for each in sagemaker.list_models()["Models"])
        configs = sagemaker.list_endpoint_configs()["EndpointConfigs"]
        found[f"{name} configurations"] = sorted(each["EndpointConfigName"] for each in configs)
        for each in sagemaker.list_endpoints()["Endpoints"]:
            endpoint = sagemaker.describe_endpoint(EndpointName=each["EndpointName"])
            found[each["EndpointName"]] = (endpoint["EndpointStatus"], endpoint["EndpointConfigName"])
        for folder in ("models", "baselines"):
            uri = f"s3://{environment.bucket}/{folder}/{fingerprint}/"
            found[f"{name} {folder}"] = storage.listing(world.session(environment), uri)
        if environment.endpoint:
            found[f"{name} alarms"] = [str(each) for each in alarms.firing(world.session(environment), environment)]
    return found


def without_fingerprint(state: dict[str, Any], fingerprint: str) -> Any:
    """A state in which only what differs by nature, a run's own fingerprint, is taken out."""
    text = json.dumps(state).replace(fingerprint, "FINGERPRINT")
    return json.loads(text)


def without_contracts(world: Any) -> None:
    """Forget what earlier deployments left for the function that checks endpoints: they would write less."""
    endpoint, dev = world.dev.endpoint_name, world.dev
    storage.delete_folder(world.session(dev), f"s3://{dev.bucket}/endpoints/")
    table = f"{endpoint}-{unattended.TABLE}"
    world.client(dev, "dynamodb").delete_item(TableName=table, Key={"endpoint": {"S": endpoint}})


Prepare = Callable[[Any, str], dict[str, Any]]


def prepare_register(world: Any, fingerprint: str) -> dict[str, Any]:
    model = dataclasses.asdict(world.model("first"))
    return {"fingerprint": fingerprint, "model": model}


def prepare_promote(world: Any, fingerprint: str) -> dict[str, Any]:
    world.register("first", fingerprint)
    world.promote(fingerprint, world.dev)
    return {"fingerprint": fingerprint}


def prepare_first_deploy(world: Any, fingerprint: str) -> dict[str, Any]:
    world.register("first", fingerprint)
    world.promote(fingerprint, world.dev)
    return {}


def prepare_deploy(world: Any, fingerprint: str) -> dict[str, Any]:
    world.register("first", fingerprint)
    world.promote(fingerprint, world.dev)
    deployment.deploy(world.settings, world.dev, world.progress)
    world.in_dev("second")
    return {}


def prepare_rollback(world: Any, fingerprint: str) -> dict[str, Any]:
    world.register("first", fingerprint)
    world.promote(fingerprint, world.dev)
    deployment.deploy(world.settings, world.dev, world.progress)
    world.in_dev("second")
    deployment.deploy(world.settings, world.dev, world.progress)
    return {}


COMMANDS: dict[str, tuple[str, Prepare, int]] = {
    "register": ("register", prepare_register, 3),
    "promote": ("promote", prepare_promote, 3),
    "first deploy": ("deploy", prepare_first_deploy, 3),
    "deploy": ("deploy", prepare_deploy, 3),
    "rollback": ("rollback", prepare_rollback, 2),
}
"""By name: the command, what is there before it, and how many writes it has at least."""


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_run_is_carried_on_by_the_next(world: Any, run: Run, fresh: Callable[[], Any], name: str) -> None:
    command, prepare, least = COMMANDS[name]
    without_contracts(world)
    fingerprint = secrets.token_hex(32)
    given = prepare(world, fingerprint)
    code, recorded = run(command, given)
    assert code == 0
    expected = without_names(without_fingerprint(state_of(world, fingerprint), fingerprint))
    assert len(recorded) >= least

    for number in range(len(recorded)):
        for when in ("before", "after"):
            world = fresh()
            without_contracts(world)
            fingerprint = secrets.token_hex(32)
            given = prepare(world, fingerprint)

            killed, _ = run(command, given, number, when)
            carried_on, _ = run(command, given)

            assert (killed, carried_on) == (KILLED, 0), f"{name}: {when} {recorded[number]}"

            left = without_names(without_fingerprint(state_of(world, fingerprint), fingerprint))
            assert left == expected, f"{name}: killed {when} {recorded[number]}"


def without_names(state: Any) -> Any:
    """A state without the fingerprints of the second models, which are new in every world."""
    for key, value in state.items():
        if key.endswith("versions"):
            state[key] = [[version, status, "FINGERPRINT" in text] for version, status, text in value]
    return state
