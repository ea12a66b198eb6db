"""What autoscaling of an endpoint needs: Application Auto Scaling acts with the rights of who asks for it."""

from __future__ import annotations

from sandbox.project import Environment, Project
from sandbox.statements import Statement, allow

_SERVICE = "application-autoscaling"


def begin(project: Project, environment: Environment, names: list[str]) -> list[Statement]:
    """Register endpoints and their policies: with that come alarms and, the first time, the service's role.

    Args:
        project: and its region.
        environment: and its account.
        names: of the endpoints.
    """
    name = f"sagemaker.{_SERVICE}.amazonaws.com"
    role = f"role/aws-service-role/{name}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    return [
        _scalable(project, environment, "RegisterScalableTarget", "PutScalingPolicy"),
        allow([f"{_SERVICE}:DescribeScalableTargets", f"{_SERVICE}:DescribeScalingPolicies"], ["*"]),
        allow(["cloudwatch:PutMetricAlarm"], _alarms(project, environment, names)),
        {
            **allow(["iam:CreateServiceLinkedRole"], [f"arn:aws:iam::{environment.account}:{role}"]),
            "Condition": {"StringEquals": {"iam:AWSServiceName": name}},
        },
        *end(project, environment, names),
    ]


def end(project: Project, environment: Environment, names: list[str]) -> list[Statement]:
    """Deregister them, which deletes the alarms; deleting an endpoint that scales needs it too."""
    return [
        _scalable(project, environment, "DeregisterScalableTarget"),
        allow(["cloudwatch:DeleteAlarms"], _alarms(project, environment, names)),
    ]


def _scalable(project: Project, environment: Environment, *verbs: str) -> Statement:
    targets = f"arn:aws:{_SERVICE}:{project.region}:{environment.account}:scalable-target/*"
    of_sagemaker = {"StringEquals": {f"{_SERVICE}:service-namespace": "sagemaker"}}
    return {**allow([f"{_SERVICE}:{verb}" for verb in verbs], [targets]), "Condition": of_sagemaker}


def _alarms(project: Project, environment: Environment, names: list[str]) -> list[str]:
    start = f"arn:aws:cloudwatch:{project.region}:{environment.account}:alarm:TargetTracking-endpoint"
    return [f"{start}/{name}/*" for name in names]
