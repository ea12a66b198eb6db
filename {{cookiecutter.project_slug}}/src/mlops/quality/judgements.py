"""What is said of a metric when a new model is held against the one that serves."""

from dataclasses import dataclass
from typing import Literal

Word = Literal["better", "no worse", "undecided", "worse", "too few rows", "not known of what serves"]


@dataclass(frozen=True)
class Judgement:
    """A metric of two models, on all rows or in one group of them.

    Attributes:
        metric: its name.
        group: `column=value` of the group; empty for all rows.
        rows: how many were compared.
        candidate: the new model's value; None, as the next ones, when nothing could be measured.
        serving: the other one's.
        gain: by how much the new model is better; below 0 it is worse, whichever way the metric is better.
        low: lower end of the gain's interval.
        high: upper end.
        may_lose: what the settings allow.
        word: what follows from it; see `word_for`.
    """

    metric: str
    group: str
    rows: int
    may_lose: float
    word: Word
    candidate: float | None = None
    serving: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def name(self) -> str:
        """`recall of size=small`."""
        return f"{self.metric} of {self.group}" if self.group else self.metric

    def __str__(self) -> str:
        """`recall of size=small is worse than what serves: 0.7, not 0.9; a gain of -0.2 (-0.3 to -0.1), …`."""
        if self.gain is None:
            return f"{self.name} is not judged: {self.word} ({self.rows} rows)"
        return (
            f"{self.name} is {self.word} against what serves: {self.candidate:.4g}, there {self.serving:.4g}; a gain "
            f"of {self.gain:+.4g} ({self.low:+.4g} to {self.high:+.4g}), at least {0 - self.may_lose:g} is required"
        )


def word_for(low: float, high: float, may_lose: float) -> Word:
    """What an interval of the gain says.

    `worse` only when all of it lies beyond what may be lost: that refuses the model. `better` when all of it lies above
    0, `no worse` when it lies within what may be lost. Else the rows are too few to tell: `undecided` neither refuses
    the model nor speaks for it.
    """
    if high < -may_lose:
        return "worse"
    if low > 0:
        return "better"
    return "no worse" if low >= -may_lose else "undecided"
