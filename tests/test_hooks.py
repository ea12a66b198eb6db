"""The hook that finishes a project: what it does, does again, and says when it can not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

TOOLS = ("git", "sh", "touch", "cat", "env")


@dataclass(frozen=True)
class Made:
    """A project as the hook left it, and what was printed."""

    path: Path
    printed: str

    def git(self, *arguments: str) -> str:
        """What git prints in the project."""
        done = subprocess.run(["git", *arguments], cwd=self.path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    @property
    def finish(self) -> str:
        """The command that the hook says finishes the project."""
        return re.findall(r"finish it with: (.*)", self.printed)[0]


@dataclass(frozen=True)
class Machine:
    """A computer with few programs on its PATH, on which projects are made."""

    template: Path
    folder: Path
    capfd: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    @property
    def programs(self) -> Path:
        """The only folder on PATH."""
        return self.folder / "bin"

    def remove(self, program: str) -> None:
        """Take a program away."""
        (self.programs / program).unlink()

    def install_uv(self, script: str) -> None:
        """Put a uv there that does what a script says."""
        program = self.programs / "uv"
        program.write_text(f"#!{shutil.which('sh')}\n{script}\n")
        program.chmod(0o755)

    def make(self, again: bool = False, **answers: str) -> Made:
        """Run cookiecutter."""
        path = cookiecutter(
            str(self.template), no_input=True, extra_context=answers, output_dir=str(self.folder),
            overwrite_if_exists=again, default_config=True,
        )  # fmt: skip
        captured = self.capfd.readouterr()
        return Made(Path(path), captured.out + captured.err)


@pytest.fixture
def machine(
    template_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Machine:
    """A machine with git, whose git knows nobody, and without uv."""
    found = {tool: shutil.which(tool) for tool in TOOLS}
    made = Machine(template_root, tmp_path, capfd, monkeypatch)
    made.programs.mkdir()
    for tool, program in found.items():
        assert program is not None, f"the tests need {tool}"
        (made.programs / tool).symlink_to(program)
    monkeypatch.setenv("PATH", str(made.programs))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.delenv("UV", raising=False)
    return made


WORKING_UV = 'case "$1" in sync|lock) touch uv.lock;; run) echo \'[{"name": "tumour-classifier-feature"}]\';; esac'


def test_all_is_done_where_all_is_there(machine: Machine) -> None:
    machine.install_uv(WORKING_UV)

    made = machine.make()

    assert "not done" not in made.printed
    assert made.git("branch", "--format", "%(refname:short)").split() == ["dev", "main"]
    assert made.git("rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert made.git("rev-parse", "dev") == made.git("rev-parse", "main")
    assert made.git("rev-list", "--count", "--all") == "1"
    assert made.git("status", "--porcelain") == ""
    assert {"uv.lock", "data/raw.dvc", ".dvc/config", "mlops.yaml"} <= set(made.git("ls-files").splitlines())
    assert "model groups in the sandbox: tumour-classifier-feature" in made.printed


def test_the_first_commit_is_the_authors_where_git_knows_nobody(machine: Machine) -> None:
    made = machine.make(author_name="Ørsted's team", author_email="team@example.org")

    assert made.git("log", "-1", "--format=%an <%ae>") == "Ørsted's team <team@example.org>"
    assert "user" not in made.git("config", "--local", "--list")


def test_the_first_commit_is_the_users_where_git_knows_them(machine: Machine) -> None:
    machine.patch.setenv("GIT_CONFIG_GLOBAL", str(machine.folder / "gitconfig"))
    (machine.folder / "gitconfig").write_text("[user]\n name = Somebody\n email = somebody@example.net\n")

    assert machine.make().git("log", "-1", "--format=%an <%ae>") == "Somebody <somebody@example.net>"


def test_without_git_the_project_is_whole_and_the_command_is_told(machine: Machine) -> None:
    git = (machine.programs / "git").readlink()
    machine.remove("git")
    machine.install_uv(WORKING_UV)
    made = machine.make(model_groups="later")

    assert not (made.path / ".git").exists()
    assert "there is no git repository (git is not installed)" in made.printed

    (machine.programs / "git").symlink_to(git)
    person = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    steps = made.finish.split(" && ")[1:]
    assert steps[0] == "git init -q -b main"
    for step in steps:
        subprocess.run(["sh", "-c", step.replace("git ", f"git {' '.join(person)} ", 1)], cwd=made.path, check=True)
    assert made.git("status", "--porcelain") == ""
    assert made.git("branch", "--format", "%(refname:short)").split() == ["dev", "main"]


def test_without_uv_everything_else_is_done(machine: Machine) -> None:
    made = machine.make()

    assert "the dependencies are not locked (uv is not installed: pip install uv)" in made.printed
    assert "the model groups are not made (it needs the dependencies)" in made.printed
    assert made.git("status", "--porcelain") == ""
    assert (made.path / "data" / "raw.dvc").is_file()


def test_the_finishing_command_puts_the_lock_file_into_the_first_commit(machine: Machine) -> None:
    made = machine.make()
    machine.install_uv(WORKING_UV)
    machine.patch.setenv("GIT_COMMITTER_NAME", "a")
    machine.patch.setenv("GIT_COMMITTER_EMAIL", "a@example.com")

    subprocess.run(["sh", "-c", made.finish], cwd=made.path.parent, check=True)

    assert "uv.lock" in made.git("ls-files").splitlines()
    assert made.git("rev-list", "--count", "--all") == "1"
    assert made.git("rev-parse", "dev") == made.git("rev-parse", "main")


def test_without_network_the_reason_is_uvs_own(machine: Machine) -> None:
    uv = os.environ.get("UV") or shutil.which("uv", path=os.defpath + ":/usr/local/bin")
    if uv is None:
        machine.install_uv("echo 'error: Failed to fetch: https://pypi.org/simple/boto3/' >&2; exit 2")
    else:
        (machine.programs / "uv").symlink_to(uv)
    machine.patch.setenv("UV_OFFLINE", "1")
    machine.patch.setenv("UV_CACHE_DIR", str(machine.folder / "empty-cache"))
    machine.patch.setenv("UV_PYTHON", sys.executable)

    made = machine.make()

    assert re.search(r"the dependencies are not locked \(.+\)", made.printed)
    assert "finish it with: cd tumour-classifier && uv sync" in made.printed
    assert made.git("status", "--porcelain") == ""


def test_what_the_package_cache_holds_is_not_asked_of_the_network_again(machine: Machine) -> None:
    machine.install_uv('case "$1 $2" in "sync --offline") touch uv.lock;; *) exit 9;; esac')

    assert "from this computer's package cache" in machine.make().printed


def test_a_lock_that_the_package_cache_only_began_is_made_anew_from_the_index(machine: Machine) -> None:
    machine.install_uv(
        """case "$1 $2" in
        "sync --offline") echo old > uv.lock; echo "error: no wheel in the cache" >&2; exit 1;;
        "sync ") if [ -e uv.lock ]; then exit 9; fi; echo new > uv.lock;;
        run*) echo '[{"name": "tumour-classifier-feature"}]';;
        esac"""
    )

    made = machine.make()

    assert "not done" not in made.printed
    assert "package cache" not in made.printed
    assert (made.path / "uv.lock").read_text() == "new\n"


@pytest.mark.parametrize("reason", ["AWS: Unable to locate credentials", "CreateModelPackageGroup: AccessDenied"])
def test_when_aws_refuses_the_project_stays_and_the_reason_is_told(machine: Machine, reason: str) -> None:
    machine.install_uv(f'case "$1" in sync) touch uv.lock;; run) echo "✗ {reason}" >&2; exit 1;; esac')

    made = machine.make(model_groups="aws")

    assert f"the model groups are not made (✗ {reason})" in made.printed
    assert made.finish == "cd tumour-classifier && uv run mlops groups create"
    assert made.git("status", "--porcelain") == ""


def test_who_reads_only_the_first_lines_gets_the_whole_project(machine: Machine) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    machine.install_uv(WORKING_UV)

    command = [sys.executable, "-m", "cookiecutter", str(machine.template), "--no-input", "--default-config"]
    subprocess.run([*command, "-o", str(machine.folder)], stdout=writer, check=True)

    os.close(writer)
    made = Made(machine.folder / "tumour-classifier", "")
    assert made.git("status", "--porcelain") == ""
    assert "uv.lock" in made.git("ls-files").splitlines()


def test_offline_on_request_names_what_is_left(machine: Machine) -> None:
    machine.install_uv("exit 3")
    machine.patch.setenv("MLOPS_TEMPLATE_OFFLINE", "1")

    made = machine.make()

    assert made.printed.count("MLOPS_TEMPLATE_OFFLINE is set") == 2
    assert made.git("status", "--porcelain") == ""


def test_later_makes_no_groups_and_says_how(machine: Machine) -> None:
    machine.install_uv('case "$1" in lock) touch uv.lock;; *) echo "never called with $1" >&2; exit 9;; esac')

    made = machine.make(model_groups="later")

    assert "not done" not in made.printed
    assert "uv run mlops groups create" in made.printed


def test_a_second_run_over_a_finished_project_changes_nothing(machine: Machine) -> None:
    machine.install_uv(WORKING_UV)
    first = machine.make()
    commit = first.git("rev-parse", "main")

    second = machine.make(again=True)

    assert second.git("rev-parse", "main", "dev").split() == [commit, commit]
    assert second.git("status", "--porcelain") == ""
    assert "not done" not in second.printed


def test_the_command_that_makes_the_project_again_is_printed(machine: Machine) -> None:
    made = machine.make(project_name="Zoë's model", model_groups="later")

    command = made.printed.split("The same project again:")[1].strip().splitlines()[0]
    assert command.startswith("uvx cookiecutter ")
    assert "project_slug=zoe-s-model" in command
    assert "scenario=basic" in command
    assert "__" not in command.split("--no-input")[1]


@pytest.fixture
def template_repository(template_root: Path, tmp_path: Path) -> Path:
    """This template as it is in the work tree, in a git repository of its own."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=template_root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    copy = tmp_path / "template"
    for name in filter(None, names.stdout.split("\0")):
        source = template_root / name
        if source.is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy / name)
    for command in (["init", "-q"], ["add", "-A", "-f"], ["commit", "-q", "-m", "Template"]):
        git(copy, *command)
    return copy


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody."""
    person = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
    done = subprocess.run(["git", *person, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def cruft(folder: Path, *arguments: str) -> str:
    """Run cruft and return all that it and the hooks printed."""
    done = subprocess.run(
        [sys.executable, "-m", "cruft", *arguments], cwd=folder, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, env={**os.environ, "MLOPS_TEMPLATE_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_cruft_creates_compares_and_updates_a_project(template_repository: Path, tmp_path: Path) -> None:
    created = cruft(tmp_path, "create", "--no-input", str(template_repository))
    project = tmp_path / "tumour-classifier"
    assert "git add .cruft.json" in created
    assert git(project, "status", "--porcelain") == "?? .cruft.json"
    git(project, "add", ".cruft.json")
    git(project, "commit", "-q", "-m", "Remember the template")

    compared = cruft(project, "diff", "--exit-code")
    assert "is tracked by DVC" not in compared  # the hook leaves cruft's own copies alone

    (project / "data" / "raw" / "ours.csv").write_text("our,own\n1,2\n")
    (project / "data" / "raw.dvc").write_text("outs: []\n")
    git(project, "commit", "-q", "-a", "-m", "Our own data")
    inside = template_repository / "{{cookiecutter.project_slug}}"
    for name in ("README.md", "src/mlops/__init__.py"):
        (inside / name).write_text((inside / name).read_text() + "\n# A new line\n")
    git(template_repository, "commit", "-q", "-a", "-m", "Change")
    cruft(project, "update", "--skip-apply-ask")

    assert set(git(project, "diff", "--name-only", "HEAD").splitlines()) == {
        ".cruft.json", "README.md", "src/mlops/__init__.py",
    }  # fmt: skip
    assert (project / "data" / "raw.dvc").read_text() == "outs: []\n"
    assert git(project, "rev-list", "--count", "main") == "3"

    remembered = project / ".cruft.json"
    created_so = json.loads(remembered.read_text())
    remembered.unlink()  # as in a project that cookiecutter has made
    cruft(project, "link", "--no-input", str(template_repository))
    linked = json.loads(remembered.read_text())
    assert {key: linked[key] for key in ("template", "commit")} == {
        key: created_so[key] for key in ("template", "commit")
    }
    assert linked["context"]["cookiecutter"]["project_slug"] == "tumour-classifier"
