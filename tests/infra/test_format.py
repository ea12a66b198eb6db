"""The Terraform code as text: formatted, valid, and the same in every project."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mlops.settings import signals
from mlops.settings.existing import DUTIES
from sandbox import grants
from sandbox.project import project as sandbox_project

if TYPE_CHECKING:
    from conftest import Bake


def test_it_is_formatted(terraform_program: str, template_folder: Path) -> None:
    command = [terraform_program, "fmt", "-check", "-diff", "-recursive", str(template_folder / "infra")]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
def test_it_is_valid(initialised: Any) -> None:
    code, printed = initialised.run("validate", "-no-color")

    assert (code, printed.strip()) == (0, "Success! The configuration is valid.")


@pytest.mark.slow
def test_its_own_tests_pass(initialised: Any) -> None:
    code, printed = initialised.run("test", "-no-color")

    assert (code, "0 failed" in printed) == (0, True), printed


def test_a_project_has_it_unchanged_and_values_for_each_of_its_environments(bake: Bake, template_folder: Path) -> None:
    project = bake()
    files = sorted(path for path in (template_folder / "infra").rglob("*") if path.is_file() and path.suffix != ".pyc")
    named = [each["name"] for each in yaml.safe_load((project.path / "mlops.yaml").read_text())["environments"]]

    for file in files:
        assert (project.path / file.relative_to(template_folder)).read_bytes() == file.read_bytes()
    assert {path.stem for path in (project.path / "infra" / "environments").glob("*.tfvars")} == set(named)


def test_a_project_without_infrastructure_has_the_contract_in_its_place(bake: Bake) -> None:
    project = bake(infrastructure="none")

    assert not (project.path / "infra").exists() and not (project.path / "lambdas").exists()
    assert [file.name for file in (project.path / ".github" / "workflows").glob("*infra*")] == []
    assert not {"infra", "lambdas"} & {file.partition("/")[0] for file in project.git("ls-files").splitlines()}
    contract = (project.path / "docs" / "infrastructure.md").read_text()
    assert [role for role in ("execution", *DUTIES) if f"| `<project>-<environment>-{role}` |" not in contract] == []
    assert [alarm for alarm in signals.TAKEN if f"| `<endpoint>-{alarm}` |" not in contract] == []
    described = sandbox_project(yaml.safe_load((project.path / "mlops.yaml").read_text()))
    first, after, *_ = described.environments
    reading = next(each for each in grants.deploy(described, after)["Statement"] if "s3:GetObject" in each["Action"]
                   and any(first.bucket in arn for arn in each["Resource"]))  # fmt: skip
    parts = " and ".join(f"`{arn.split('/')[1]}/`" for arn in reading["Resource"])
    assert f"The deploy role of the *next* environment\nreads {parts} in it" in contract


def test_what_is_type_checked_is_there(bake: Bake) -> None:
    for answer in ("terraform", "none"):
        project = bake(infrastructure=answer).path
        checked = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
        assert [name for name in checked if not (project / name).is_dir()] == []
        assert ("lambdas" in checked) == (answer == "terraform")
