"""The gate against the model that serves, in the registry: what is registered, promoted, refused, and written down."""

import dataclasses
import json
import sys
from typing import Any

import numpy as np
import pytest

from mlops import storage
from mlops.errors import Failure
from mlops.registry import packages, promotion, registration
from mlops.registry.packages import ModelPackage
from mlops.settings.criteria import Comparison

ROWS = 300
COMPARISON = Comparison.model_validate(
    {
        "positive": "yes",
        "resamples": 400,
        "metrics": [{"metric": "roc_auc", "may_lose": 0.02}, {"metric": "log_loss", "may_lose": 0.05}],
        "slices": [{"column": "size", "metric": "log_loss", "may_lose": 0.1}],
    }
)


def predicted(noise: float, seed: int = 1, start: int = 0) -> bytes:
    """Predictions on some rows of one population, with errors of their own."""
    population = np.random.default_rng(0)
    labels = population.random(2 * ROWS) < 0.4
    scores = 3.0 * labels - 1.5 + noise * np.random.default_rng(seed).normal(size=2 * ROWS)
    lines = [
        f"r{n},{'yes' if labels[n] else 'no'},{1 / (1 + np.exp(-scores[n]))!r},{'large' if n % 2 else 'small'}"
        for n in range(start, start + ROWS)
    ]
    return (
        ("row,label,probability,size\n" + "\n".join(lines) + "\n").replace("np.float64(", "").replace(")", "").encode()
    )


class Team:
    """Registers models by what they predicted."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.settings = world.settings.model_copy(update={"comparison": COMPARISON})

    def register(self, content: bytes | None, label: str = "first") -> ModelPackage:
        world = self.world
        lineage = world.lineage()
        report = f"s3://churn-feature-111111111111/jobs/{lineage.fingerprint}/report/"
        if content is not None:
            storage.write(world.session(world.feature), f"{report}predictions.csv", content)
        model = dataclasses.replace(world.model(label), report=report)
        return registration.register(self.settings, world.feature, model, lineage, "", "somebody")

    def promote(self, package: ModelPackage, environment: Any) -> ModelPackage:
        (found,) = promotion.promote(self.settings, environment, package.fingerprint)
        return self.world.verified(found) if environment == self.world.dev else found

    def decision(self, package: ModelPackage, environment: Any) -> Any:
        return json.loads(storage.read(self.world.session(environment), package.metadata["gate_uri"]))


@pytest.fixture
def team(world: Any) -> Team:
    return Team(world)


def test_the_first_model_has_nothing_to_be_compared_with_and_says_so(team: Team, world: Any) -> None:
    first = team.register(predicted(1.0))
    dev = team.promote(first, world.dev)

    assert (first.metadata["gate"], first.metadata["gate_against"]) == ("passed", "nothing serves in dev yet")
    assert dev.metadata["gate_against"] == "nothing serves in dev yet"
    decision = team.decision(first, world.feature)
    assert [(each["metric"], each["passed"]) for each in decision["thresholds"]] == [
        ("roc_auc", True),
        ("log_loss", True),
    ]
    assert decision["judgements"] == []


def test_the_first_model_too_has_to_reach_the_floor_of_each_group(team: Team, world: Any) -> None:
    (slice_,) = COMPARISON.slices
    floor = COMPARISON.model_copy(update={"slices": (slice_.model_copy(update={"at_most": 0.3}),)})
    team.settings = world.settings.model_copy(update={"comparison": floor})

    with pytest.raises(
        Failure, match=r"refuses this model: log_loss of size=large is [\d.]+, at most 0\.3 is required"
    ):
        team.register(predicted(2.0))
    assert team.decision(team.register(predicted(0.1)), world.feature)["floors"][0]["passed"]


def test_a_worse_model_is_not_registered_and_nothing_is_written(team: Team, world: Any) -> None:
    team.promote(team.register(predicted(0.5)), world.dev)

    with pytest.raises(Failure, match=r"the gate refuses this model: roc_auc is worse against what serves: 0\.\d+"):
        team.register(predicted(3.0, seed=2), "second")

    assert len(packages.listing(world.session(world.feature), "churn-feature")) == 1


def test_a_model_that_is_as_good_goes_all_the_way_with_its_numbers(team: Team, world: Any) -> None:
    first = team.register(predicted(0.5))
    team.promote(first, world.dev)

    second = team.register(predicted(0.5, seed=2), "second")
    dev = team.promote(second, world.dev)

    assert (second.metadata["gate"], second.metadata["gate_against"]) == ("passed", "churn-dev version 1")
    assert dev.metadata["gate_against"] == "churn-dev version 1"
    assert dev.metadata["predictions_uri"].startswith("s3://churn-dev-111111111111/baselines/")
    decision = team.decision(dev, world.dev)
    assert (decision["passed"], decision["rows"], decision["common"]) == (True, ROWS, ROWS)
    assert [(each["metric"], each["group"], each["rows"]) for each in decision["judgements"]] == [
        ("roc_auc", "", ROWS),
        ("log_loss", "", ROWS),
        ("log_loss", "size=large", ROWS // 2),
        ("log_loss", "size=small", ROWS // 2),
    ]
    assert all(each["low"] <= each["gain"] <= each["high"] for each in decision["judgements"])
    assert dev.metadata["gate_gains"].startswith("roc_auc ")


def test_what_passed_on_its_branch_is_refused_when_a_better_one_has_come_to_serve(team: Team, world: Any) -> None:
    team.promote(team.register(predicted(2.0)), world.dev)
    slow = team.register(predicted(2.0, seed=2), "second")
    team.promote(team.register(predicted(0.3, seed=3)), world.dev)

    with pytest.raises(Failure, match=r"the gate refuses this model: .*log_loss is worse"):
        team.promote(slow, world.dev)

    assert [each.version for each in packages.listing(world.session(world.dev), "churn-dev")] == [2, 1]


def test_a_model_of_another_test_set_is_not_compared_and_says_so(team: Team, world: Any) -> None:
    team.promote(team.register(predicted(0.5)), world.dev)

    second = team.register(predicted(3.0, seed=2, start=ROWS // 2), "second")

    said = "churn-dev version 1 - not compared with churn-dev version 1: it has predicted 150 of the 300 rows"
    assert second.metadata["gate_against"].startswith(said)
    assert team.decision(second, world.feature)["common"] == ROWS // 2


def test_a_few_new_rows_do_not_hinder_the_comparison(team: Team, world: Any) -> None:
    team.promote(team.register(predicted(0.5)), world.dev)

    with pytest.raises(Failure, match="log_loss is worse"):
        team.register(predicted(3.0, seed=2, start=ROWS // 20), "second")


def test_predictions_that_are_missing_or_no_numbers_are_refused(team: Team, world: Any) -> None:
    team.promote(team.register(predicted(0.5)), world.dev)
    broken = predicted(0.5).replace(b"\nr7,no,", b"\nr7,no,nan,#", 1).replace(b"\nr7,yes,", b"\nr7,yes,nan,#", 1)

    with pytest.raises(Failure, match=r"GetObject s3://.*/predictions\.csv"):
        team.register(None, "second")
    with pytest.raises(Failure, match="line 9"):
        team.register(broken, "second")


def test_a_machine_without_numpy_says_what_to_install(team: Team, world: Any, monkeypatch: Any) -> None:
    team.promote(team.register(predicted(0.5)), world.dev)
    for name in [each for each in sys.modules if each in {"mlops.quality.comparison", "mlops.quality.resampling"}]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("mlops.quality.comparison", raising=False)
    monkeypatch.setitem(sys.modules, "numpy", None)

    with pytest.raises(Failure, match="uv sync --group gate"):
        team.register(predicted(0.5, seed=2), "second")


def test_production_compares_with_what_serves_there(team: Team, world: Any) -> None:
    first = team.register(predicted(0.5))
    team.promote(first, world.dev)
    prod = team.promote(first, world.prod)
    packages.set_status(world.session(world.prod), prod, "Approved", "")
    second = team.register(predicted(0.5, seed=2), "second")
    team.promote(second, world.dev)

    waiting = team.promote(second, world.prod)

    assert (waiting.status, waiting.metadata["gate_against"]) == ("PendingManualApproval", "churn-prod version 1")
    assert waiting.metadata["gate_uri"].startswith("s3://churn-prod-222222222222/baselines/")
    assert len(team.decision(waiting, world.prod)["judgements"]) == 4
