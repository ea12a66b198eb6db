"""Baked projects for the tests, and an environment in which nobody's credentials or settings are found."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from cookiecutter.main import cookiecutter
from pytest_cookies.plugin import Cookies
from xdist.scheduler import LoadScopeScheduling

import rights

ROOT = Path(__file__).parents[1]
TEMPLATE_FOLDER = ROOT / "{{cookiecutter.project_slug}}"
KEPT = {"AWS_CA_BUNDLE"}
RIGHTS = pytest.StashKey[list[str]]()
LONGEST = ("tests/workflows", "tests/infra", "tests/test_project.py")
"""What takes longest begins, so that no process is left with it at the end."""

MIRRORS = ("TF_PLUGIN_MIRROR", "/opt/tf-plugins", "/usr/share/terraform/plugins", "~/.terraform.d/plugins")
"""Where a machine may keep Terraform's plugins, or a variable that says where."""

PROVIDER = "registry.terraform.io/hashicorp/aws"


def mirror() -> Path | None:
    """The folder from which Terraform takes the AWS provider; None when this machine has none."""
    folders = (Path(os.environ.get(name, name)).expanduser() for name in MIRRORS)
    return next((folder for folder in folders if (folder / PROVIDER).is_dir()), None)


def answers(*command: str) -> bool:
    """Whether a command succeeds: what asks a registry for a package that has long been there."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60).returncode == 0
    return False


MAY_BE_MISSING: dict[str, Callable[[], object]] = {
    "terraform": lambda: shutil.which("terraform"),
    "the AWS provider of Terraform": mirror,
    "npm's registry": lambda: answers("npm", "view", "yaml@2.0.0", "version"),
    "PyPI": lambda: answers(os.environ.get("UV", "uv"), "tool", "run", "--no-cache", "--from", "pip", "pip", "-V"),
    # It is built for Linux only.
    "awslambdaric": lambda: sys.platform == "linux",
}
"""What a test may be skipped for, and whether it is there after all: what `uv sync` installs is in no such list."""


def unfounded(reason: str) -> str:
    """What is wrong with a test's being skipped; empty when it says `<what> is missing: …`, and that is so."""
    what, _, why = reason.removeprefix("Skipped: ").partition(" is missing: ")
    if not why or what not in MAY_BE_MISSING:
        return f"a test is skipped for nothing but {', '.join(MAY_BE_MISSING)}, as '<one of these> is missing: …'"
    return f"{what} is there, so that this has to be tested" if is_there(what) else ""


@cache
def is_there(what: str) -> bool:
    """Whether something that may be missing is there."""
    return bool(MAY_BE_MISSING[what]())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what is skipped without need: a run that says nothing of it looks as if all had been tested."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if problem := unfounded(reason):
            report.outcome, report.longrepr = "failed", f"{item.nodeid}: {reason}\n{problem}"
    return report


@dataclass(frozen=True)
class BakedProject:
    """A generated project: where it is, and the answers that it was made from."""

    path: Path
    answers: dict[str, str]

    def run(self, *command: str, seconds: float = 280, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; what it printed is shown when it fails."""
        # uv run names itself in UV; it need not be on PATH.
        program = os.environ.get("UV", "uv") if command[0] == "uv" else command[0]
        done = subprocess.run(
            [program, *command[1:]], cwd=self.path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=seconds,
        )  # fmt: skip
        if check and done.returncode:
            printed = f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}\n{printed}")
        return done

    def git(self, *arguments: str) -> str:
        """What git prints in the project."""
        return self.run("git", *arguments).stdout.strip()

    def files(self) -> list[Path]:
        """Every file that is the team's, as paths inside the project."""
        tools = {".git", ".venv", ".sandbox", ".mlops", "cache"}
        inside = (path.relative_to(self.path) for path in sorted(self.path.rglob("*")) if not path.is_dir())
        return [path for path in inside if tools.isdisjoint(path.parts)]


class ByFolder(LoadScopeScheduling):
    """Keeps the tests of a folder in one process: what they share is made once a process, and takes minutes."""

    def _split_scope(self, nodeid: str) -> str:
        return part(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFolder:
    """Who gives tests to the processes."""
    return ByFolder(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest in front."""
    items.sort(key=lambda item: LONGEST.index(first) if (first := part(item.nodeid)) in LONGEST else len(LONGEST))


def part(test: str) -> str:
    """The folder of a test, or its file when it is in none: tests/mlops/registry, tests/test_hooks.py."""
    file = PurePosixPath(test.partition("::")[0])
    return str(file if file.parent.name == "tests" else file.parent)


def pytest_configure(config: pytest.Config) -> None:
    """Have the sandboxes of all processes write down what roles ask for."""
    if not hasattr(config, "workerinput"):
        os.environ[rights.FOLDER] = tempfile.mkdtemp(prefix="asked-")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Hold what roles have asked for against tests/rights.txt, once all processes are through.

    When all tests have run and passed, a difference fails the run; a part of them makes use of less.
    """
    if hasattr(session.config, "workerinput"):
        return
    folder = Path(os.environ.pop(rights.FOLDER))
    found, options = rights.recorded(folder), session.config.option
    shutil.rmtree(folder)
    everything = session.config.args_source is pytest.Config.ArgsSource.TESTPATHS
    # --last-failed comes with the cache, which may be switched off.
    chosen = options.keyword or options.markexpr or options.collectonly or options.deselect or getattr(options, "lf", 0)
    passed = everything and not chosen and exitstatus == pytest.ExitCode.OK
    # What is skipped, for a tool that is not there, would have asked for something too.
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    whole = bool(passed and not getattr(reporter, "stats", {}).get("skipped"))
    if "WRITE_RIGHTS" in os.environ:
        rights.keep(found.used if whole else found.used | rights.kept())
    session.config.stash[RIGHTS] = rights.problems(found, whole)
    if passed and session.config.stash[RIGHTS]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what the roles have asked for that is not as it is written down."""
    if problems := config.stash.get(RIGHTS, []):
        terminalreporter.section("rights: when all tests run this fails; WRITE_RIGHTS=1 writes tests/rights.txt anew")
        for problem in problems:
            terminalreporter.write_line(problem)


@pytest.fixture(scope="session", autouse=True)
def nobodys_environment() -> Iterator[pytest.MonkeyPatch]:
    """Neither AWS credentials nor settings of git, DVC, uv's run or this template reach a test from the outside."""
    foreign = ("AWS_", "GIT_", "MLOPS_", "DVC_", "COOKIECUTTER_", "UV_RUN_RECURSION_DEPTH")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(foreign) and name not in KEPT]:
            patch.delenv(name)
        patch.delenv("VIRTUAL_ENV", raising=False)
        # The processes that tests start import the same large libraries again and again: compiled once is enough.
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
        if uv := os.environ.get("UV"):  # hooks of pre-commit call it by name
            patch.setenv("PATH", f"{Path(uv).parent}{os.pathsep}{os.environ['PATH']}")
        yield patch


Bake = Callable[..., BakedProject]


@pytest.fixture(scope="session")
def bake(cookies_session: Cookies) -> Bake:
    """Bake a project from answers, without what needs the network; the same answers give the same project."""
    made: dict[tuple[tuple[str, str], ...], BakedProject] = {}

    def baked_from(**answers: str) -> BakedProject:
        key = tuple(sorted(answers.items()))
        if key not in made:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("MLOPS_TEMPLATE_OFFLINE", "1")
                result = cookies_session.bake(extra_context=answers, template=str(ROOT))
            assert result.exception is None, result.exception
            made[key] = BakedProject(result.project_path, dict(result.context))
        return made[key]

    return baked_from


@pytest.fixture(scope="session")
def bake_in_full(tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Bake a project as a user does, with all that its hooks do."""

    def baked_from(**answers: str) -> BakedProject:
        folder = tmp_path_factory.mktemp("whole")
        made = cookiecutter(
            str(ROOT), no_input=True, extra_context=answers, output_dir=str(folder), default_config=True
        )
        return BakedProject(Path(made), answers)

    return baked_from


@pytest.fixture(scope="session")
def baked(bake: Bake) -> BakedProject:
    """The project of the default answers, without what needs the network."""
    return bake()


@pytest.fixture(scope="session")
def template_root() -> Path:
    """The folder of this repository."""
    return ROOT


@pytest.fixture(scope="session")
def template_folder() -> Path:
    """The folder that becomes the project."""
    return TEMPLATE_FOLDER


@pytest.fixture(scope="session")
def terraform_program() -> str:
    """Terraform, where it is installed."""
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("terraform is missing: infra/ is not tested")
    return program


@pytest.fixture(scope="session")
def terraform_configuration(terraform_program: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that makes Terraform take the AWS provider from this machine."""
    folder = mirror()
    if folder is None:
        places = ", ".join(MIRRORS)
        pytest.skip(f"the AWS provider of Terraform is missing: no {PROVIDER} in {places}; infra/ is only formatted")
    file = tmp_path_factory.mktemp("terraform") / "terraform.rc"
    file.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{folder}"\n  }}\n}}\n')
    return file


@pytest.fixture(scope="session")
def rights_of_dispatch() -> Callable[[str, str], set[tuple[str, str]]]:
    """What the function that starts workflows may do: it is run with that alone, and Terraform gives it no more."""

    def rights(account: str, prefix: str) -> set[tuple[str, str]]:
        here = f"eu-west-1:{account}"
        secret = f"arn:aws:secretsmanager:{here}:secret:churn-github-app-??????"
        table = f"arn:aws:dynamodb:{here}:table/{prefix}-events"
        items = {(f"dynamodb:{verb}Item", table) for verb in ("Get", "Put", "Update", "Delete")}
        return {("secretsmanager:GetSecretValue", secret), *items}

    return rights


@pytest.fixture(scope="session")
def rights_of_checks() -> Callable[[str, str, list[str]], set[tuple[str, str]]]:
    """What the function that checks endpoints may do: it is run with that alone, and Terraform gives it no more."""

    def rights(account: str, prefix: str, endpoints: list[str]) -> set[tuple[str, str]]:
        here = f"eu-west-1:{account}"
        table = f"arn:aws:dynamodb:{here}:table/{prefix}-checks"
        found = {("dynamodb:GetItem", table), ("dynamodb:UpdateItem", table)}
        for endpoint in endpoints:
            found |= {
                (f"sagemaker:{action}", f"arn:aws:sagemaker:{here}:endpoint/{endpoint}")
                for action in ("DescribeEndpoint", "InvokeEndpoint")
            }
            found.add(("s3:GetObject", f"arn:aws:s3:::{prefix}-{account}/endpoints/{endpoint}/contracts/*"))
        found.add(("sns:Publish", f"arn:aws:sns:{here}:{prefix}-alarms"))
        found.add(("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{here}:secret:churn-slack-??????"))
        return found

    return rights
