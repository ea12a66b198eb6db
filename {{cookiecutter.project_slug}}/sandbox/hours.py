"""What a stop and a start of endpoints need: the policy of the role that does them, and of the function in AWS."""

from __future__ import annotations

from typing import Any

from sandbox import scaling_grants
from sandbox.project import Environment, Project
from sandbox.statements import KEY_USE, Statement, allow, document


def schedule(project: Project, environment: Environment) -> dict[str, Any]:
    """Delete an endpoint and make it again by a configuration that is there, scaling included; deploy nothing new."""
    start = f"{project.name}-{environment.name}"
    names = [start, f"{start}-*"]
    groups = [start, f"{start}-champion", f"{start}-challenger"]
    here = f"arn:aws:sagemaker:{project.region}:{environment.account}"
    verbs = ["DescribeEndpoint", "DeleteEndpoint", "AddTags", "ListTags"]
    kinds = ("endpoint", "endpoint-config")
    return document(
        [
            allow([f"sagemaker:{each}" for each in verbs], [f"{here}:endpoint/{name}" for name in names]),
            allow(["sagemaker:CreateEndpoint"], [f"{here}:{kind}/{name}" for kind in kinds for name in names]),
            # Which version serves, where another one stands in its shadow.
            allow(["sagemaker:DescribeEndpointConfig"], [f"{here}:endpoint-config/{name}" for name in names]),
            allow(
                ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"],
                [f"{here}:model-package/{group}/*" for group in groups],
            ),
            *scaling_grants.begin(project, environment, names),
            allow(["application-autoscaling:DescribeScheduledActions"], ["*"]),
            *keep_stopped(environment),
            *([allow(list(KEY_USE), [environment.kms_key])] if environment.kms_key else []),
        ]
    )


def keep_stopped(environment: Environment) -> list[Statement]:
    """Where is kept what a stopped endpoint is made again from. Without the list a missing object is a refusal."""
    arn = f"arn:aws:s3:::{environment.bucket}"
    return [
        allow(["s3:ListBucket"], [arn]),
        allow(["s3:GetObject", "s3:PutObject"], [f"{arn}/endpoints/*"]),
    ]
