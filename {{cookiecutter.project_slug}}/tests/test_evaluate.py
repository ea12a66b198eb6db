"""The third stage: the numbers are right, and they are the model's own."""

import csv
import importlib.util
import json
import tarfile

import numpy as np
import pytest
import yaml
from sklearn import metrics as reference

from {{cookiecutter.package_name}} import evaluate, figures, metrics, rows, train
from {{cookiecutter.package_name}}.schema import FEATURES, LABELS


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of 300 cases, many of the probabilities equal."""
    draw = np.random.default_rng(3)
    labels = draw.random(300) < 0.4
    return labels, np.round(np.clip(draw.normal(0.4 + 0.2 * labels, 0.2), 0.01, 0.99), 1)


@pytest.fixture
def run(pipeline, tmp_path, monkeypatch):
    """Evaluates the model of a folder, in groups by some features, and gives the folder of the reports."""

    def evaluate_model(folder, slices=""):
        monkeypatch.setenv("SM_CHANNEL_PREPARED", str(pipeline.prepared))
        monkeypatch.setenv("SM_CHANNEL_MODEL", str(folder))
        monkeypatch.setenv("SM_OUTPUT_DATA_DIR", str(tmp_path / "reports"))
        evaluate.main(["--resamples=50", f"--slices={slices}"])
        return tmp_path / "reports"

    return evaluate_model


def test_metrics_agree_with_scikit_learn(answers):
    labels, probabilities = answers
    called = probabilities >= 0.5

    assert metrics.measure(labels, probabilities) == pytest.approx(
        {
            "roc_auc": reference.roc_auc_score(labels, probabilities),
            "log_loss": reference.log_loss(labels, probabilities),
            "brier": reference.brier_score_loss(labels, probabilities),
            "accuracy": reference.accuracy_score(labels, called),
            "recall": reference.recall_score(labels, called),
            "precision": reference.precision_score(labels, called),
        }
    )


def test_a_weight_counts_as_so_many_cases(answers):
    labels, probabilities = answers
    times = np.random.default_rng(4).integers(0, 3, len(labels))

    for name, metric in metrics.METRICS.items():
        weighted = metric(times[None, :].astype(float), labels, probabilities)[0]
        repeated = metrics.measure(np.repeat(labels, times), np.repeat(probabilities, times))[name]
        assert weighted == pytest.approx(repeated), name


def test_an_interval_holds_its_value_and_narrows_with_more_cases(answers):
    labels, probabilities = answers

    few = metrics.with_intervals(labels, probabilities, resamples=500, seed=1)
    many = metrics.with_intervals(np.tile(labels, 16), np.tile(probabilities, 16), resamples=500, seed=1)

    for name in metrics.METRICS:
        assert few[name]["low"] <= few[name]["value"] <= few[name]["high"], name
        width, narrow = (each[name]["high"] - each[name]["low"] for each in (few, many))
        assert narrow == pytest.approx(width / 4, rel=0.25), name


def test_calling_nothing_malignant_has_no_recall_and_no_precision():
    measured = metrics.with_intervals(np.array([True, False] * 20), np.full(40, 0.1), resamples=100, seed=1)

    assert measured["recall"]["value"] == measured["precision"]["value"] == 0
    assert measured["roc_auc"] == {"value": 0.5, "low": 0.5, "high": 0.5}


def test_the_model_is_better_than_guessing(pipeline):
    summary = json.loads((pipeline.reports / "metrics.json").read_text(encoding="utf-8"))
    share = summary["positives"] / summary["rows"]

    assert summary["metrics"]["accuracy"]["low"] > max(share, 1 - share)
    assert summary["metrics"]["log_loss"]["high"] < -share * np.log(share) - (1 - share) * np.log(1 - share)


def test_a_model_of_shuffled_labels_knows_nothing(pipeline):
    """It would know something if a label leaked into the features, or test rows into the training set."""
    learn, test = (rows.read(pipeline.prepared / f"{name}.parquet") for name in ("train", "test"))
    scores = []
    for seed in range(20):
        shuffled = np.random.default_rng(seed).permutation(learn.labels)
        model = train.fit(rows.Rows(learn.features, shuffled, learn.ids), C=1.0, max_iter=1000, seed=7)
        scores.append(metrics.measure(test.labels, model.predict_proba(test.features)[:, 1])["roc_auc"])

    # The features are correlated, so that a single score strays far from chance; the mean of many does not.
    assert abs(np.mean(scores) - 0.5) < 3 * np.std(scores) / np.sqrt(len(scores))


def test_predictions_are_those_that_the_metrics_were_made_of(pipeline):
    with (pipeline.reports / "predictions.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    labels = np.array([line["label"] == LABELS[1] for line in lines])
    measured = metrics.measure(labels, np.array([float(line["probability"]) for line in lines]))
    summary = json.loads((pipeline.reports / "metrics.json").read_text(encoding="utf-8"))

    assert [line["row"] for line in lines] == rows.read(pipeline.prepared / "test.parquet").ids.tolist()
    assert measured == {name: metric["value"] for name, metric in summary["metrics"].items()}


def test_rows_are_grouped_by_the_halves_of_a_feature(pipeline, run):
    reports = run(pipeline.model, "mean_area, worst_texture")

    test = rows.read(pipeline.prepared / "test.parquet")
    with (reports / "predictions.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for name in ("mean_area", "worst_texture"):
        values = test.features[:, FEATURES.index(name)]
        low = values[[line[name] == "low" for line in lines]]
        high = values[[line[name] == "high" for line in lines]]
        assert low.max() < high.min()
        assert abs(len(low) - len(high)) <= 1
        assert len(low) + len(high) == len(test)


def test_a_group_by_what_is_no_feature_is_refused(pipeline, run, capsys):
    with pytest.raises(SystemExit) as ended:
        run(pipeline.model, "mean_area,colour")

    assert ended.value.code == 2
    assert "slices: colour is no feature" in capsys.readouterr().err


def test_the_archive_of_a_training_job_is_evaluated_like_the_folder(pipeline, run, root, tmp_path):
    (tmp_path / "artefact").mkdir()
    with tarfile.open(tmp_path / "artefact" / "model.tar.gz", "w:gz") as archive:
        archive.add(pipeline.model, arcname=".")

    parameters = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    reports = run(tmp_path / "artefact", parameters["evaluate"].get("slices", ""))

    assert (reports / "predictions.csv").read_bytes() == (pipeline.reports / "predictions.csv").read_bytes()


def test_the_area_under_the_drawn_curve_is_the_metric(answers):
    labels, probabilities = answers

    points = figures.roc(labels, probabilities)

    x, y = ([point[axis] for point in points] for axis in ("false_positive_rate", "true_positive_rate"))
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(metrics.measure(labels, probabilities)["roc_auc"])


def test_calibration_counts_every_case_once(answers):
    labels, probabilities = answers

    bins = figures.calibration(labels, probabilities)

    assert sum(each["rows"] for each in bins) == len(labels)
    assert sum(each["rows"] * each["observed"] for each in bins) == pytest.approx(labels.sum())


@pytest.mark.parametrize("installed", [True, False])
def test_figures_are_drawn_where_matplotlib_is_installed(installed, answers, tmp_path, monkeypatch):
    if installed:
        pytest.importorskip("matplotlib")
    else:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    figures.write(*answers, tmp_path)

    names = ["calibration", "confusion", "roc"]
    assert sorted(file.stem for file in tmp_path.glob("*.json")) == names
    assert sorted(file.stem for file in tmp_path.glob("*.png")) == (names if installed else [])


def test_dvc_finds_the_columns_that_it_plots(root, pipeline):
    for plot in yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["plots"]:
        for file, options in plot.items():
            points = json.loads((pipeline.reports / file.removeprefix("reports/")).read_text(encoding="utf-8"))
            assert {options["x"], options["y"]} <= set(points[0])
