"""What the demo changes in its copy of a project, and what it leaves out where the settings do not have it."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from mlops.laptop import epilogue, playground
from mlops.settings import project as settings
from mlops.settings.serving import Batch, Endpoint, Shadow

OURS = Path(__file__).parents[1] / "project"


def test_a_change_of_one_endpoint_leaves_the_other_settings_as_they_were(tmp_path: Path) -> None:
    shutil.copy(OURS / "mlops.yaml", tmp_path)
    before = settings.load(tmp_path)

    playground.change(tmp_path, "prod", rollout={**epilogue.SHADOW})
    playground.change(tmp_path, "dev", endpoint={"kind": "batch"})

    feature, dev, prod = settings.load(tmp_path).environments
    assert feature == before.environments[0]
    assert (dev.endpoint, dev.account) == (Batch(kind="batch"), before.environments[1].account)
    assert isinstance(prod.endpoint, Endpoint)
    assert isinstance(prod.endpoint.rollout, Shadow)
    assert prod.endpoint.model_copy(update={"rollout": before.environments[2].endpoint.rollout}) == (  # type: ignore[union-attr]
        before.environments[2].endpoint
    )


@pytest.mark.parametrize(
    ("endpoint", "can"),
    [
        (Endpoint(), True),
        (Endpoint(instance_type="ml.inf1.xlarge"), False),
        (Endpoint(autoscaling={"min": 1, "max": 2, "invocations_per_instance": 60}), False),
        (Batch(kind="batch"), False),
        (None, False),
    ],
)
def test_a_shadow_is_shown_where_sagemaker_puts_one(endpoint: Any, can: bool) -> None:
    prod = settings.load(OURS).environments[-1].model_copy(update={"endpoint": endpoint})

    assert epilogue.can_have_a_shadow(prod) is can
