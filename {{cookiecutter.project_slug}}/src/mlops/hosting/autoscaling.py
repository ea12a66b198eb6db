"""Autoscaling: the instances of an endpoint follow its requests, by Application Auto Scaling, across deployments."""

from typing import Any

import boto3

from mlops import aws
from mlops.display import Progress
from mlops.errors import Failure
from mlops.hosting.endpoints import VARIANT
from mlops.settings.project import Environment
from mlops.settings.serving import Autoscaling, Endpoint

METRIC = "SageMakerVariantInvocationsPerInstance"
POLICY = "mlops"
"""Name of the policy; what another one scales is not ours to end."""


def wanted(environment: Environment) -> Autoscaling | None:
    """What the settings ask for; None when the number of instances stays."""
    return environment.endpoint.autoscaling if isinstance(environment.endpoint, Endpoint) else None


def place(environment: Environment) -> dict[str, str]:
    """How Application Auto Scaling calls the instances of an endpoint."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{environment.endpoint_name}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def keep(session: boto3.Session, environment: Environment, progress: Progress) -> None:
    """Bring an endpoint's autoscaling into line with the settings; what is so already stays.

    Raises:
        Failure: AWS refuses.
    """
    asked, where = wanted(environment), place(environment)
    if asked is None:
        if is_ours(session, where):
            deregister(session, where)
            progress(f"{environment.endpoint_name}: autoscaling ends, as the settings do not ask for it")
        return
    client = aws.client(session, "application-autoscaling")
    found = target(session, where)
    if (found.get("MinCapacity"), found.get("MaxCapacity")) != (asked.min, asked.max):
        with aws.explained("RegisterScalableTarget", where["ResourceId"]):
            client.register_scalable_target(**where, MinCapacity=asked.min, MaxCapacity=asked.max)
        progress(f"{environment.endpoint_name}: scales from {asked.min} to {asked.max} instances")
    if policy(session, where) != configuration(asked):
        with aws.explained("PutScalingPolicy", where["ResourceId"]):
            client.put_scaling_policy(
                **where,
                PolicyName=POLICY,
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=configuration(asked),
            )


def let_go(session: boto3.Session, environment: Environment, before: str, after: str, progress: Progress) -> None:
    """End autoscaling before an update to another instance type, which SageMaker refuses else; `keep` begins it anew.

    An update to another model only is allowed, and keeps the number of instances.

    Args:
        session: may describe configurations.
        environment: whose endpoint is updated.
        before: the configuration that serves.
        after: the one that is to serve.
        progress: told when it ends.
    """
    where = place(environment)
    if wanted(environment) is None:
        keep(session, environment, progress)
    elif instance_types(session, before) != instance_types(session, after) and target(session, where):
        deregister(session, where)
        progress(f"{environment.endpoint_name}: autoscaling pauses while the instance type changes")


def scales(session: boto3.Session, environment: Environment, instances: int) -> bool:
    """Whether an update keeps the instances that an endpoint has: only autoscaling makes another number of them.

    Before it begins they are as many as the settings before asked for, which may be fewer than a rollout needs now; and
    so it is while it has fewer than the settings ask for now.

    Args:
        session: may look at what scales.
        environment: whose endpoint is to be updated.
        instances: how many it has.
    """
    asked = wanted(environment)
    return asked is not None and instances >= asked.min and bool(target(session, place(environment)))


def configuration(asked: Autoscaling) -> dict[str, Any]:
    """The policy: so many requests a minute for each instance."""
    return {
        "TargetValue": float(asked.invocations_per_instance),
        "PredefinedMetricSpecification": {"PredefinedMetricType": METRIC},
        "ScaleInCooldown": asked.scale_in_seconds,
        "ScaleOutCooldown": asked.scale_out_seconds,
    }


def target(session: boto3.Session, where: dict[str, str]) -> dict[str, Any]:
    """The bounds between which an endpoint scales; empty when it does not."""
    with aws.explained("DescribeScalableTargets", where["ResourceId"]):
        found = aws.client(session, "application-autoscaling").describe_scalable_targets(
            ServiceNamespace=where["ServiceNamespace"],
            ResourceIds=[where["ResourceId"]],
            ScalableDimension=where["ScalableDimension"],
        )
    return dict(next(iter(found["ScalableTargets"]), {}))


def policy(session: boto3.Session, where: dict[str, str]) -> dict[str, Any]:
    """The policy of ours by which an endpoint scales; empty when there is none."""
    with aws.explained("DescribeScalingPolicies", where["ResourceId"]):
        found = aws.client(session, "application-autoscaling").describe_scaling_policies(**where)
    for each in found["ScalingPolicies"]:
        if each["PolicyName"] == POLICY:
            return dict(each["TargetTrackingScalingPolicyConfiguration"])
    return {}


def is_ours(session: boto3.Session, where: dict[str, str]) -> bool:
    """Whether an endpoint scales by a policy of ours; roles that may not ask have never begun it."""
    try:
        return bool(policy(session, where))
    except Failure as error:
        if "AccessDenied" in str(error):
            return False
        raise


def deregister(session: boto3.Session, where: dict[str, str]) -> None:
    """End an endpoint's autoscaling, its policies with it."""
    with aws.explained("DeregisterScalableTarget", where["ResourceId"]):
        aws.client(session, "application-autoscaling").deregister_scalable_target(**where)


def instance_types(session: boto3.Session, config: str) -> list[str]:
    """The instance types of a configuration."""
    with aws.explained("DescribeEndpointConfig", config):
        found = aws.client(session, "sagemaker").describe_endpoint_config(EndpointConfigName=config)
    return [each.get("InstanceType", "") for each in found["ProductionVariants"]]
