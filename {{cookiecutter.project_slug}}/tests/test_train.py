"""The second stage: the same inputs give the same artefact, and the artefact serves alone."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from {{cookiecutter.package_name}} import rows, train

PACKAGE = train.__name__.split(".")[0]


def test_the_same_inputs_give_the_same_bytes(root, pipeline, tmp_path, monkeypatch):
    parameters = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))["train"]
    monkeypatch.setenv("SM_CHANNEL_PREPARED", str(pipeline.prepared))
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path))

    train.main([f"--{name}={value}" for name, value in parameters.items()])

    files = [file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file()]
    assert Path("model.joblib") in files
    for file in files:
        assert (tmp_path / file).read_bytes() == (pipeline.model / file).read_bytes(), file


def test_the_artefact_answers_with_nothing_else_on_the_path(pipeline, tmp_path):
    """As in the container: code/ is on the path, the project is not."""
    program = (
        "import inference, json, sys; model = inference.model_fn(sys.argv[1]);"
        "row = json.dumps({'instances': [[1.0] * 30]});"
        "answer = inference.output_fn(inference.predict_fn(inference.input_fn(row, 'application/json'), model), '*/*');"
        "print(inference.__file__); print(answer.get_data(as_text=True))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", program, str(pipeline.model)],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(pipeline.model / "code")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    file, answer = done.stdout.splitlines()
    assert Path(file).parent == pipeline.model / "code"
    assert set(json.loads(answer)["predictions"][0]) == {"label", "probability"}


def imported(package: Path, module: str, seen: frozenset[str] = frozenset()) -> frozenset[str]:
    """Names of the package's files that a module needs, itself and the package's __init__ included."""
    if module in seen or not (package / f"{module}.py").is_file():
        return seen
    seen |= {module}
    for node in ast.walk(ast.parse((package / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            for alias in node.names:
                seen |= imported(package, alias.name, seen)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            seen |= imported(package, (node.module or "").split(".")[1], seen)
    return seen | {"__init__"}


@pytest.mark.parametrize("stage", ["prepare", "train", "evaluate"])
def test_a_stage_depends_on_every_module_that_it_needs(stage, root):
    package = root / "src" / PACKAGE
    needed = imported(package, stage) | (imported(package, "inference") if stage == "train" else set())

    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

    named = {Path(each).stem for each in stages[stage]["deps"] if each.startswith(f"src/{PACKAGE}/")}
    assert named == needed


def test_every_module_that_answers_requests_is_in_the_artefact(root):
    needed = imported(root / "src" / PACKAGE, "inference") - {"inference"}

    assert {Path(name).stem for name in train.SERVED} == needed


def test_sagemaker_finds_the_metrics_in_the_log(root, pipeline):
    patterns = yaml.safe_load((root / "mlops.yaml").read_text(encoding="utf-8"))["stages"]["train"]["metrics"]

    for name, pattern in patterns.items():
        found = re.search(pattern, pipeline.training_log)
        assert found, f"{name}: {pattern} is not in {pipeline.training_log!r}"
        assert 0 <= float(found[1]) <= 1


def test_a_stronger_penalty_gives_smaller_coefficients(pipeline):
    data = rows.read(pipeline.prepared / "train.parquet")

    weak, strong = (train.fit(data, C, max_iter=1000, seed=7)[-1].coef_ for C in (1.0, 0.01))

    assert np.linalg.norm(strong) < np.linalg.norm(weak)


@pytest.mark.parametrize("argument", ["--C=0", "--C=strong", "--max_iter=0", "--depth=3"])
def test_a_parameter_that_is_not_allowed_is_named(argument, capsys):
    with pytest.raises(SystemExit) as ended:
        train.main([argument])

    assert ended.value.code == 2
    assert argument.removeprefix("--").split("=")[0] in capsys.readouterr().err
