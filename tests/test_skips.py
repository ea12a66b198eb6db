"""A test is skipped only for what is really missing on the machine: otherwise the run fails."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SKIPPED = {
    "terraform": "terraform is missing: infra/ is not tested",
    "registry": "npm's registry is missing: no such host",
    "library": "parliament is missing: uv sync brings it",
    "whim": "not today",
}
TESTS = f"""
import pytest

@pytest.fixture(scope="session")
def tool(): pytest.skip("{SKIPPED["terraform"]}")

def test_terraform(tool): pass
def test_terraform_again(tool): pass
def test_registry(): pytest.skip("{SKIPPED["registry"]}")
def test_library(): pytest.skip("{SKIPPED["library"]}")
@pytest.mark.skip(reason="{SKIPPED["whim"]}")
def test_whim(): pass
@pytest.mark.skipif(True, reason="{SKIPPED["whim"]}")
def test_condition(): pass
def test_import(): pytest.importorskip("no_such_library")
@pytest.mark.xfail
def test_expected(): assert False
"""
NEVER = {"test_library", "test_whim", "test_condition", "test_import"}
FOR_TOOLS = {"test_terraform", "test_terraform_again", "test_registry"}


@pytest.mark.parametrize(("tools", "failing"), [((), NEVER), (("terraform", "npm"), NEVER | FOR_TOOLS)])
def test_what_is_there_is_not_skipped(
    template_root: Path, template_folder: Path, tmp_path: Path, tools: tuple[str, ...], failing: set[str]
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in tools:
        (programs / tool).write_text("#!/bin/sh\nexit 0\n")
        (programs / tool).chmod(0o755)
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    found = [template_root / "tests", template_root / "tests" / "workflows", template_folder, template_folder / "src"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-rA", "test_some.py"],
        cwd=tmp_path, env={**os.environ, "PATH": str(programs), "PYTHONPATH": os.pathsep.join(map(str, found))},
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert set(re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE)) == failing
    assert ("terraform is there, so that this has to be tested" in done.stdout) == bool(tools)
    assert "1 xfailed" in done.stdout
