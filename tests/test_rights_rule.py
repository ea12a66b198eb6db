"""A run of all tests, and no other, fails when roles have asked for something else than tests/rights.txt says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SETTINGS = """
project: churn
region: eu-west-1
environments: [{name: feature, account: "111111111111"}, {name: dev, account: "111111111111", endpoint: {}}]
"""
TESTS = """
import json, os, pathlib, pytest, rights

HERE = pathlib.Path(__file__).parent
ARN = "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/churn-dev"

def asks(*actions):
    file = rights.noted(HERE / "mlops.yaml")[1]
    lines = [json.dumps({"role": "arn:aws:iam::111111111111:role/churn-dev-deploy", "action": f"sagemaker:{each}",
                         "resource": ARN, "context": {}, "allowed": True}) for each in actions]
    pathlib.Path(file).write_text("\\n".join(lines))

def test_deployment():
    asks("UpdateEndpoint", *os.environ["ALSO"].split())

def test_tool():
    if "WITHOUT_TOOL" in os.environ:
        pytest.skip("terraform is missing: infra/ is not tested")
    asks("DescribeEndpoint")
"""
KEPT = """deploy sagemaker:DescribeEndpoint endpoint/OWN
deploy sagemaker:InvokeEndpoint endpoint/OWN  # now and then
deploy sagemaker:UpdateEndpoint endpoint/OWN
"""
LESS = KEPT.replace("  # now and then", "")
LISTED = "import pathlib, rights\nrights.LIST = pathlib.Path(__file__).with_name('rights.txt')\n"


@pytest.mark.parametrize(
    ("listed", "also", "options", "without_tool", "told", "fails"),
    [
        (KEPT, "", [], False, "", False),
        (KEPT, "InvokeEndpoint", [], False, "", False),
        (KEPT, "DeleteEndpoint", [], False, "not in rights.txt: deploy sagemaker:DeleteEndpoint endpoint/OWN", True),
        (KEPT, "DeleteEndpoint", ["-k", "deployment"], False, "not in rights.txt: deploy", False),
        (KEPT, "DeleteEndpoint", ["test_some.py"], False, "not in rights.txt: deploy", False),
        (LESS, "", [], False, "nothing asks for it: deploy sagemaker:InvokeEndpoint endpoint/OWN", True),
        (LESS, "", ["--deselect", "test_some.py::test_tool"], False, "", False),
        (LESS, "", [], True, "", False),
    ],
)
def test_a_difference_fails_a_run_of_all_tests_alone(
    template_root: Path, template_folder: Path, tmp_path: Path,
    listed: str, also: str, options: list[str], without_tool: bool, told: str, fails: bool,
) -> None:  # fmt: skip
    for name, text in (("test_some.py", TESTS), ("mlops.yaml", SETTINGS), ("rights.txt", listed), ("listed.py", LISTED),
                       ("pytest.ini", "[pytest]\ntestpaths = .\n")):  # fmt: skip
        (tmp_path / name).write_text(text)
    tests = template_root / "tests"
    found = [tmp_path, tests, tests / "workflows", template_folder, template_folder / "src"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, found)), "ALSO": also, "PATH": str(tmp_path)}
    if without_tool:
        environment["WITHOUT_TOOL"] = "1"

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "listed", "-p", "no:cacheprovider", *options],
        cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == (pytest.ExitCode.TESTS_FAILED if fails else pytest.ExitCode.OK), done.stdout
    assert ("rights.txt" in done.stdout) == bool(told), done.stdout
    assert told in done.stdout
    assert (tmp_path / "rights.txt").read_text() == listed
