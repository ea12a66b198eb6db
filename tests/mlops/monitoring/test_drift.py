"""Drift is found where there is some, and not where there is none: rates over seeds."""

from __future__ import annotations

import random

import pytest

from mlops.monitoring import drift

SEEDS = 60
FEATURES = 30
CHANCE = 0.01
THEN_ROWS = 280


def gauss(seed: str, rows: int, shift: float = 0.0, scale: float = 1.0) -> list[float]:
    source = random.Random(seed)
    return [source.gauss(shift, scale) for _ in range(rows)]


def share_of_runs(rows: int, shift: float = 0.0, scale: float = 1.0) -> float:
    """The share of runs that find a drift in any of the features, of which the first has moved."""
    found = 0
    for seed in range(SEEDS):
        drifted = False
        for feature in range(FEATURES):
            then = drift.histogram(gauss(f"then {seed} {feature}", THEN_ROWS), 10)
            moved = {"shift": shift, "scale": scale} if feature == 0 else {}
            now = gauss(f"now {seed} {feature}", rows, **moved)
            drifted |= drift.shifted("x", then, now, 0.2, CHANCE / FEATURES).drifted
        found += drifted
    return found / SEEDS


@pytest.mark.parametrize("rows", [50, 500])
def test_without_drift_a_run_finds_none_whatever_the_rows(rows: int) -> None:
    # At most one run in a hundred is allowed to; of 60, four would be a chance of 1 in 700.
    assert share_of_runs(rows) <= 3 / SEEDS


@pytest.mark.parametrize("moved", [{"shift": 1.0}, {"scale": 2.0}, {"scale": 0.4}], ids=["mean", "wide", "narrow"])
def test_a_drift_of_one_feature_is_found(moved: dict[str, float]) -> None:
    assert share_of_runs(500, **moved) >= 0.97


def test_a_rule_of_thumb_alone_would_call_noise_a_drift() -> None:
    then = drift.histogram(gauss("then", THEN_ROWS), 10)
    found = [drift.stability(then, gauss(f"now {seed}", 50)) for seed in range(200)]

    assert sum(value >= 0.2 for value in found) > 60
    assert not any(drift.shifted("x", then, gauss(f"now {seed}", 50), 0.2, 1e-5).drifted for seed in range(200))


def test_the_index_is_the_formulas() -> None:
    then = drift.Histogram(edges=(0.0,), shares=(0.5, 0.5), rows=1000)

    # (0.8 - 0.5) ln(0.8 / 0.5) + (0.2 - 0.5) ln(0.2 / 0.5)
    assert drift.stability(then, [-1.0] * 80 + [1.0] * 20) == pytest.approx(0.41589, abs=1e-5)
    assert drift.stability(then, [-1.0] * 50 + [1.0] * 50) == 0


def test_quantiles_are_those_of_the_tables() -> None:
    for probability, degrees, wanted in [(0.95, 9, 16.919), (0.99, 9, 21.666), (0.999, 9, 27.877), (0.95, 1, 3.841)]:
        assert drift.chi_square(probability, degrees) == pytest.approx(wanted, rel=0.03)


@pytest.mark.parametrize(
    ("now", "rows", "drifted"), [(0, 500, False), (5, 500, False), (1, 20, False), (40, 500, True), (500, 500, True)]
)
def test_more_missing_values_are_a_drift_when_they_are_more_than_a_few(now: int, rows: int, drifted: bool) -> None:
    assert drift.more_often("x", "missing", now, rows, 0.0, THEN_ROWS, 0.02, 1e-4).drifted is drifted


def test_values_that_are_few_and_equal_have_bins_too() -> None:
    assert drift.histogram([1.0] * 50, 10).shares == (1.0,)
    two = drift.histogram([0.0] * 90 + [1.0] * 10, 10)
    assert two.shares == (0.9, 0.1)
    assert drift.shifted("x", two, [1.0] * 100, 0.2, 1e-4).drifted
    assert not drift.shifted("x", drift.histogram([1.0] * 50, 10), [1.0] * 50, 0.2, 1e-4).drifted
