"""How an endpoint scales, whoever has set it so: taken away with a stop, and put back as it was.

What a deployment sets by the settings is in `autoscaling`.
"""

from typing import Any

import boto3

from mlops import aws
from mlops.errors import Failure
from mlops.hosting import endpoints

SERVICE = "sagemaker"
TARGET = ("ResourceId", "ScalableDimension", "MinCapacity", "MaxCapacity", "SuspendedState")
POLICY = ("PolicyName", "ResourceId", "ScalableDimension", "PolicyType", "TargetTrackingScalingPolicyConfiguration")
"""What is kept of a target and a policy of Application Auto Scaling: what the calls that make them take."""

FOLLOWED = "TargetTrackingScaling"
"""The policies that come back as they were. Of other ones alarms of somebody's name the policy, and would name it no
more; planned scaling has times of its own."""


def of(session: boto3.Session, endpoint: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What of an endpoint scales, and how.

    Raises:
        Failure: it scales in a way that would not come back.
    """
    client, resource = (
        aws.client(session, "application-autoscaling"),
        f"endpoint/{endpoint}/variant/{endpoints.VARIANT}",
    )
    with aws.explained("DescribeScalableTargets", endpoint):
        found = client.describe_scalable_targets(ServiceNamespace=SERVICE, ResourceIds=[resource])["ScalableTargets"]
    if not found:
        return [], []
    with aws.explained("DescribeScalingPolicies", endpoint):
        policies = client.describe_scaling_policies(ServiceNamespace=SERVICE, ResourceId=resource)["ScalingPolicies"]
    with aws.explained("DescribeScheduledActions", endpoint):
        planned = client.describe_scheduled_actions(ServiceNamespace=SERVICE, ResourceId=resource)["ScheduledActions"]
    others = [f"policy {each['PolicyName']}" for each in policies if each["PolicyType"] != FOLLOWED]
    others += [f"scheduled action {each['ScheduledActionName']}" for each in planned]
    if others:
        raise Failure(f"{endpoint} scales by {others[0]}, which would not come back: only {FOLLOWED} does; it stays up")
    return [chosen(each, TARGET) for each in found], [chosen(each, POLICY) for each in policies]


def chosen(described: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Some members of a description."""
    return {name: described[name] for name in names if described.get(name) is not None}


def put_back(
    session: boto3.Session, endpoint: str, targets: list[dict[str, Any]], policies: list[dict[str, Any]]
) -> None:
    """Let an endpoint scale as it did.

    What scales already was made by a deployment, whose settings are newer, or was put back by a run that was killed.

    Raises:
        Failure: AWS refuses.
    """
    client = aws.client(session, "application-autoscaling")
    scales, known = of(session, endpoint)
    there = {policy["PolicyName"] for policy in known}
    for target in [] if scales else targets:
        with aws.explained("RegisterScalableTarget", endpoint):
            client.register_scalable_target(ServiceNamespace=SERVICE, **target)
    for policy in policies:
        if policy["PolicyName"] in there:
            continue
        with aws.explained("PutScalingPolicy", endpoint):
            client.put_scaling_policy(ServiceNamespace=SERVICE, **policy)


def deregister(session: boto3.Session, target: dict[str, Any]) -> None:
    """Let something scale no more; its alarms go with it."""
    client = aws.client(session, "application-autoscaling")
    try:
        with aws.explained("DeregisterScalableTarget", target["ResourceId"]):
            client.deregister_scalable_target(
                ServiceNamespace=SERVICE,
                ResourceId=target["ResourceId"],
                ScalableDimension=target["ScalableDimension"],
            )
    except Failure as error:
        if "ObjectNotFoundException" not in str(error):
            raise
