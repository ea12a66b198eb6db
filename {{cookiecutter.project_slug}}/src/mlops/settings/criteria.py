"""What a new model is held against before it goes on: thresholds, its data, and the model that serves."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Direction = Literal["higher", "lower"]

BUILT_IN: dict[str, Direction] = {
    "roc_auc": "higher",
    "accuracy": "higher",
    "recall": "higher",
    "precision": "higher",
    "log_loss": "lower",
    "brier": "lower",
}
"""The metrics that the gate computes itself from labels and probabilities, and which way each is better."""

METRIC = r"^[a-z][a-z0-9_]*$"

DRAWS_OUTSIDE = 20
"""Resamples that have to lie outside of an interval: with fewer its ends are left to a handful of draws."""


class Model(BaseModel):
    """What all settings share: they are frozen, and a field that does not exist is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Threshold(Model):
    """What a metric of the evaluation has to reach."""

    metric: str = Field(pattern=METRIC)
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def has_one_side(self) -> Self:
        """A threshold with no side passes everything, one with two is two."""
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"threshold of {self.metric}: give at_least or at_most, one of them")
        return self


class Compared(Model):
    """A metric in which a new model may not be worse than the one that serves, by more than it may lose."""

    metric: str = Field(pattern=METRIC)
    may_lose: float = Field(ge=0, allow_inf_nan=False, description="in the metric's own unit")
    better: Direction | None = Field(default=None, description="of a metric of your own: which way is better")

    @model_validator(mode="after")
    def has_a_direction(self) -> Self:
        """Which way is better is known of the built-in metrics, and has to be said of every other one."""
        known = BUILT_IN.get(self.metric)
        if known is None and self.better is None:
            raise ValueError(f"{self.metric} is not built in: give better: higher or better: lower")
        if known is not None and self.better not in {None, known}:
            raise ValueError(f"{self.metric} is better when {known}: remove better")
        return self

    @property
    def sign(self) -> int:
        """What makes a difference of the metric a gain: 1 or -1."""
        return 1 if BUILT_IN.get(self.metric, self.better) == "higher" else -1


class Slice(Compared):
    """The same for each group of rows that a column of predictions.csv names; and what none of them may be beyond."""

    column: str = Field(min_length=1, max_length=64)
    group: str | None = Field(default=None, description="one group of the column; each of them when not given")
    least_rows: int = Field(default=50, ge=1, description="a smaller group is not judged, and the verdict says so")
    at_least: float | None = Field(default=None, allow_inf_nan=False, description="whatever serves")
    at_most: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def has_one_limit_at_most(self) -> Self:
        """A metric is better on one side only."""
        if self.at_least is not None and self.at_most is not None:
            raise ValueError(f"slice {self.column}, {self.metric}: give at_least or at_most, or neither")
        return self

    @property
    def limit(self) -> tuple[Literal["at_least", "at_most"], float] | None:
        """What each group has to reach, and on which side; None when only the comparison counts."""
        if self.at_least is not None:
            return "at_least", self.at_least
        return None if self.at_most is None else ("at_most", self.at_most)


class Comparison(Model):
    """How a new model is held against the one that serves, on the rows of the new model's test set."""

    positive: str = Field(min_length=1, description="the label whose probability predictions.csv holds")
    threshold: float = Field(default=0.5, gt=0, lt=1, description="from this probability on it is that label")
    confidence: float = Field(default=0.95, ge=0.5, lt=1, description="of all the comparisons together")
    resamples: int = Field(default=2000, ge=100, le=100_000)
    seed: int = Field(default=7, ge=0)
    common: float = Field(default=0.9, gt=0, le=1, description="share of the test set that both have to have predicted")
    metrics: tuple[Compared, ...]
    slices: tuple[Slice, ...] = ()

    @field_validator("metrics")
    @classmethod
    def something_is_compared(cls, metrics: tuple[Compared, ...]) -> tuple[Compared, ...]:
        """Without a metric every model passes."""
        if not metrics:
            raise ValueError("give at least one metric, or leave the section comparison out")
        return metrics

    @model_validator(mode="after")
    def resamples_reach_the_ends(self) -> Self:
        """An interval's ends are quantiles of the resamples: they have to be among them.

        How many groups will be compared only the test set tells; see `mlops.quality.comparison.draws`.
        """
        needed = self.resamples_for(1)
        if self.resamples < needed:
            raise ValueError(f"resamples is {self.resamples}; confidence {self.confidence:g} needs {needed} or more")
        return self

    def resamples_for(self, comparisons: int) -> int:
        """Resamples by which the ends of so many intervals, which hold together, are no matter of a few draws."""
        return round(DRAWS_OUTSIDE * comparisons / (1 - self.confidence))


class Data(Model):
    """What the data has to be that a new model learned from, by its baseline.json; what is not given is not asked."""

    least_rows: int | None = Field(default=None, ge=1)
    missing: float | None = Field(
        default=None, ge=0, le=1, description="share of a column's values that may be missing"
    )
    label_share: tuple[float, float] | None = Field(default=None, description="least and largest share of each label")
    label_shift: float | None = Field(default=None, ge=0, le=1, description="of a label's share against what serves")
    drift: float | None = Field(
        default=None, gt=0, description="largest population stability index of a column against what serves"
    )

    @field_validator("label_share")
    @classmethod
    def shares_are_a_range(cls, shares: tuple[float, float] | None) -> tuple[float, float] | None:
        """A least share above the largest one would refuse everything."""
        if shares is not None and not 0 <= shares[0] <= shares[1] <= 1:
            raise ValueError("give two shares from 0 to 1, the least one first")
        return shares


class Load(Model):
    """A short load test of an endpoint: requests at a rate, and what they may take and lose."""

    rate: float = Field(gt=0, le=1000, description="requests per second")
    seconds: float = Field(gt=0, le=600)
    p95_ms: float = Field(gt=0, description="95 % of the requests are answered in less, as their sender sees it")
    errors: float = Field(default=0.0, ge=0, lt=1, description="share of the requests that may fail")


class Monitoring(Model):
    """From where on what an endpoint is asked is a drift away from what its model learned from."""

    window_hours: int = Field(default=24, ge=1, le=24 * 90, description="how far back; captures expire after 90 days")
    least_rows: int = Field(default=100, ge=10, description="with fewer rows nothing is said")
    psi: float = Field(default=0.2, gt=0, description="population stability index; 0.1 is a change, 0.25 a shift")
    missing: float = Field(default=0.02, ge=0, lt=1, description="by how much a share of missing values may grow")
    confidence: float = Field(default=0.99, ge=0.5, lt=1, description="that a run without drift finds none")
    output: str | None = Field(default=None, min_length=1, description="member of a prediction: the number to watch")
    output_column: int | None = Field(default=None, ge=0, description="the same in an answer in CSV, from 0")
