"""What nobody may change on a version is what the machinery writes on it when it is registered, and not after."""

from __future__ import annotations

import inspect
import re

from mlops.contest import trial
from mlops.quality import verdicts
from mlops.registry import adoption, packages, promotion, registration
from sandbox import versions


def test_the_notes_of_the_gate_and_of_a_deployment_are_the_machinerys() -> None:
    assert set(versions.GATE) == set(verdicts.KEYS)
    assert versions.TRIAL == (trial.SINCE, trial.UNTIL, packages.VERIFIED)


def test_what_says_where_a_version_comes_from_is_all_guarded() -> None:
    written = set(re.findall(r'^        "(\w+)": ', inspect.getsource(registration.metadata), re.MULTILINE))
    written |= set(re.findall(r'"(promoted_\w+)"', inspect.getsource(promotion)))
    written |= {packages.PROMOTED_COMMIT, packages.ADOPTED_FROM}
    written |= {"baseline_uri"} & set(re.findall(r'"(\w+)"', inspect.getsource(registration)))

    assert written == set(versions.ORIGIN)
    adopted = set(re.findall(r'^        "(\w+)": ', inspect.getsource(adoption.metadata), re.MULTILINE))
    assert {name for name in adopted if not name.startswith("adopted_")} <= written
