"""The switch: a running project goes from basic to advanced and back, and loses no version."""

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from mlops.contest import switch
from mlops.hosting import deployment
from mlops.registry import approval, groups, history, status
from mlops.registry.packages import listing
from mlops.settings import project as settings
from mlops.settings.project import Environment

pytestmark = pytest.mark.slow


class Scenarios:
    """A project whose settings change: its sandbox then starts anew on the same state, with other roles."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, tools: Any) -> None:
        self.root, self.monkeypatch, self.tools = root, monkeypatch, tools
        self.running = ExitStack()

    def now(self, scenario: str) -> Any:
        """The project in a scenario."""
        first = not (self.root / "state").exists()
        self.running.close()
        text = re.sub(r"scenario: \w+", f"scenario: {scenario}", (self.root / "mlops.yaml").read_text())
        (self.root / "mlops.yaml").write_text(text)
        server = self.running.enter_context(self.tools.served(self.root))
        self.tools.point_at(self.monkeypatch, server)
        project = settings.load(self.root)
        if first:
            groups.create(project)
        return self.tools.World(server, project, self.tools.trainer(server.url))


@pytest.fixture
def worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry_tools: Any) -> Iterator[Scenarios]:
    """Gives the project in one scenario after the other."""
    root = Path(shutil.copytree(registry_tools.OURS, tmp_path / "project"))
    scenarios = Scenarios(root, monkeypatch, registry_tools)
    with scenarios.running:
        yield scenarios


@contextmanager
def asking(world: Any, environment: Environment) -> Iterator[list[str]]:
    """A client without retries that asks all the time; what failed is in the list."""
    stopped, failures, answered = threading.Event(), [], []
    runtime = world.client(environment, "sagemaker-runtime")

    def ask() -> None:
        while not stopped.is_set():
            try:
                runtime.invoke_endpoint(EndpointName=environment.endpoint_name, Body=b"1,2", ContentType="text/csv")
                answered.append(1)
            except (ClientError, BotoCoreError) as error:
                failures.append(str(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield failures
    finally:
        stopped.set()
        thread.join()
        assert answered


def told(world: Any) -> set[tuple[str, int, str]]:
    return {(each.group, each.version, each.what) for each in history.history(world.settings)}


def registry_shows(world: Any, group: str, version: int) -> dict[str, Any]:
    """The model card of a version, and what its data are held against."""
    arn = f"arn:aws:sagemaker:eu-west-1:{world.prod.account}:model-package/{group}/{version}"
    found = world.client(world.prod).describe_model_package(ModelPackageName=arn)
    card = found.get("ModelCard", {})
    about = {"ModelCard": card.get("ModelCardContent"), "ModelMetrics": found.get("ModelMetrics")}
    return {key: value for key, value in about.items() if value}


def test_a_running_project_goes_to_advanced_and_back_without_losing_a_version(worlds: Scenarios) -> None:
    basic = worlds.now("basic")
    for label in ("first", "second"):
        basic.approved(label)
        deployment.deploy(basic.settings, basic.prod, basic.progress)
    basic.approved("first")
    before, shown = told(basic), registry_shows(basic, "churn-prod", 2)
    assert set(shown) == {"ModelCard", "ModelMetrics"}

    advanced = worlds.now("advanced")
    groups.create(advanced.settings)
    with asking(advanced, advanced.prod) as failures:
        moved = switch.switch(advanced.settings, advanced.prod, advanced.progress)
    assert failures == []
    assert moved is not None
    assert (moved.endpoint, moved.version) == ("churn-prod", 2)
    assert registry_shows(advanced, "churn-prod-champion", 2) == shown
    (waits,) = [line for line in advanced.said if "has not come to serve" in line]
    assert waits.startswith(
        "churn-prod version 3 is Approved and has not come to serve, so it stays there: mlops promote"
    )
    assert advanced.answer(advanced.prod) == "second"
    assert switch.switch(advanced.settings, advanced.prod, advanced.progress) is None
    rows = {row.group: row for row in status.status(advanced.settings)}
    assert (rows["churn-prod-champion"].serving, rows["churn-prod-champion"].status) == (2, "Approved")
    assert before < told(advanced)
    # What served before the switch can still be rolled back to after it.
    assert deployment.rollback(advanced.settings, advanced.prod, advanced.progress).version == 1
    assert advanced.answer(advanced.prod) == "first"
    challenger = advanced.prod.contender("challenger")
    advanced.promote(advanced.in_dev("third").fingerprint, advanced.prod)
    for contender in (challenger, advanced.prod):
        approval.approve(advanced.settings, contender, by="ines", why="good")
        deployment.deploy(advanced.settings, contender, advanced.progress)
    between = told(advanced)

    again = worlds.now("basic")
    groups.create(again.settings)
    moved = switch.switch(again.settings, again.prod, again.progress)

    assert moved is not None
    assert again.answer(again.prod) == "third"
    assert between < told(again)
    assert [each.version for each in listing(again.session(again.prod), "churn-prod")] == [5, 4, 3, 2, 1]
    assert deployment.rollback(again.settings, again.prod, again.progress).version == 4
    assert again.answer(again.prod) == "first"
    assert switch.left_behind(again.settings, again.prod) == "churn-prod-challenger"


def test_a_switch_that_was_killed_is_carried_on(worlds: Scenarios, monkeypatch: pytest.MonkeyPatch) -> None:
    basic = worlds.now("basic")
    for label in ("first", "second"):
        basic.approved(label)
        deployment.deploy(basic.settings, basic.prod, basic.progress)
    advanced = worlds.now("advanced")
    groups.create(advanced.settings)
    with monkeypatch.context() as patch:
        patch.setattr(switch, "decided", killed)
        with pytest.raises(KeyboardInterrupt):
            switch.switch(advanced.settings, advanced.prod, advanced.progress)

    moved = switch.switch(advanced.settings, advanced.prod, advanced.progress)

    assert moved is not None
    assert moved.version == 2
    found = listing(advanced.session(advanced.prod), "churn-prod-champion")
    assert [(each.version, each.status) for each in found] == [(2, "Approved"), (1, "Approved")]


def killed(*given: Any) -> Any:
    raise KeyboardInterrupt
