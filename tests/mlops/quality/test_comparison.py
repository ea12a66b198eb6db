"""Two models on the same rows: the right verdict when one truly is better, none when chance made the difference."""

import csv
import io
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from sklearn import metrics as reference

from mlops.errors import Failure
from mlops.quality import comparison, predictions, resampling
from mlops.quality.judgements import Judgement
from mlops.quality.predictions import Predictions
from mlops.settings.criteria import Comparison

SEEDS = 45
LOSSES = [{"metric": "roc_auc", "may_lose": 0.0}, {"metric": "log_loss", "may_lose": 0.0}]


def settings(metrics: list[dict[str, object]] = LOSSES, **others: object) -> Comparison:
    return Comparison.model_validate(
        {"positive": "malignant", "resamples": 400, "metrics": metrics, "slices": [], **others}
    )


def written(labels: np.ndarray, probabilities: Sequence[object], **columns: Sequence[object]) -> bytes:
    """A predictions.csv."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(["row", "label", "probability", *columns])
    words = np.where(labels, "malignant", "benign")
    lines.writerows(zip((f"r{n}" for n in range(len(labels))), words, probabilities, *columns.values(), strict=True))
    return text.getvalue().encode()


def read(labels: np.ndarray, scores: np.ndarray, **columns: Sequence[object]) -> Predictions:
    return predictions.parse(written(labels, [*(1 / (1 + np.exp(-scores)))], **columns), "here")


def judged(asked: Comparison, candidate: Predictions, serving: Predictions) -> list[Judgement]:
    pairs = comparison.pairs_of(candidate, serving)
    return comparison.judge(asked, candidate, serving, pairs, "here")


def models(seed: int, rows: int, better_by: float) -> tuple[Predictions, Predictions]:
    """Two models with errors of their own; the first one's are smaller when it is better."""
    draw = np.random.default_rng(seed)
    labels = draw.random(rows) < 0.4
    truth = 3.0 * labels - 1.5 + draw.normal(size=rows)
    own = draw.normal(size=(2, rows))
    return read(labels, truth + (1 - better_by) * own[0]), read(labels, truth + own[1])


def words(better_by: float, rows: int, may_lose: float) -> Counter[str]:
    """What is said over many draws of the rows, of both metrics."""
    asked = settings([{**each, "may_lose": may_lose} for each in LOSSES])
    found: Counter[str] = Counter()
    for seed in range(SEEDS):
        found.update(each.word for each in judged(asked, *models(seed, rows, better_by)))
    return found


def test_a_difference_by_chance_neither_refuses_nor_speaks_for_a_model() -> None:
    found = words(better_by=0.0, rows=400, may_lose=0.0)

    # Each of the intervals has to leave out the truth in at most 2.5 % of the draws, half of them on either side.
    assert found["worse"] <= 0.05 * found.total()
    assert found["better"] <= 0.05 * found.total()
    assert found["undecided"] >= 0.9 * found.total()


def test_a_model_that_is_truly_worse_is_refused_and_never_called_better() -> None:
    found = words(better_by=-1.0, rows=400, may_lose=0.0)

    assert found["worse"] >= 0.95 * found.total()
    assert found["better"] == 0


def test_a_model_that_is_truly_better_is_called_so_and_never_refused() -> None:
    found = words(better_by=0.9, rows=400, may_lose=0.0)

    assert found["better"] >= 0.9 * found.total()
    assert found["worse"] == 0


def test_a_loss_within_what_is_allowed_does_not_refuse() -> None:
    found = words(better_by=-0.1, rows=400, may_lose=0.1)

    assert found["worse"] == 0
    assert found["no worse"] >= 0.9 * found.total()


def test_the_same_answers_are_no_worse_and_no_better() -> None:
    candidate, _ = models(1, 300, 0.0)

    found = judged(settings(), candidate, candidate)

    assert [(each.gain, each.low, each.high, each.word) for each in found] == [(0, 0, 0, "no worse")] * 2


def test_every_metric_is_that_of_scikit_learn() -> None:
    candidate, serving = models(5, 300, 0.3)
    labels = np.array(candidate.labels) == "malignant"
    names = ["roc_auc", "log_loss", "brier", "accuracy", "recall", "precision"]

    found = judged(settings([{"metric": name, "may_lose": 0.0} for name in names]), candidate, serving)

    for model, side in ((candidate, "candidate"), (serving, "serving")):
        rounded = np.array(model.probabilities)
        called = rounded >= 0.5
        expected = {
            "roc_auc": reference.roc_auc_score(labels, rounded),
            "log_loss": reference.log_loss(labels, rounded),
            "brier": reference.brier_score_loss(labels, rounded),
            "accuracy": reference.accuracy_score(labels, called),
            "recall": reference.recall_score(labels, called),
            "precision": reference.precision_score(labels, called),
        }
        assert {each.metric: getattr(each, side) for each in found} == pytest.approx(expected)


def test_equal_scores_count_half_and_drawn_rows_as_often_as_drawn() -> None:
    draw = np.random.default_rng(8)
    labels, scores = draw.random(200) < 0.4, np.round(draw.random(200), 1)
    times = draw.integers(0, 3, 200)

    area = resampling.ranking(labels, scores).area(times.astype(float))

    assert area == pytest.approx(reference.roc_auc_score(np.repeat(labels, times), np.repeat(scores, times)))


def test_lower_is_better_where_it_is() -> None:
    draw = np.random.default_rng(2)
    labels = draw.random(500) < 0.4
    sure, unsure = np.where(labels, 3.0, -3.0), np.where(labels, 0.3, -0.3)

    found = judged(settings([{"metric": "log_loss", "may_lose": 0.1}]), read(labels, unsure), read(labels, sure))

    assert found[0].word == "worse"
    assert found[0].gain is not None and found[0].gain < -0.1


def test_a_metric_of_ones_own_is_the_mean_of_its_column() -> None:
    draw = np.random.default_rng(2)
    labels, cost = draw.random(300) < 0.4, draw.normal(10, 1, 300)
    asked = settings([{"metric": "cost", "better": "lower", "may_lose": 0.5}])
    dear, cheap = (read(labels, labels * 1.0, cost=[*each]) for each in (cost + 2, cost))

    assert [each.word for each in judged(asked, dear, cheap)] == ["worse"]
    assert [each.word for each in judged(asked, cheap, dear)] == ["better"]
    assert judged(asked, dear, read(labels, labels * 1.0))[0].word == "not known of what serves"


def test_a_model_that_got_worse_for_one_group_only_is_refused_by_its_name() -> None:
    draw = np.random.default_rng(4)
    labels, size = draw.random(2000) < 0.4, draw.choice(["large", "medium", "tiny"], 2000, p=[0.80, 0.19, 0.01])
    scores = 4.0 * labels - 2 + draw.normal(size=2000)
    blind = np.where((size == "medium") & labels, scores - 3, scores)
    asked = settings(
        [{"metric": "recall", "may_lose": 0.3}], slices=[{"column": "size", "metric": "recall", "may_lose": 0.2}]
    )

    found = judged(asked, read(labels, blind, size=[*size]), read(labels, scores))

    assert {each.group: each.word for each in found} == {
        "": "no worse",
        "size=large": "no worse",
        "size=medium": "worse",
        "size=tiny": "too few rows",
    }
    assert str(found[2]).startswith("recall of size=medium is worse against what serves: 0.")


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"at_least": 0.5}, ["recall of size=medium is "]),
        ({"at_least": 0.5, "group": "large"}, []),
        ({"at_least": 0.5, "group": "medium"}, ["recall of size=medium is "]),
        ({"at_least": 0.5, "group": "huge"}, ["recall of size=huge is nan, at least 0.5 is required"]),
        ({"at_most": 0.5}, ["recall of size=large is "]),
        ({}, []),
    ],
)
def test_a_group_has_a_floor_of_its_own_whatever_serves(asked: dict[str, object], refused: list[str]) -> None:
    draw = np.random.default_rng(4)
    labels, size = draw.random(2000) < 0.4, draw.choice(["large", "medium", "tiny"], 2000, p=[0.80, 0.19, 0.01])
    scores = 4.0 * labels - 2 + draw.normal(size=2000)
    blind = read(labels, np.where((size != "large") & labels, scores - 3, scores), size=[*size])
    slices = [{"column": "size", "metric": "recall", "may_lose": 1, **asked}]

    found = comparison.floors(settings(slices=slices), blind, "here")

    failed = [str(each) for each in found if not each.passed]
    assert [said[: len(start)] for said, start in zip(failed, refused, strict=True)] == refused
    assert not any("tiny" in each.metric for each in found)


def test_many_groups_take_more_resamples_than_the_settings_say_and_too_many_are_refused() -> None:
    asked = settings()

    assert [comparison.draws(asked, count) for count in (1, 2, 10, 50)] == [400, 800, 4000, 20_000]
    with pytest.raises(Failure) as told:
        comparison.draws(asked, 51)
    said = "comparison.resamples is 400; 51 comparisons at once with confidence 0.95 need 20400: give that many"
    assert str(told.value).startswith(said)
    assert comparison.draws(settings(resamples=30_000), 51) == 30_000


@pytest.mark.slow
def test_with_a_slice_for_each_group_chance_refuses_no_more_models_and_a_worse_group_is_found() -> None:
    each = {"metric": "log_loss", "may_lose": 0.0}
    asked = settings([each], slices=[{**each, "column": "ward"}])

    def said(seed: int, worse_in: float) -> list[Judgement]:
        draw = np.random.default_rng(seed)
        labels, wards = draw.random(600) < 0.4, np.arange(600) % 5
        truth, own = 3.0 * labels - 1.5 + draw.normal(size=600), draw.normal(size=(2, 600))
        ours = truth + np.where(wards == 3, 1 + worse_in, 1.0) * own[0]
        return judged(asked, read(labels, ours, ward=[*wards]), read(labels, truth + own[1]))

    alike = [said(seed, worse_in=0.0) for seed in range(24)]
    worse = [said(seed, worse_in=3.0) for seed in range(100, 108)]

    assert {len(each) for each in alike} == {6}
    # The six intervals of a run leave out the truth in 5 % of the runs: of 24, in more than four almost never.
    assert sum(any(each.word in ("worse", "better") for each in run) for run in alike) <= 4
    assert all("log_loss of ward=3" in {each.name for each in run if each.word == "worse"} for run in worse)
    assert not any(each.word == "worse" and each.name == "log_loss of ward=0" for run in worse for each in run)


def test_rows_are_joined_by_their_ids_and_equal_rows_in_their_order() -> None:
    first = predictions.parse(b"row,label,probability\na,x,0.1\nb,x,0.2\na,x,0.3\nc,x,0.4\n", "first")
    other = predictions.parse(b"row,label,probability\nd,x,0.5\na,x,0.6\nb,x,0.7\na,x,0.8\n", "other")

    joined = [(first.probabilities[ours], other.probabilities[theirs]) for ours, theirs in
              predictions.joined(first, other)]  # fmt: skip

    assert joined == [(0.1, 0.6), (0.2, 0.7), (0.3, 0.8)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no column row, label, probability"),
        (b"row,label\na,x\n", "no column probability; row, label, probability are needed"),
        (b"row,label,probability\n", "holds no row"),
        (b"row,label,probability\na,x,0.1\nb,x,nan\n", "line 3: probability is nan; a number is needed"),
        (b"row,label,probability\na,x,\n", "line 2: probability is empty"),
        (b"row,label,probability\na,x,1.5\n", "line 2: probability is 1.5; 0 to 1 is needed"),
        (b"row,label,probability\na,x\n", "line 2 has 2 cells; 3 columns are named"),
        (b"\xff\xfe", "no CSV"),
    ],
)
def test_predictions_that_can_not_be_read_say_where(content: bytes, said: str) -> None:
    with pytest.raises(Failure, match=said):
        predictions.parse(content, "here")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"slices": [{"column": "size", "metric": "recall", "may_lose": 0.0}]}, "no column size, it has row, label"),
        ({"metrics": [{"metric": "cost", "better": "lower", "may_lose": 0.0}]}, "no column cost"),
        ({"positive": "yes"}, "no row has the label 'yes' .* labels are benign, malignant"),
    ],
)
def test_what_the_settings_name_has_to_be_there(asked: dict[str, object], said: str) -> None:
    candidate, serving = models(1, 200, 0.0)

    with pytest.raises(Failure, match=said):
        judged(settings(**asked), candidate, serving)  # type: ignore[arg-type]


def test_with_one_label_only_there_is_no_area_and_no_verdict_on_it() -> None:
    labels = np.ones(100, dtype=bool)
    scores = np.linspace(-1, 1, 100)

    found = judged(settings(), read(labels, scores), read(labels, scores - 5))

    assert [(each.metric, each.word) for each in found] == [("roc_auc", "too few rows"), ("log_loss", "better")]
