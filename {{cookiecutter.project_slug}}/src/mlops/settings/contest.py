"""Settings of the contest: what a challenger serves on, and what it has to have served before it may be champion."""

from collections.abc import Iterable
from typing import Any, Self

from pydantic import Field, model_validator

from mlops.settings.criteria import Model
from mlops.settings.serving import Endpoint, Serving, kind_of
from mlops.settings.signals import Alarm, Signal

LONGEST_HOURS = 24 * 60
"""CloudWatch keeps the figures of five minutes for 63 days; what is asked has to be known to the end."""

CHALLENGER = "challenger-"
"""How the names of a challenger's alarms go on after `<project>-<environment>-`, as those of the champion's do not."""

OF_ONE_ENDPOINT = "alarms"
"""What a challenger does not have from its champion: a team's own alarms watch one endpoint."""


class Challenger(Model):
    """The challenger of an advanced production; in the basic scenario it waits here unused."""

    endpoint: Serving = Field(description="what is given differs from the environment's own endpoint, the rest is its")
    requests: int = Field(default=0, ge=0, le=1_000_000_000, description="that it has to have been asked, none when 0")
    hours: float = Field(default=0, ge=0, le=LONGEST_HOURS, description="that it has to have served, none when 0")

    @model_validator(mode="after")
    def hours_are_served_without_a_break(self) -> Self:
        """Nobody writes down for how long an endpoint was stopped: the nights would count as served."""
        if self.hours and isinstance(self.endpoint, Endpoint) and self.endpoint.hours:
            raise ValueError(
                f"hours: {self.hours:g} would count those in which endpoint.hours stops it; ask for requests instead, "
                "or let it run: endpoint: {hours: null}"
            )
        return self


def completed(given: Any) -> Any:
    """An environment as it was written, its challenger's endpoint completed by the environment's own."""
    if not isinstance(given, dict) or not isinstance(given.get("challenger"), dict):
        return given
    challenger = given["challenger"]
    own, other = given.get("endpoint"), challenger.get("endpoint", {})
    if not isinstance(own, dict) or not isinstance(other, dict):
        return given
    if "kind" in other and kind_of(other) != kind_of(own):
        return given  # Of another kind, it has other settings.
    shared = {name: value for name, value in own.items() if name != OF_ONE_ENDPOINT}
    return {**given, "challenger": {**challenger, "endpoint": {**shared, **other}}}


def undecided(approval: str) -> str:
    """Why the approval of an environment with a contest can not be like this; empty when it can."""
    if approval == "automatic":
        return "is automatic; in the advanced scenario it would be champion without a trial: give approval: manual"
    return ""


def inherited(endpoint: Serving | None) -> Serving | None:
    """The endpoint of a challenger of which the settings say nothing."""
    return endpoint and endpoint.model_copy(update={OF_ONE_ENDPOINT: ()})


def clashing(alarms: Iterable[Alarm]) -> str:
    """Why the alarms of a champion can not have these names; empty when they can."""
    for each in alarms:
        if isinstance(each, Signal) and each.name.startswith(CHALLENGER):
            return f"{each.name} would have the name of an alarm of the challenger's endpoint: call it otherwise"
    return ""
