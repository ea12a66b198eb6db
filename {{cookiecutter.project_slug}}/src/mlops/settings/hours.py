"""Settings of the hours of an endpoint: when it starts, on which days, and when it stops."""

import re
from typing import Any, Self
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from mlops.settings.criteria import Model

TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
DAY = "(MON|TUE|WED|THU|FRI|SAT|SUN)"
WEEK = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
DAYS = rf"^{DAY}(-{DAY})?(,{DAY}(-{DAY})?)*$"


class Hours(Model):
    """When an endpoint runs: it starts on some days, and stops on each, whoever has started it."""

    start: str = Field(description="time of day, in quotes: YAML takes 20:00 for a number")
    stop: str = Field(description="time of day, in quotes")
    days: str = Field(default="MON-FRI", pattern=DAYS, description="on which it starts")
    timezone: str = Field(default="UTC", pattern=r"^[A-Za-z0-9_+/-]{1,50}$", description="such as Europe/Berlin")

    @field_validator("start", "stop", mode="before")
    @classmethod
    def times_are_text(cls, given: Any) -> Any:
        """YAML 1.1 counts 20:00 in sixties."""
        if not isinstance(given, str) or not re.match(TIME, given):
            raise ValueError('give a time of day in quotes, such as "20:00"')
        return given

    @field_validator("timezone")
    @classmethod
    def timezone_is_known(cls, given: str) -> str:
        """Where the system knows the zones, it is one of them; where it does not, AWS will say so."""
        known = available_timezones()
        if known and given not in known:
            raise ValueError("no time zone has this name: give one such as Europe/Berlin or UTC")
        return given

    @model_validator(mode="after")
    def it_runs_for_some_time(self) -> Self:
        """A start and a stop at once would come in any order."""
        if self.start == self.stop:
            raise ValueError(f'start and stop are both "{self.start}": give two times')
        return self

    @property
    def of_a_week(self) -> float:
        """For how many hours of a week it runs; one that stops before it starts runs over midnight."""
        return len(days(self.days)) * ((hour(self.stop) - hour(self.start)) % 24)


def hour(time: str) -> float:
    """A time of day as a number: 6.5 is half past six."""
    hours, _, minutes = time.partition(":")
    return int(hours) + int(minutes) / 60


def days(given: str) -> set[str]:
    """The days that ranges such as `FRI-MON,WED` mean."""
    found = set()
    for part in given.split(","):
        first, _, last = part.partition("-")
        begin = WEEK.index(first)
        found |= {WEEK[(begin + step) % 7] for step in range((WEEK.index(last or first) - begin) % 7 + 1)}
    return found
