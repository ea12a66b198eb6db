"""The two commands of the README, and the script that runs the second one on a bare machine."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PYTHON = """#!{sh}
echo "python $*" >> "$RECORD"
uv() {{
  mkdir -p "$1"
  printf '#!{sh}\\necho "uv $*" >> "$RECORD"\\n' > "$1/uv"
  chmod +x "$1/uv"
}}
case "$MACHINE:$*" in
  venv:"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  venv:"-m pip install --quiet uv") uv "${{0%/*}}" ;;
  target:"-m pip install --quiet --target "*) uv "$6/bin" ;;
  refused:"-m pip install --quiet --break-system-packages --target "*) uv "$7/bin" ;;
  *) echo "error: externally-managed-environment" >&2; exit 1 ;;
esac
"""


@pytest.fixture(scope="module")
def commands(template_root: Path) -> list[str]:
    """The README's shell commands, a string for each block."""
    readme = (template_root / "README.md").read_text(encoding="utf-8")
    return [block.strip() for block in re.findall(r"```(?:bash|sh|console)\n(.*?)```", readme, re.DOTALL)]


def test_the_first_command_is_one_line_that_ends_in_a_finished_demo(commands: list[str]) -> None:
    assert "\n" not in commands[0]
    assert "uvx cookiecutter . --no-input" in commands[0]
    assert commands[0].endswith("uv run mlops demo")


def test_ci_runs_the_second_command_and_nothing_after_it(commands: list[str], template_root: Path) -> None:
    script = (template_root / ".ci" / "run").read_text()

    assert commands[1] == "uv run pytest"
    assert script.rstrip().splitlines()[-1] == commands[1]
    assert os.access(template_root / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("machine", ["venv", "target", "refused"])
def test_ci_gets_uv_where_python_makes_no_environment_and_pip_refuses(
    template_root: Path, tmp_path: Path, machine: str
) -> None:
    programs, record = tmp_path / "bin", tmp_path / "record"
    programs.mkdir()
    for tool in ("bash", "sh", "dirname", "mktemp", "rm", "mkdir", "cp", "chmod"):
        (programs / tool).symlink_to(str(shutil.which(tool)))
    (programs / "python3").write_text(PYTHON.format(sh=shutil.which("sh")))
    (programs / "python3").chmod(0o755)
    script = tmp_path / "clone" / ".ci" / "run"
    script.parent.mkdir(parents=True)
    shutil.copy(template_root / ".ci" / "run", script)

    subprocess.run(
        [str(programs / "bash"), str(script)], check=True, cwd=tmp_path, stdin=subprocess.DEVNULL,
        env={"PATH": str(programs), "RECORD": str(record), "MACHINE": machine, "TMPDIR": str(tmp_path)},
    )  # fmt: skip

    assert record.read_text().splitlines()[-1] == "uv run pytest"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("tmp")] == []


def test_ci_fails_when_the_tests_fail(template_root: Path, tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\nexit 7\n")
    uv.chmod(0o755)
    script = tmp_path / "clone" / ".ci" / "run"
    script.parent.mkdir(parents=True)
    shutil.copy(template_root / ".ci" / "run", script)

    done = subprocess.run([str(script)], env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})

    assert done.returncode == 7
