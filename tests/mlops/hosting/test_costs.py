"""What endpoints cost in a month, by the prices and the hours of the settings and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.hosting import costs
from mlops.settings.compute import Prices
from mlops.settings.project import Environment

PRICES = Prices(currency="EUR", per_hour={"ml.m5.large": 0.1})


def month(prices: Prices | None = PRICES, **endpoint: Any) -> str:
    """What is shown of an endpoint's cost."""
    given = Environment(name="dev", account="111111111111", endpoint=endpoint)
    return str(costs.monthly(prices, given))


def hours(start: str, stop: str, days: str) -> dict[str, str]:
    return {"start": start, "stop": stop, "days": days}


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ({}, "73 EUR"),
        ({"instances": 3}, "219 EUR"),
        # 11 of 24 hours on 5 of 7 days.
        ({"hours": hours("07:00", "18:00", "MON-FRI")}, "24 EUR (73 without hours)"),
        # Over midnight, on the four days FRI, SAT, SUN, MON and on WED.
        ({"hours": hours("22:30", "06:30", "FRI-MON,WED,SUN")}, "17 EUR (73 without hours)"),
        ({"hours": hours("00:00", "12:00", "MON-SUN"), "instances": 2}, "73 EUR (146 without hours)"),
        (
            {"instances": 3, "autoscaling": {"min": 2, "max": 9, "invocations_per_instance": 50}},
            "at least 146 EUR",
        ),
        # Nothing is guessed.
        ({"instance_type": "ml.g5.xlarge"}, "None"),
        ({"kind": "serverless"}, "None"),
        ({"kind": "batch"}, "None"),
    ],
)
def test_a_month_costs_what_the_instances_cost_in_the_hours_that_they_run(endpoint: dict[str, Any], shown: str) -> None:
    assert month(**endpoint) == shown


def test_without_a_price_there_is_no_cost() -> None:
    assert month(prices=None) == "None"


@pytest.mark.parametrize("priced", [True, False])
def test_the_status_shows_it_where_there_are_prices(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], priced: bool
) -> None:
    from mlops.cli import registry
    from mlops.registry import status

    dev = Environment(
        name="dev", account="111111111111", endpoint={"instances": 2, "hours": hours("00:00", "12:00", "MON-SUN")}
    )
    cost = costs.monthly(PRICES if priced else None, dev)
    row = status.Row("dev", "churn-dev", 1, "Approved", "f", "real_time", "churn-dev", "InService", 1, cost)
    monkeypatch.setattr(status, "status", lambda settings, told: [row])
    monkeypatch.setattr(registry, "connected", lambda: type("Project", (), {"prices": PRICES if priced else None}))

    registry.status(json=False)
    heading, line = capsys.readouterr().out.splitlines()
    registry.status(json=True)

    assert heading.endswith("MONTHLY COST") == priced
    assert line.endswith("73 EUR (146 without hours)" if priced else "InService")
    assert ('"without_hours": 146.0' in capsys.readouterr().out) == priced
