"""Serverless endpoints: deployed, rolled out at once behind the alarms, rolled back; what SageMaker has not there."""

from typing import Any

import pytest

from mlops.errors import Failure
from mlops.hosting import deployment, endpoints, rollouts
from mlops.registry import status
from mlops.settings.project import Environment
from mlops.settings.serving import AllAtOnce, Serverless


def serverless(environment: Environment, **given: Any) -> Environment:
    endpoint = Serverless(kind="serverless", rollout=AllAtOnce(bake_seconds=0), **given)
    return environment.model_copy(update={"endpoint": endpoint})


def test_a_serverless_endpoint_is_deployed_updated_and_rolled_back(world: Any) -> None:
    dev = serverless(world.dev, memory_mb=3072, max_concurrency=5, provisioned_concurrency=2)
    world.in_dev("first")
    deployment.deploy(world.settings, dev, world.progress)
    (variant,) = world.client(dev).describe_endpoint(EndpointName="churn-dev")["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == {
        "MemorySizeInMB": 3072,
        "MaxConcurrency": 5,
        "ProvisionedConcurrency": 2,
    }
    world.in_dev("second")

    deployment.deploy(world.settings, dev, world.progress)
    assert world.answer(dev) == "second"
    assert deployment.deploy(world.settings, dev, world.progress).changed is False
    back = deployment.rollback(world.settings, dev, world.progress)

    assert (back.version, world.answer(dev)) == (1, "first")
    (row,) = [each for each in status.status(world.settings_with(dev)) if each.environment == "dev"]
    assert (row.kind, row.serving, row.endpoint_status) == ("serverless", 1, "InService")


def test_its_rollout_goes_over_at_once_behind_the_same_alarms(world: Any) -> None:
    config = rollouts.deployment_config(serverless(world.prod))

    assert config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"
    names = [alarm["AlarmName"] for alarm in config["AutoRollbackConfiguration"]["Alarms"]]
    assert names == ["churn-prod-errors", "churn-prod-latency", "churn-prod-manual"]


def test_an_endpoint_with_instances_is_made_anew_to_be_serverless(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    world.forget_calls()

    with pytest.raises(Failure, match=r"mlops teardown --env dev --confirm churn-dev ends it, mlops deploy --env dev"):
        deployment.deploy(world.settings, serverless(world.dev), world.progress)

    assert world.calls("CreateEndpointConfig", "UpdateEndpoint") == []


def test_the_way_back_from_instances_to_a_version_that_was_serverless_stays_on_instances(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, serverless(world.dev), world.progress)
    world.in_dev("second")
    deployment.deploy(world.settings, world.dev, world.progress)

    back = deployment.rollback(world.settings, world.dev, world.progress)

    found = endpoints.state(world.session(world.dev), "churn-dev")
    assert (back.version, world.answer(world.dev)) == (1, "first")
    assert found is not None
    assert not found.serverless
