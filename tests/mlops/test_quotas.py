"""Quotas of instances: how many the project may come to run at once."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.settings.project import read
from mlops.setup import quotas

ENDPOINTS: list[tuple[dict[str, Any], int]] = [
    ({"instances": 2}, 4),
    ({"instances": 2, "autoscaling": {"min": 2, "max": 6, "invocations_per_instance": 100}}, 12),
]


@pytest.mark.parametrize(("endpoint", "needed"), ENDPOINTS)
def test_an_endpoint_needs_twice_the_most_instances_that_it_may_have(
    tmp_path: Path, endpoint: dict[str, Any], needed: int
) -> None:
    environments = [
        {"name": "feature", "account": "111111111111"},
        {"name": "prod", "account": "222222222222", "endpoint": {"instance_type": "ml.c5.large", **endpoint}},
    ]
    stages = {"train": {"job": "training", "instance_type": "ml.c5.xlarge", "instances": 3, "spot": True}}
    content = {"project": "churn", "package": "churn", "region": "eu-west-1", "environments": environments}
    (tmp_path / "mlops.yaml").write_text(yaml.safe_dump({**content, "stages": stages}))
    settings = read(tmp_path / "mlops.yaml")

    assert quotas.needed(settings, settings.environments) == {
        "ml.c5.xlarge for spot training job usage": 3,
        "ml.c5.large for endpoint usage": needed,
    }
