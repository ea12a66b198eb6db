"""The whole life of a model, on a sandbox: from a feature branch to production and back."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_a_model_goes_from_a_branch_to_production_and_back(root):
    if not list((root / "data" / "raw").glob("*.csv")):
        pytest.skip("data/raw is not here: dvc pull gets it")
    done = subprocess.run(
        [sys.executable, "-m", "mlops", "demo", "--json"],
        cwd=root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    trace = json.loads(done.stdout)
    assert trace["ok"], trace["problem"]
    last = trace["steps"][-1]
    assert last["name"] == "registry"
    assert [command["command"] for command in last["commands"]] == ["mlops status", "mlops history"]
    assert {command["exit_code"] for command in last["commands"]} == {0}
