"""Monthly costs: what the instances of an endpoint cost by the settings, with its hours and without them."""

from dataclasses import dataclass

from mlops.settings.compute import Prices
from mlops.settings.project import Environment
from mlops.settings.serving import Endpoint

HOURS_OF_MONTH = 730
HOURS_OF_WEEK = 168


@dataclass(frozen=True)
class Monthly:
    """What the instances of an endpoint cost in a month, as long as nobody starts or stops it by hand.

    Attributes:
        currency: of the prices in mlops.yaml.
        amount: with its hours, where it has some; with the fewest instances, where it scales.
        without_hours: the same if it ran day and night; None where it does.
        at_least: whether it scales, so that it may cost more.
    """

    currency: str
    amount: float
    without_hours: float | None
    at_least: bool

    def __str__(self) -> str:
        least = "at least " if self.at_least else ""
        always = "" if self.without_hours is None else f" ({self.without_hours:.0f} without hours)"
        return f"{least}{self.amount:.0f} {self.currency}{always}"


def monthly(prices: Prices | None, environment: Environment) -> Monthly | None:
    """What an environment's endpoint costs in a month; None where it has no instances, or they have no price."""
    endpoint = environment.endpoint
    if prices is None or not isinstance(endpoint, Endpoint):
        return None
    scales = endpoint.autoscaling
    month = prices.of(endpoint.instance_type, HOURS_OF_MONTH * 3600)
    if month is None:
        return None
    always = round(month * (scales.min if scales else endpoint.instances), 2)
    if endpoint.hours is None:
        return Monthly(prices.currency, always, None, scales is not None)
    running = round(always * endpoint.hours.of_a_week / HOURS_OF_WEEK, 2)
    return Monthly(prices.currency, running, always, scales is not None)
