"""The foreign actions that the template's workflows use, as foreign.yml tells of the versions that were looked at."""

from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Action:
    """An action at one version."""

    version: str
    sha: str
    inputs: list[str]


ACTIONS = {
    name: Action(**told)
    for name, told in yaml.safe_load(Path(__file__).with_name("foreign.yml").read_text(encoding="utf-8")).items()
}
