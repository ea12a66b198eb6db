"""What `mlops destroy` finds of a project in an account: all that either scenario has left, and nothing of others."""

from typing import Any

import pytest

from mlops.hosting import endpoints, shadows
from mlops.registry import packages
from mlops.settings.serving import Shadow
from mlops.setup import inventory

pytestmark = pytest.mark.slow


def found(world: Any, settings: Any) -> list[str]:
    """What is found in production's account."""
    session, prod = world.session(world.prod), settings.environment("prod")
    serving = inventory.serving(session, settings, prod, world.progress)
    return [each.what for each in (*serving, *inventory.registry(session, settings, prod))]


def test_what_a_switch_to_the_basic_scenario_leaves_behind_goes_too(advanced: Any) -> None:
    world, session = advanced, advanced.session(advanced.prod)
    versions = world.promote(world.in_dev("first").fingerprint, world.prod)
    for environment, package in zip(world.prod.contenders, versions, strict=True):
        packages.set_status(session, package, "Approved", "")
        config = endpoints.prepare(session, world.settings, environment, package)
        endpoints.create(session, world.settings, environment, config)
        endpoints.settle(session, environment.endpoint_name, world.progress)
    prod = world.prod.model_copy(update={"groups": ()})
    basic = world.settings_with(prod).model_copy(update={"scenario": "basic"})

    for settings in (world.settings, basic):
        names = found(world, settings)
        assert {"endpoint churn-prod", "endpoint churn-prod-challenger"} <= set(names)
        assert {f"model group {name}, with its versions" for name in world.prod.group_names} <= set(names)
        assert sum(name.startswith("endpoint configuration ") for name in names) == 2
        assert sum(name.startswith("model churn-") for name in names) == 2


def test_a_shadow_goes_and_names_that_begin_alike_stay(world: Any) -> None:
    session, package = world.session(world.prod), world.approved("first")
    ours = endpoints.prepare(session, world.settings, world.prod, package)
    rollout = Shadow(kind="shadow", requests=1, seconds=60)
    prod = world.prod.model_copy(update={"endpoint": world.prod.endpoint.model_copy(update={"rollout": rollout})})
    shadow = shadows.prepare(session, world.settings, prod, package, ours)
    instances = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    for name in ("churn-prod-verify", "churn-prod-vision-v1-0123abcd"):
        world.client(world.prod).create_model(
            ModelName=name,
            ExecutionRoleArn=world.prod.execution_role,
            PrimaryContainer={"ModelPackageName": package.arn},
        )
        world.client(world.prod).create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[{"VariantName": "model", "ModelName": name, **instances}]
        )

    assert sorted(found(world, world.settings)) == sorted(
        [
            f"endpoint configuration {ours}",
            f"endpoint configuration {shadow}",
            f"model {ours}",
            "model group churn-prod, with its versions",
        ]
    )
