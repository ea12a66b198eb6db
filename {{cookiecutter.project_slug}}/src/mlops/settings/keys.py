"""Which key of KMS is an environment's: the one that the settings name, or the one that infrastructure code makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops.settings.project import Environment


def of(environment: Environment) -> str | None:
    """ARN of the key, or of the alias that infra/key.tf gives the one it makes; None where neither is known.

    SageMaker has to be told: else it takes AWS's own, whatever key the bucket has.
    """
    if environment.kms_key or not environment.keys_in:
        return environment.kms_key
    return f"arn:aws:kms:{environment.keys_in}:{environment.account}:alias/{environment.project}-{environment.name}"


def made_in(settings: Mapping[str, Any]) -> str:
    """The region in which infrastructure code makes keys; empty where the project has no infra/."""
    root: Path = settings["root"]
    return str(settings.get("region", "")) if (root / "infra").is_dir() else ""
