"""A model's name is made of what goes into it, whatever way it took through git."""

import subprocess
from collections.abc import Callable

import pytest

from mlops import cli
from mlops.errors import BadInput
from mlops.registry import lineage

PACKAGE = "src/tumour_classifier"


def branch_with_two_commits(project):
    """A feature branch with two commits, beside a commit on main that does not touch the model."""
    project.git("checkout", "--quiet", "-b", "feature/idea")
    project.replace("params.yaml", "C: 1.5", "C: 0.5")
    project.commit("less")
    project.write(f"{PACKAGE}/train.py", "print('better')\n")
    project.commit("better")
    tested = lineage.fingerprint(project.settings)
    project.git("checkout", "--quiet", "main")
    project.write("README.md", "more words\n")
    project.commit("words")
    return tested


def merge(project):
    project.git("merge", "--quiet", "--no-ff", "--no-edit", "feature/idea")


def squash(project):
    project.git("merge", "--quiet", "--squash", "feature/idea")
    project.commit("squashed")


def rebase(project):
    project.git("rebase", "--quiet", "main", "feature/idea")
    project.git("checkout", "--quiet", "main")
    project.git("merge", "--quiet", "--ff-only", "feature/idea")


@pytest.mark.parametrize("way", [merge, squash, rebase])
def test_the_fingerprint_is_the_same_on_every_way_to_the_main_branch(small, way: Callable):
    before = lineage.fingerprint(small.settings)
    tested = branch_with_two_commits(small)
    assert tested != before

    way(small)

    assert lineage.fingerprint(small.settings) == tested
    assert lineage.fingerprint(small.settings, "feature/idea") == tested


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("data/raw.dvc", "md5: ", "md5: 0", id="data"),
        pytest.param(f"{PACKAGE}/train.py", "import json", "import json as j", id="a script"),
        pytest.param(f"{PACKAGE}/names.py", "model.txt", "other.txt", id="a module"),
        pytest.param("dvc.yaml", "mlops run train", "mlops run train ", id="the pipeline"),
        pytest.param("params.yaml", "0.9", "0.8", id="a parameter"),
        pytest.param("pyproject.toml", "numpy>=2", "numpy>=2.1", id="a library"),
        pytest.param("pyproject.toml", ">=3.11", ">=3.12", id="Python"),
        pytest.param("mlops.yaml", "stages:", "image: {version: 1.4-2-py312}\nstages:", id="the image"),
    ],
)
def test_each_ingredient_changes_the_fingerprint(small, file: str, old: str, new: str):
    before = lineage.fingerprint(small.settings)
    small.replace(file, old, new)
    small.commit()
    assert lineage.fingerprint(small.settings) != before


def test_a_new_module_of_the_package_changes_the_fingerprint(small):
    before = lineage.fingerprint(small.settings)
    small.write(f"{PACKAGE}/inference.py", "")
    small.commit()
    assert lineage.fingerprint(small.settings) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("mlops.yaml", "ml.c5.xlarge", "ml.c5.2xlarge", id="an instance type"),
        pytest.param("mlops.yaml", "pathology", "radiology", id="a tag"),
        pytest.param("pyproject.toml", '"pytest"', '"pytest>=9"', id="a library of the tests"),
        pytest.param(
            "pyproject.toml", '"numpy>=2", "scikit-learn==1.9.*"', '"scikit-learn==1.9.*", "numpy>=2"', id="order"
        ),
    ],
)
def test_what_the_model_is_not_made_of_leaves_the_fingerprint_alone(small, file: str, old: str, new: str):
    before = lineage.fingerprint(small.settings)
    small.replace(file, old, new)
    small.commit()
    assert lineage.fingerprint(small.settings) == before


def test_the_command_says_what_is_not_committed(small, monkeypatch, capsys):
    monkeypatch.chdir(small.path)
    assert cli.execute(["fingerprint"]) == 0
    assert capsys.readouterr().err == ""
    small.replace("params.yaml", "0.9", "0.8")

    assert cli.execute(["fingerprint"]) == 0
    assert capsys.readouterr().err == "! not committed, so they play no part: params.yaml\n"


def test_changes_that_are_not_committed_do_not_count_and_are_refused_by_name(small):
    before = lineage.fingerprint(small.settings)
    small.write(f"{PACKAGE}/new.py", "")
    small.replace("params.yaml", "0.9", "0.8")
    small.write("notes.txt", "mine")

    assert lineage.fingerprint(small.settings) == before
    with pytest.raises(BadInput) as refused:
        lineage.refuse_uncommitted(small.settings)
    assert f"{PACKAGE}/new.py" in str(refused.value)
    assert "params.yaml" in str(refused.value)
    assert "notes.txt" not in str(refused.value)


def test_in_a_workflow_the_branch_is_the_one_that_github_names(small, monkeypatch):
    small.git("checkout", "--quiet", "--detach")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_REF_NAME", "12/merge")
    monkeypatch.setenv("GITHUB_HEAD_REF", "feature/idea")
    assert lineage.of(small.settings).branch == "feature/idea"


def test_the_lineage_names_commit_branch_data_and_parameters(small, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    small.git("checkout", "--quiet", "-b", "feature/idea")
    origin = lineage.of(small.settings)
    assert origin.commit == small.git("rev-parse", "HEAD")
    assert origin.branch == "feature/idea"
    assert f"md5: {origin.dataset}.dir" in (small.path / "data/raw.dvc").read_text()
    assert origin.parameters == {"train.C": "1.5", "train.name": "a b", "train.gate": "", "evaluate.value": "0.9"}


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        pytest.param(
            ["git", "rm", "-q", "--cached", "data/raw.dvc"], ["data/raw.dvc", "add and commit"], id="no pointer"
        ),
        pytest.param(["git", "rm", "-q", "--cached", "params.yaml"], ["params.yaml", "add"], id="no parameters"),
    ],
)
def test_a_commit_without_an_ingredient_is_refused_by_its_name(small, prepare: list[str], words: list[str]):
    subprocess.run(prepare, cwd=small.path, check=True)
    small.git("commit", "--quiet", "--message", "less")
    with pytest.raises(BadInput) as refused:
        lineage.of(small.settings)
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_an_unknown_commit_is_refused(small):
    with pytest.raises(BadInput, match="commit is 'nowhere'"):
        lineage.of(small.settings, "nowhere")


def test_the_baked_project_has_a_fingerprint_and_the_hash_that_dvc_knows_its_data_by(real):
    origin = lineage.of(real.settings)
    assert len(origin.fingerprint) == 64
    assert f"md5: {origin.dataset}.dir" in (real.path / "data/raw.dvc").read_text()
