"""Autoscaling: begun with the endpoint, kept by deployments and rollbacks, ended with the setting or the endpoint."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops.errors import Failure
from mlops.hosting import autoscaling, deployment, endpoints, teardown
from mlops.settings.project import Environment
from mlops.settings.serving import AllAtOnce, Autoscaling, Canary, Endpoint, Serverless

ASKED = Autoscaling(min=1, max=4, invocations_per_instance=100)


def scaled(environment: Environment, asked: Autoscaling | None = ASKED, **given: Any) -> Environment:
    endpoint = Endpoint(rollout=AllAtOnce(bake_seconds=0), autoscaling=asked, **given)
    return environment.model_copy(update={"endpoint": endpoint})


def targets(world: Any, environment: Environment) -> list[tuple[str, int, int]]:
    client = world.client(environment, "application-autoscaling")
    found = client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    return [(each["ResourceId"], each["MinCapacity"], each["MaxCapacity"]) for each in found]


def instances(world: Any, environment: Environment) -> int:
    described = world.client(environment).describe_endpoint(EndpointName=environment.endpoint_name)
    return int(described["ProductionVariants"][0]["CurrentInstanceCount"])


RESOURCE = "endpoint/churn-dev/variant/model"


def test_an_endpoint_scales_and_keeps_its_instances_through_deployments_and_back(world: Any) -> None:
    dev = scaled(world.dev)
    world.in_dev("first")
    deployment.deploy(world.settings, dev, world.progress)
    assert targets(world, dev) == [(RESOURCE, 1, 4)]
    client = world.client(dev, "application-autoscaling")
    (policy,) = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"] == {
        "TargetValue": 100.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleInCooldown": 300,
        "ScaleOutCooldown": 300,
    }
    # As autoscaling does when there are more requests.
    world.client(dev).update_endpoint_weights_and_capacities(
        EndpointName="churn-dev", DesiredWeightsAndCapacities=[{"VariantName": "model", "DesiredInstanceCount": 3}]
    )
    world.in_dev("second")
    world.forget_calls()

    deployment.deploy(world.settings, dev, world.progress)

    assert (instances(world, dev), world.answer(dev)) == (3, "second")
    assert world.calls("DeregisterScalableTarget", "RegisterScalableTarget", "PutScalingPolicy") == []
    assert "churn-dev: it scales, so it keeps its instances: to have more, raise autoscaling.min" in world.said
    deployment.rollback(world.settings, dev, world.progress)
    assert (instances(world, dev), world.answer(dev)) == (3, "first")
    assert targets(world, dev) == [(RESOURCE, 1, 4)]


def test_other_bounds_and_none_are_applied_without_a_rollout(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, scaled(world.dev), world.progress)
    world.forget_calls()

    deployment.deploy(world.settings, scaled(world.dev, ASKED.model_copy(update={"max": 9})), world.progress)
    assert targets(world, world.dev) == [(RESOURCE, 1, 9)]
    deployment.deploy(world.settings, scaled(world.dev, None), world.progress)

    assert targets(world, world.dev) == []
    assert world.calls("UpdateEndpoint") == []


def test_what_somebody_else_scales_is_left_alone(world: Any) -> None:
    world.in_dev("first")
    dev = scaled(world.dev, None)
    deployment.deploy(world.settings, dev, world.progress)
    world.client(dev, "application-autoscaling").register_scalable_target(
        **autoscaling.place(dev), MinCapacity=2, MaxCapacity=3
    )

    deployment.deploy(world.settings, dev, world.progress)

    assert targets(world, dev) == [(RESOURCE, 2, 3)]
    endpoints.remove(world.session(dev), "churn-dev", world.progress)


def test_an_instance_type_changes_with_a_pause_of_autoscaling(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, scaled(world.dev), world.progress)
    other = scaled(world.dev, instance_type="ml.c5.large")
    config = endpoints.prepare(world.session(other), world.settings, other, world.in_dev("second"))
    with pytest.raises(ClientError, match="can not be changed while it is a target"):
        world.client(other).update_endpoint(EndpointName="churn-dev", EndpointConfigName=config)

    deployment.deploy(world.settings, other, world.progress)

    assert (world.answer(other), targets(world, other)) == ("second", [(RESOURCE, 1, 4)])
    assert any("autoscaling pauses" in line for line in world.said)


def test_a_failed_rollout_scales_as_before(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, scaled(world.dev), world.progress)
    other = scaled(world.dev, instance_type="ml.c5.large")
    world.in_dev("second")
    fault = {"operation": "UpdateEndpoint", "status": 400, "code": "ResourceLimitExceeded", "times": 1}
    world.server.control("POST", "faults", fault)

    with pytest.raises(Failure, match="ResourceLimitExceeded"):
        deployment.deploy(world.settings, other, world.progress)

    assert targets(world, other) == [(RESOURCE, 1, 4)]


def test_the_first_deployment_with_autoscaling_has_the_instances_that_the_settings_ask_for(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, scaled(world.dev, None, instances=1), world.progress)
    rollout = Canary(kind="canary", percent=50, wait_seconds=0, bake_seconds=0)
    endpoint = Endpoint(instances=2, rollout=rollout, autoscaling=ASKED.model_copy(update={"min": 2}))
    dev = world.dev.model_copy(update={"endpoint": endpoint})

    deployment.deploy(world.settings, dev, world.progress)

    assert (instances(world, dev), targets(world, dev)) == (2, [(RESOURCE, 2, 4)])


@pytest.mark.slow
@pytest.mark.parametrize("killed_after", ["DeregisterScalableTarget", "UpdateEndpoint"])
def test_a_rollback_that_is_run_again_after_it_was_killed_scales_as_before(
    world: Any, monkeypatch: pytest.MonkeyPatch, killed_after: str
) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, scaled(world.dev), world.progress)
    other = scaled(world.dev, instance_type="ml.c5.large")
    world.in_dev("second")
    deployment.deploy(world.settings, other, world.progress)
    update = endpoints.update

    def killed(*given: Any) -> bool:
        if killed_after == "UpdateEndpoint":
            update(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(endpoints, "update", killed)
        deployment.rollback(world.settings, other, world.progress)
    assert targets(world, other) == []
    endpoints.settle(world.session(other), "churn-dev", world.progress)

    result = deployment.rollback(world.settings, other, world.progress)

    assert (result.version, world.answer(other), targets(world, other)) == (1, "first", [(RESOURCE, 1, 4)])


@pytest.mark.slow
def test_a_rollback_that_fails_scales_as_before(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, scaled(world.dev), world.progress)
    other = scaled(world.dev, instance_type="ml.c5.large")
    world.in_dev("second")
    deployment.deploy(world.settings, other, world.progress)
    fault = {"operation": "UpdateEndpoint", "status": 400, "code": "ResourceLimitExceeded", "times": 1}
    world.server.control("POST", "faults", fault)

    with pytest.raises(Failure, match="ResourceLimitExceeded"):
        deployment.rollback(world.settings, other, world.progress)

    assert (world.answer(other), targets(world, other)) == ("second", [(RESOURCE, 1, 4)])


def test_a_teardown_ends_it_with_the_rights_of_its_role(world: Any) -> None:
    world.in_dev("first")
    dev = scaled(world.dev)
    deployment.deploy(world.settings, dev, world.progress)

    teardown.teardown(world.settings, dev, "churn-dev", world.progress)

    assert targets(world, dev) == []
    assert (
        world.client(dev, "application-autoscaling").describe_scaling_policies(ServiceNamespace="sagemaker")[
            "ScalingPolicies"
        ]
        == []
    )


def test_a_serverless_endpoint_is_no_scalable_target(world: Any) -> None:
    endpoint = Serverless(kind="serverless", rollout=AllAtOnce(bake_seconds=0))
    dev = world.dev.model_copy(update={"endpoint": endpoint})
    world.in_dev("first")
    deployment.deploy(world.settings, dev, world.progress)
    client = world.client(dev, "application-autoscaling")

    with pytest.raises(ClientError, match="it is serverless"):
        client.register_scalable_target(**autoscaling.place(dev), MinCapacity=1, MaxCapacity=2)
    with pytest.raises(ClientError, match="No scalable target registered"):
        client.put_scaling_policy(
            **autoscaling.place(dev), PolicyName="any", PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=autoscaling.configuration(ASKED),
        )  # fmt: skip
