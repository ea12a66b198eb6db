"""What every baked project has in common, whatever was answered: it parses, lints, and holds no traces of rendering."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

import pytest
import yaml

from mlops.settings import project as settings

if TYPE_CHECKING:
    from conftest import Bake, BakedProject

ODD_TEXT = {
    "project_name": 'Zoë\'s "Modèle" & 模型 №1: #100% - yes',
    "description": 'Says "yes" or "no"; it\'s <b>plain</b> text: {a: 1} | $HOME 🎗',
    "author_name": 'Ole "O\'Leary" Ørsted, Jr.',
    "project_slug": "odd-but-legal",
}
COMBINATIONS = {
    "basic": {},
    "advanced": {"scenario": "advanced", "license": "Apache-2.0"},
    "no-infrastructure": {"infrastructure": "none", "license": "BSD-3-Clause"},
    "proprietary-on-aws": {"license": "Proprietary", "model_groups": "aws", "aws_region": "us-east-1"},
    "one-account": {"prod_account_id": "111111111111", "model_groups": "later"},
    "longest-names": {"project_slug": "s" * 30, "package_name": "p" * 40, "project_name": "n" * 60},
    "odd-text": ODD_TEXT,
}
PARSERS: dict[str, Callable[[str], object]] = {
    ".py": ast.parse,
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".yaml": yaml.safe_load,
    ".yml": yaml.safe_load,
}
LICENCES = {
    "MIT": "Permission is hereby granted, free of charge",
    "Apache-2.0": "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION",
    "BSD-3-Clause": "Neither the name of the copyright holder",
    "Proprietary": "All rights reserved",
}


@pytest.fixture(params=COMBINATIONS.values(), ids=COMBINATIONS.keys())
def project(request: pytest.FixtureRequest, bake: Bake) -> BakedProject:
    """A project of each combination of answers."""
    return bake(**request.param)


def test_the_pull_request_template_asks_for_files_that_are_there(bake: Bake) -> None:
    project = bake()
    text = (project.path / ".github" / "pull_request_template.md").read_text(encoding="utf-8")
    named = [name for name in re.findall(r"`([^` ]+)`", text) if "/" in name]
    assert named == ["data/raw.dvc", "tests/contract.yaml"]
    assert all((project.path / name).is_file() for name in named)
    assert text.count("- [ ] ") == 3


PLATFORM = [
    "src/mlops/cli/release.py", "src/sitecustomize.py", "src/another/__init__.py", ".github/workflows/prod.yml",
    "infra/main.tf", "lambdas/checks.py", "mlops.yaml", "pyproject.toml", "uv.lock", "uv.toml", ".python-version",
    "tests/endpoint/check_business.py", "CODEOWNERS",
]  # fmt: skip
"""What runs, or steers what runs, under the roles that deploy and approve; some of it a project may add."""

THEIRS = ["src/churn/train.py", "src/churn/features/age.py", "params.yaml", "data/raw.dvc", "tests/test_train.py"]


def test_the_platform_team_reviews_whatever_decides_rights_and_no_model(bake: Bake) -> None:
    project = bake(github_owner="acme", package_name="churn")
    lines = (project.path / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    rules = [(line.split()[0], line.split()[1:]) for line in lines if line and not line.startswith("#")]

    def owners(file: str) -> list[str]:
        # Of the lines that match a file the last one counts, as GitHub has it.
        matching = [
            who for path, who in rules if f"/{file}" == path or (path[-1] == "/" and f"/{file}".startswith(path))
        ]
        return matching[-1] if matching else []

    assert [file for file in PLATFORM if owners(file) != ["@acme/platform"]] == []
    assert [file for file in THEIRS if owners(file)] == []
    added = {"/uv.lock", "/uv.toml", "/.python-version"}
    assert [path for path, _ in rules if not (project.path / path[1:]).exists() and path not in added] == []


def texts(project: BakedProject) -> dict[Path, str]:
    """Every text file of a project."""
    found = {}
    for file in project.files():
        content = (project.path / file).read_bytes()
        if b"\0" not in content:
            found[file] = content.decode("utf-8")
    return found


def test_no_trace_of_rendering_is_left(project: BakedProject) -> None:
    trace = re.compile(r"\{\{-?\s*cookiecutter|cookiecutter\.\w|\{%-?\s*(if|elif|else|endif|for|set|raw)\b")

    assert {str(file) for file, text in texts(project).items() if trace.search(text)} == set()
    assert [str(file) for file in project.files() if "{" in str(file)] == []


def test_every_file_parses(project: BakedProject) -> None:
    parsed = 0
    for file, text in texts(project).items():
        if parse := PARSERS.get(file.suffix):
            try:
                parse(text)
            except Exception as error:
                pytest.fail(f"{file}: {error}")
            parsed += 1

    assert parsed > 20


def test_answers_arrive_as_they_were_given(project: BakedProject) -> None:
    package = tomllib.loads((project.path / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert package["name"] == project.answers["project_slug"]
    assert package["description"] == project.answers["description"]
    assert package["authors"] == [{"name": project.answers["author_name"], "email": project.answers["author_email"]}]


def test_the_settings_are_valid_and_say_what_was_answered(project: BakedProject) -> None:
    made = settings.load(project.path)
    slug = project.answers["project_slug"]
    prod = (
        [f"{slug}-prod-champion", f"{slug}-prod-challenger"]
        if project.answers["scenario"] == "advanced"
        else [f"{slug}-prod"]
    )

    assert [environment.name for environment in made.environments] == ["feature", "dev", "prod"]
    assert [environment.account for environment in made.environments] == [
        project.answers["dev_account_id"],
        project.answers["dev_account_id"],
        project.answers["prod_account_id"],
    ]
    assert made.environments[-1].group_names == prod
    assert (made.region, made.package) == (project.answers["aws_region"], project.answers["package_name"])
    assert made.aws == ("account" if project.answers["model_groups"] == "aws" else "sandbox")


def test_the_licence_is_the_one_that_was_chosen(project: BakedProject) -> None:
    text = (project.path / "LICENSE").read_text(encoding="utf-8")

    found = [name for name, phrase in LICENCES.items() if phrase in " ".join(text.split())]
    assert found == [project.answers["license"]]
    assert project.answers["author_name"] in text


def test_file_names_are_legal_on_windows(project: BakedProject) -> None:
    files = project.files()

    assert [str(file) for file in files if re.search(r'[<>:"\\|?*\x00-\x1f]|[. ](/|$)', file.as_posix())] == []
    assert [str(file) for file in files if PureWindowsPath(file).is_reserved()] == []
    assert [str(file) for file in files if len(str(file)) > 120] == []
    assert len({str(file).casefold() for file in files}) == len(files)
    assert [str(file) for file in files if (project.path / file).is_symlink()] == []


def test_the_projects_data_is_what_its_pointer_says(project: BakedProject) -> None:
    pointer = yaml.safe_load((project.path / "data" / "raw.dvc").read_text())["outs"][0]
    cache = project.path / ".dvc" / "cache" / "files" / "md5"
    listed = json.loads((cache / pointer["md5"][:2] / pointer["md5"][2:]).read_text())
    contents = {entry["relpath"]: (cache / entry["md5"][:2] / entry["md5"][2:]).read_bytes() for entry in listed}

    assert contents == {file.name: file.read_bytes() for file in (project.path / "data" / "raw").iterdir()}
    assert pointer["size"] == sum(map(len, contents.values()))
    assert project.git("ls-files", "data/raw") == ""


@pytest.mark.parametrize("answers", [{}, ODD_TEXT], ids=["basic", "odd-text"])
def test_ruff_finds_nothing(bake: Bake, answers: dict[str, str]) -> None:
    done = bake(**answers).run(sys.executable, "-m", "ruff", "check", "--no-cache", ".", check=False)

    assert done.returncode == 0, done.stdout


def test_what_tools_leave_in_the_template_does_not_reach_a_project(
    template_root: Path, template_folder: Path, tmp_path: Path
) -> None:
    from cookiecutter.main import cookiecutter

    copy = tmp_path / "template"
    for file in [template_root / "cookiecutter.json", *(template_root / "hooks").glob("*.py")]:
        place = copy / file.relative_to(template_root)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())
    inside = copy / template_folder.name
    left = [".ruff_cache/1/2", "src/mlops/__pycache__/a.pyc", "src/p/__pycache__/b.pyc", ".sandbox/documents.json"]
    for name in [*left, "kept.txt"]:
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        (inside / name).write_bytes(b"\xe2\x28\xa1{{ nonsense")
    (inside / "kept.txt").write_text("{{ cookiecutter.project_slug }}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_TEMPLATE_OFFLINE", "1")
        made = Path(cookiecutter(str(copy), no_input=True, output_dir=str(tmp_path / "out")))

    files = [path.relative_to(made).as_posix() for path in made.rglob("*") if not path.is_dir()]
    assert [name for name in files if not name.startswith(".git/")] == ["kept.txt"]


def test_this_repository_installs_what_a_project_installs(template_root: Path, baked: BakedProject) -> None:
    ours = tomllib.loads((template_root / "pyproject.toml").read_text())["dependency-groups"]
    theirs = tomllib.loads((baked.path / "pyproject.toml").read_text())
    groups = theirs["dependency-groups"]
    needed = set(theirs["project"]["dependencies"]).union(*(groups[name] for name in groups if name != "quality"))

    assert set(ours["project"]) == needed
    assert set(groups["quality"]) <= set(ours["dev"])


def test_ruff_finds_nothing_in_this_repository(template_root: Path, template_folder: Path) -> None:
    # The model's package and its tests are Python only once they are rendered.
    machinery = [f"{template_folder.name}/src/mlops", f"{template_folder.name}/sandbox",
                 f"{template_folder.name}/lambdas"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "hooks", "tests", "benchmarks", *machinery],
        cwd=template_root, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_machinery_and_the_sandbox_are_strictly_typed(template_root: Path, tmp_path: Path) -> None:
    cache = os.environ.get("MYPY_CACHE_DIR", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", cache], cwd=template_root, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout
