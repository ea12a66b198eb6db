"""The data of a new model against its limits and against that of what serves: slips are named, chance is not."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from mlops import storage
from mlops.errors import Failure
from mlops.quality import dataquality
from mlops.quality.dataquality import Baseline
from mlops.registry import packages, registration
from mlops.registry.packages import ModelPackage
from mlops.settings.criteria import Data

COLUMNS = 30
DRIFT = Data(drift=0.1)


def baseline(values: np.ndarray, positive: float = 0.4, missing: float = 0.0) -> bytes:
    """What prepare writes of some rows, of shape (rows, columns)."""
    columns = {}
    percentiles = np.quantile(values, np.linspace(0, 1, 101), axis=0)
    for number, column in enumerate(values.T):
        deciles = percentiles[::10, number]
        edges = np.unique(deciles[1:-1])
        counts = np.bincount(np.searchsorted(edges, column, side="right"), minlength=len(edges) + 1)
        columns[f"c{number}"] = {
            "missing": missing,
            "quantiles": deciles.tolist(),
            "percentiles": percentiles[:, number].tolist(),
            "edges": edges.tolist(),
            "shares": (counts / len(column)).tolist(),
        }
    return json.dumps(
        {"rows": len(values), "labels": {"no": 1 - positive, "yes": positive}, "columns": columns}
    ).encode()


def parsed(values: np.ndarray, **others: float) -> Baseline:
    return dataquality.parse(baseline(values, **others), "here")


def draw(seed: int, rows: int = 300, columns: int = COLUMNS) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def refused(asked: Data, new: Baseline, serving: Baseline | None = None) -> list[str]:
    return [str(each) for each in dataquality.look(asked, new, serving).verdicts if not each.passed]


@pytest.mark.parametrize("rows", [60, 600])
def test_two_samples_of_the_same_world_have_not_drifted(rows: int) -> None:
    refusals = sum(
        bool(refused(DRIFT, parsed(draw(seed, rows)), parsed(draw(1000 + seed, rows)))) for seed in range(100)
    )

    assert refusals <= 1


def test_a_column_that_has_moved_by_a_standard_deviation_is_named() -> None:
    for seed in range(10):
        moved = draw(seed)
        moved[:, 7] += 1

        (said,) = refused(DRIFT, parsed(moved), parsed(draw(1000 + seed)))

        assert said.startswith("drift of c7 is ")


def test_the_index_is_that_of_the_rows_themselves() -> None:
    """It is read from percentiles; counted from the rows it is the same within the steps of those."""
    new, old = draw(1, 5000, 1) * 1.3 + 0.4, draw(2, 5000, 1)
    serving = parsed(old)
    edges = np.array(serving.columns["c0"].edges)
    now = np.bincount(np.searchsorted(edges, new[:, 0], side="right"), minlength=10) / 5000
    then = np.array(serving.columns["c0"].shares)

    found = dataquality.stability(parsed(new), serving, "c0")

    assert found == pytest.approx(float(((now - then) * np.log(now / then)).sum()), rel=0.03)


def test_a_column_of_few_values_is_compared_by_their_shares() -> None:
    same, other = (np.random.default_rng(seed).binomial(1, share, (5000, 1)) for seed, share in ((1, 0.3), (2, 0.6)))

    assert dataquality.stability(parsed(same), parsed(same), "c0") == pytest.approx(0, abs=0.01)
    assert dataquality.stability(parsed(other), parsed(same), "c0") == pytest.approx(0.3 * np.log(3.5), rel=0.1)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Data(least_rows=301), "rows is 300, at least 301 is required"),
        (Data(missing=0.05), "missing in c0 is 0.2, at most 0.05 is required"),
        (Data(label_share=(0.45, 1)), "share of label yes is 0.4, at least 0.45 is required"),
        (Data(label_share=(0.0, 0.55)), "share of label no is 0.6, at most 0.55 is required"),
        (Data(label_shift=0.1), "shift of label no is 0.3, at most 0.1 is required"),
        (Data(least_rows=300, missing=0.2, label_share=(0.4, 0.6), label_shift=0.3000001, drift=0.5), ""),
    ],
)
def test_each_limit_is_named_with_what_was_found(asked: Data, said: str) -> None:
    new, serving = parsed(draw(1), missing=0.2), parsed(draw(2), positive=0.7)

    assert refused(asked, new, serving) == ([said] if said else [])


def test_a_label_that_has_vanished_has_too_small_a_share() -> None:
    new = dataclasses.replace(parsed(draw(1)), labels={"yes": 0.5, "no": 0.5})
    serving = dataclasses.replace(parsed(draw(2)), labels={"yes": 0.4, "no": 0.4, "maybe": 0.2})

    said = refused(Data(label_share=(0.1, 0.9)), new, serving)

    assert said == ["share of label maybe is 0, at least 0.1 is required"]
    assert refused(Data(label_share=(0.1, 0.9)), new) == []


def test_columns_that_one_of_the_two_lacks_are_said_and_refuse_nothing() -> None:
    new, serving = parsed(draw(1, columns=3)), parsed(draw(2, columns=4))

    found = dataquality.look(DRIFT, new, serving)

    assert (found.note, list(found.drift)) == ("columns gone: c3", ["c0", "c1", "c2"])


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"rows": 1, "labels": {}, "columns": {"a": {"missing": 0}}}'])
def test_a_baseline_that_can_not_be_read_is_no_pass(content: bytes) -> None:
    with pytest.raises(Failure, match=r"here: holds no \{rows, labels, columns\}"):
        dataquality.parse(content, "here")


def registered(world: Any, content: bytes) -> ModelPackage:
    """A model whose training data has a baseline."""
    lineage = world.lineage()
    place = f"s3://churn-feature-111111111111/jobs/{lineage.fingerprint}/baseline.json"
    storage.write(world.session(world.feature), place, content)
    model = dataclasses.replace(world.model(), baseline=place)
    asked = world.settings.model_copy(update={"data": Data(least_rows=100, drift=0.5)})
    return registration.register(asked, world.feature, model, lineage, "", "somebody")


def test_a_model_of_data_that_has_slipped_is_not_registered_and_one_of_new_data_is(world: Any) -> None:
    first = registered(world, baseline(draw(1)))
    world.promote(first.fingerprint, world.dev)

    second = registered(world, baseline(draw(2)))
    with pytest.raises(
        Failure, match=r"the gate refuses this model: drift of c\d+ is [\d.]+, at most 0\.5 is required"
    ):
        registered(world, baseline(draw(3) * 1000))
    with pytest.raises(Failure, match="rows is 80, at least 100"):
        registered(world, baseline(draw(3, rows=80)))

    assert len(packages.listing(world.session(world.feature), "churn-feature")) == 2
    found = json.loads(storage.read(world.session(world.feature), second.metadata["gate_uri"]))
    assert [each["metric"].split()[0] for each in found["data"]["verdicts"]] == ["rows", "drift"]
    assert len(found["data"]["drift"]) == COLUMNS
