"""What the demo changes in its copy of a project, and what it leaves out where the settings do not have it."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from mlops import cli
from mlops.laptop import clients, demo, epilogue, playground
from mlops.laptop.narration import Narrator
from mlops.settings import project as settings
from mlops.settings.serving import Batch, Endpoint, Shadow

OURS = Path(__file__).parents[1] / "project"


def test_a_change_of_one_endpoint_leaves_the_other_settings_as_they_were(tmp_path: Path) -> None:
    shutil.copy(OURS / "mlops.yaml", tmp_path)
    before = settings.load(tmp_path)

    playground.change(tmp_path, "prod", rollout={**epilogue.SHADOW})
    playground.change(tmp_path, "dev", endpoint={"kind": "batch"})

    feature, dev, prod = settings.load(tmp_path).environments
    assert feature == before.environments[0]
    assert (dev.endpoint, dev.account) == (Batch(kind="batch"), before.environments[1].account)
    assert isinstance(prod.endpoint, Endpoint)
    assert isinstance(prod.endpoint.rollout, Shadow)
    assert prod.endpoint.model_copy(update={"rollout": before.environments[2].endpoint.rollout}) == (  # type: ignore[union-attr]
        before.environments[2].endpoint
    )


@pytest.mark.parametrize(
    ("endpoint", "can"),
    [
        (Endpoint(), True),
        (Endpoint(instance_type="ml.inf1.xlarge"), False),
        (Endpoint(autoscaling={"min": 1, "max": 2, "invocations_per_instance": 60}), False),
        (Batch(kind="batch"), False),
        (None, False),
    ],
)
def test_a_shadow_is_shown_where_sagemaker_puts_one(endpoint: Any, can: bool) -> None:
    prod = settings.load(OURS).environments[-1].model_copy(update={"endpoint": endpoint})

    assert epilogue.can_have_a_shadow(prod) is can


def test_the_clients_ask_with_the_rows_of_the_contract_in_turn() -> None:
    template = Path(__file__).parents[3] / "{{cookiecutter.project_slug}}"

    heading, *rows = clients.requests(template, rows=5).splitlines()

    assert heading.startswith("mean_radius,")
    assert rows[0] != rows[1]
    assert rows == [rows[0], rows[1], rows[0], rows[1], rows[0]]


def one_command(project: settings.Settings, narrator: Narrator) -> None:
    """A story of one command."""
    with narrator.chapter("groups", "The model groups"):
        narrator.mlops("groups", "create")


def test_ctrl_c_in_a_command_stops_the_demo_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(playground, "clone", lambda project, target: OURS)
    monkeypatch.setattr(playground.sandbox, "start", lambda *arguments, **named: None)
    server = type("Server", (), {"url": "http://127.0.0.1:1"})
    monkeypatch.setattr(playground.sandbox, "running", lambda folder: server)
    monkeypatch.setattr(playground.sandbox, "environment", lambda project, url: {})
    monkeypatch.setattr(demo, "story", one_command)
    monkeypatch.setattr(cli, "execute", lambda arguments: 130)

    assert demo.tell(settings.load(OURS), as_json=False) == 130

    assert capsys.readouterr().err.startswith("✗ stopped; nothing is left running")
    assert list(tmp_path.iterdir()) == []


def test_what_is_tidied_up_is_not_interrupted() -> None:
    before = signal.getsignal(signal.SIGINT)

    with playground.uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)

    assert signal.getsignal(signal.SIGINT) is before
