"""`mlops run STAGE`: a script finds on a laptop what it finds in SageMaker's containers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mlops
from mlops import cli
from mlops.compute import stages
from mlops.errors import BadInput, Failure

PACKAGE = "src/tumour_classifier"
REPORT = """
import json, os, sys
from pathlib import Path
told = {name: value for name, value in os.environ.items() if name.startswith("SM_") or name == "PYTHONPATH"}
place = Path(os.environ["SM_MODEL_DIR"] if "train" in sys.argv[0] else os.environ["SM_OUTPUT_DATA_DIR"])
(place / "told.json").write_text(json.dumps({"variables": told, "words": sys.argv[1:], "folder": os.getcwd()}))
"""


def test_a_training_script_gets_the_containers_contract(small):
    small.write("data/prepared/rows.csv", "1")
    small.write(f"{PACKAGE}/train.py", REPORT)

    stages.run_locally(small.settings, "train")

    told = json.loads((small.path / "model/told.json").read_text())
    assert told["variables"]["SM_CHANNEL_PREPARED"] == str(small.path / "data/prepared")
    assert told["variables"]["SM_MODEL_DIR"] == str(small.path / "model")
    assert json.loads(told["variables"]["SM_HPS"]) == {"C": 1.5, "name": "a b", "gate": ""}
    assert told["words"] == ["--C", "1.5", "--name", "a b", "--gate", ""]
    assert told["folder"] == told["variables"]["PYTHONPATH"] == str(small.path / "src")


def test_a_processing_script_writes_to_the_stages_output(small):
    small.write("data/prepared/rows.csv", "1")
    small.write("model/model.txt", "1")
    small.write(f"{PACKAGE}/evaluate.py", REPORT)

    stages.run_locally(small.settings, "evaluate")

    told = json.loads((small.path / "reports/told.json").read_text())
    assert told["variables"]["SM_OUTPUT_DATA_DIR"] == str(small.path / "reports")
    assert told["variables"]["SM_CHANNEL_MODEL"] == str(small.path / "model")


def test_the_output_begins_empty_as_in_a_job(small):
    small.write("data/prepared/old.csv", "of an earlier run")
    stages.run_locally(small.settings, "prepare")
    assert {each.name for each in (small.path / "data/prepared").iterdir()} == {"rows.csv", "baseline.json"}


def test_the_scripts_output_passes_through_and_its_end_is_explained(small, capfd: pytest.CaptureFixture[str]):
    small.write(f"{PACKAGE}/prepare.py", "import sys\nprint('reading')\nsys.exit('row 3, column a: is empty')\n")
    with pytest.raises(Failure, match=r"prepare\.py ended with exit code 1: row 3, column a: is empty"):
        stages.run_locally(small.settings, "prepare")
    printed = capfd.readouterr()
    assert printed.out == "reading\n"
    assert printed.err == "row 3, column a: is empty\n"


def test_with_json_the_scripts_output_goes_aside(small, capfd: pytest.CaptureFixture[str], monkeypatch):
    small.write(f"{PACKAGE}/prepare.py", "print('reading')\n")
    monkeypatch.chdir(small.path)

    assert cli.execute(["run", "prepare", "--json"]) == 0

    printed = capfd.readouterr()
    assert json.loads(printed.out) == {"stage": "prepare", "output": "data/prepared"}
    assert printed.err == "reading\n"


def test_an_undeclared_import_is_refused_before_anything_runs(small):
    small.write("data/prepared/rows.csv", "kept")
    small.write(f"{PACKAGE}/extra.py", "")
    small.write(f"{PACKAGE}/prepare.py", "from tumour_classifier import extra\n")
    with pytest.raises(BadInput, match=r"extra\.py"):
        stages.run_locally(small.settings, "prepare")
    assert (small.path / "data/prepared/rows.csv").read_text() == "kept"


def test_a_missing_input_is_named(small):
    with pytest.raises(Failure, match="train: input data/prepared is not there"):
        stages.run_locally(small.settings, "train")


def test_an_unknown_stage_is_refused_with_those_that_there_are(small):
    with pytest.raises(BadInput, match=r"stage is 'tune'; dvc\.yaml has prepare, train, evaluate"):
        stages.run_locally(small.settings, "tune")


def test_a_local_run_imports_nothing_that_is_slow():
    program = (
        "import sys; from mlops.compute import stages; "
        "print(*(set(sys.modules) & {'boto3', 'dvc', 'sagemaker', 'pandas'}))"
    )
    source = Path(mlops.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(source)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.slow
def test_the_baked_pipeline_runs_here_on_the_real_data(real):
    for stage in ("prepare", "train", "evaluate"):
        stages.run_locally(real.settings, stage, quiet=True)
    metrics = json.loads((real.path / "reports/metrics.json").read_text())["metrics"]
    assert 0.95 < metrics["roc_auc"]["low"] <= metrics["roc_auc"]["value"] <= metrics["roc_auc"]["high"] <= 1
    assert (real.path / "model/code/inference.py").is_file()
