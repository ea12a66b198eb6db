"""dvc.yaml says what runs in which order, and names all that a stage imports."""

import pytest

from mlops.compute import imports, pipeline
from mlops.errors import BadInput

PACKAGE = "src/tumour_classifier"


def stage_of(project, name: str):
    return pipeline.named(pipeline.read(project.settings), name)


def refusal(project, name: str) -> str:
    with pytest.raises(BadInput) as refused:
        imports.refuse_undeclared(stage_of(project, name), "tumour_classifier", project.path)
    return str(refused.value)


def test_stages_come_after_those_that_make_what_they_read(small):
    assert [each.name for each in pipeline.read(small.settings)] == ["prepare", "train", "evaluate"]


def test_a_stage_has_its_channels_its_parameters_and_its_output(small):
    train = stage_of(small, "train")
    assert train.channels == {"prepared": "data/prepared"}
    assert train.arguments == {"C": "1.5", "name": "a b", "gate": ""}
    assert train.output == "model"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("outs: [reports]", "outs: [reports, more]", ["stages.evaluate.outs", "2 entries"]),
        ("deps: [data/raw,", "deps: [reports,", ["wait for each other"]),
        ("params: [evaluate]", "params: [evaluation]", ["evaluation", "params.yaml"]),
        ("deps: [data/raw,", "deps: [../raw,", ["'../raw'", "inside the project"]),
        ("deps: [data/raw,", "deps: [data/code,", ["data/code", "channel"]),
    ],
)
def test_a_pipeline_that_can_not_run_is_refused_by_field(small, old: str, new: str, words: list[str]):
    small.replace("dvc.yaml", old, new)
    with pytest.raises(BadInput) as refused:
        pipeline.read(small.settings)
    assert all(word in str(refused.value) for word in words), str(refused.value)


@pytest.mark.parametrize(
    "statement",
    [
        "from tumour_classifier import extra",
        "import tumour_classifier.extra",
        "from tumour_classifier.extra import VALUE",
        "import extra",
        "def later():\n    from tumour_classifier import extra",
        "import importlib; importlib.import_module('tumour_classifier.extra')",
    ],
)
def test_an_import_that_the_deps_do_not_name_is_refused_with_both_lines(small, statement: str):
    small.write(f"{PACKAGE}/extra.py", "VALUE = 1\n")
    small.write(f"{PACKAGE}/evaluate.py", f"import json\n{statement}\n")
    line = 2 + statement.count("\n")
    text = refusal(small, "evaluate")
    assert f"{PACKAGE}/evaluate.py:{line} imports {PACKAGE}/extra.py" in text
    assert f"add `- {PACKAGE}/extra.py` to dvc.yaml, below line 5" in text


def test_an_import_of_an_imported_module_is_refused_where_it_is(small):
    small.write(f"{PACKAGE}/names.py", "from . import extra\n")
    small.write(f"{PACKAGE}/extra.py", "")
    assert f"{PACKAGE}/names.py:1 imports {PACKAGE}/extra.py, which the deps of stage train" in refusal(small, "train")


def test_a_stage_whose_own_script_is_not_named_is_refused(small):
    small.replace("dvc.yaml", f", {PACKAGE}/prepare.py", "")
    assert f"runs {PACKAGE}/prepare.py" in refusal(small, "prepare")


def test_an_import_of_the_machinery_is_refused_for_jobs_do_not_have_it(small):
    small.write("src/mlops/__init__.py", "")
    small.write(f"{PACKAGE}/evaluate.py", "import mlops\n")
    assert "src/mlops/__init__.py, which a job does not have" in refusal(small, "evaluate")


def test_a_folder_in_the_deps_names_all_that_is_in_it(small):
    small.write(f"{PACKAGE}/extra.py", "")
    small.write(f"{PACKAGE}/evaluate.py", "from tumour_classifier import extra\n")
    small.replace("dvc.yaml", f"{PACKAGE}/__init__.py, {PACKAGE}/evaluate.py", PACKAGE)
    imports.refuse_undeclared(stage_of(small, "evaluate"), "tumour_classifier", small.path)


def test_the_baked_project_names_all_that_it_imports(real):
    stages = pipeline.read(real.settings)
    assert [each.name for each in stages] == ["prepare", "train", "evaluate"]
    for stage in stages:
        imports.refuse_undeclared(stage, real.settings.package, real.path)
