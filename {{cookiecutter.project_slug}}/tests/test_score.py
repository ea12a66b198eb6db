"""The answers of another model to this test set: its own, by its own code, and only when it is the right one."""

import csv
import hashlib
import shutil
import tarfile

import pytest


@pytest.fixture
def score(pipeline, script, tmp_path):
    """Lets the model of a folder answer the test set: the run, and the lines that it wrote."""

    def run(model, digest=None):
        archive = tmp_path / "channel" / "model.tar.gz"
        archive.parent.mkdir()
        with tarfile.open(archive, "w:gz") as files:
            files.add(model, ".")
        reports = tmp_path / "scored"
        done = script(
            "score",
            {"digest": digest or hashlib.sha256(archive.read_bytes()).hexdigest()},
            SM_CHANNEL_PREPARED=pipeline.prepared,
            SM_CHANNEL_MODEL=archive.parent,
            SM_OUTPUT_DATA_DIR=reports,
        )
        return done, lines_of(reports) if done.returncode == 0 else []

    return run


def lines_of(folder):
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return [(line["row"], line["label"], line["probability"]) for line in csv.DictReader(file)]


@pytest.fixture
def other(pipeline, tmp_path):
    """A model folder whose code may be changed."""
    return shutil.copytree(pipeline.model, tmp_path / "other")


def test_a_model_answers_as_its_evaluation_measured_it(score, pipeline):
    done, lines = score(pipeline.model)

    assert done.returncode == 0, done.stderr
    assert lines == lines_of(pipeline.reports)


def test_the_code_of_the_artefact_answers_and_not_this_package(score, other):
    with (other / "code" / "inference.py").open("a", encoding="utf-8") as code:
        code.write("\n\nasked = predict_fn\npredict_fn = lambda rows, model: 0 * asked(rows, model) + 0.25\n")

    done, lines = score(other)

    assert done.returncode == 0, done.stderr
    assert {probability for _, _, probability in lines} == {"0.25"}


def test_another_artefact_than_the_registered_one_is_not_unpacked(score, pipeline):
    done, _ = score(pipeline.model, digest="0" * 64)

    assert done.returncode == 1
    assert "it is not unpacked" in done.stderr


def test_a_model_that_needs_a_column_which_is_gone_says_which(score, other):
    for schema in (other / "code").glob("*/schema.py"):
        text = schema.read_text(encoding="utf-8").replace('"texture"', '"hue"')
        schema.write_text(text, encoding="utf-8")

    done, _ = score(other)

    assert done.returncode == 1
    assert "no column mean_hue, hue_error, worst_hue" in done.stderr
