"""The gate's verdict on a model: every number that it looked at, as a file, and in short as a package's metadata."""

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

import boto3

from mlops import storage
from mlops.errors import Failure, NotFound
from mlops.quality.dataquality import Looked
from mlops.quality.judgements import Judgement
from mlops.quality.rescoring import Answers
from mlops.quality.thresholds import Verdict
from mlops.registry.packages import ModelPackage

FILE = "gate.json"
SERVING = "gate_serving"
"""ARN of the version that served when the gate passed this one: by it a verdict is known to be of another day."""

OVERRULED = "gate_overruled"
"""Who has approved a version once more after the gate had refused it against what serves, and why."""

KEYS = ("gate", "gate_uri", "gate_against", "gate_answers", "gate_gains", SERVING, OVERRULED)
"""What a package's metadata says of the gate that judged it last."""


@dataclass(frozen=True)
class Decision:
    """What the gate says of a model, with all that it looked at.

    Attributes:
        passed: nothing refuses it.
        thresholds: each metric against its threshold.
        floors: each group of a slice against the limit that it has, whatever serves.
        against: the version that serves, by its group and number; empty when there was nothing to compare with.
        serving: that version's ARN, or that of the model itself when it is what serves.
        note: why there was not, or why it could not be compared.
        judgements: each comparison.
        rows: in the current test set.
        common: of them, those that both models have predicted.
        answers: of the model that serves: stored ones, or those of a job that asked it again.
        data: what is said of the data that the model learned from; None when the settings ask for nothing.
    """

    thresholds: list[Verdict]
    against: str = ""
    note: str = ""
    judgements: list[Judgement] = field(default_factory=list)
    rows: int = 0
    common: int = 0
    confidence: float | None = None
    resamples: int | None = None
    answers: Answers | None = None
    data: Looked | None = None
    floors: list[Verdict] = field(default_factory=list)
    serving: str = ""

    @property
    def refusals(self) -> list[str]:
        """Why the model goes no further; nothing when it passes."""
        held = [*self.thresholds, *self.floors, *(self.data.verdicts if self.data else [])]
        below = [str(each) for each in held if not each.passed]
        return below + [str(each) for each in self.judgements if each.word == "worse"]

    @property
    def passed(self) -> bool:
        """Whether nothing refuses it."""
        return not self.refusals


def refuse(decision: Decision) -> None:
    """Stop a model that the gate refuses.

    Raises:
        Failure: every reason is named with its numbers.
    """
    if decision.refusals:
        raise Failure(f"the gate refuses this model: {'; '.join(decision.refusals)}")


def document(decision: Decision) -> bytes:
    """A decision as JSON, with every number; JSON has no NaN, so what is no number is null."""
    content = {"passed": decision.passed, **asdict(decision)}
    return json.dumps(finite(content), indent=2, sort_keys=True, allow_nan=False).encode() + b"\n"


def finite(value: Any) -> Any:
    """A value as JSON holds it."""
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def metadata(decision: Decision, uri: str) -> dict[str, str]:
    """What a package's metadata says of the gate; the rest stands in the file at `uri`."""
    gains = [f"{each.name} {each.gain:+.4g} {each.word}" for each in decision.judgements if each.gain is not None]
    found = {
        "gate": "passed" if decision.passed else "refused",
        "gate_uri": uri,
        "gate_against": " - ".join(filter(None, [decision.against, decision.note])),
        "gate_answers": decision.answers.how if decision.answers else "",
        "gate_gains": " / ".join(gains),
        SERVING: decision.serving,
    }
    return {key: value for key, value in found.items() if value}


def refused(package: ModelPackage) -> bool:
    """Whether the gate refused a version that was there already, and nobody has overruled it so far."""
    return package.metadata.get("gate") == "refused"


def stored(session: boto3.Session, package: ModelPackage) -> dict[str, Any]:
    """What the gate decided on a package last, as its file holds it; empty when it has none, or it is gone."""
    uri = package.metadata.get("gate_uri")
    try:
        found = json.loads(storage.read(session, uri)) if uri else {}
    except NotFound:
        return {}
    return found if isinstance(found, dict) else {}
