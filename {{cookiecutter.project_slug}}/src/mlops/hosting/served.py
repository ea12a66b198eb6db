"""What an endpoint has served: each configuration that came to serve is marked, for SageMaker keeps no such history."""

from datetime import UTC, datetime

import boto3

from mlops import aws
from mlops.hosting import endpoints
from mlops.settings.project import Environment, Settings

MARK = "mlops:served"
"""Tag of a configuration that has served, with when it began to: one that was made may have failed to start."""


def mark(session: boto3.Session, settings: Settings, environment: Environment, config: str) -> None:
    """Mark the configuration that an endpoint serves now, unless it is; one that is not ours is left alone."""
    if endpoints.version_of(config) is None or since(session, settings, environment, config):
        return
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    with aws.explained("AddTags", config):
        aws.client(session, "sagemaker").add_tags(
            ResourceArn=arn(settings, environment, config), Tags=[{"Key": MARK, "Value": now}]
        )


def since(session: boto3.Session, settings: Settings, environment: Environment, config: str) -> str:
    """When a configuration began to serve; empty when it never did."""
    return tags(session, settings, environment, config).get(MARK, "")


def tags(session: boto3.Session, settings: Settings, environment: Environment, config: str) -> dict[str, str]:
    """The tags of a configuration."""
    given = {"ResourceArn": arn(settings, environment, config)}
    found: dict[str, str] = {}
    with aws.explained("ListTags", config):
        while True:
            page = aws.client(session, "sagemaker").list_tags(**given)
            found |= {tag["Key"]: tag["Value"] for tag in page["Tags"]}
            if not page.get("NextToken"):
                return found
            given["NextToken"] = page["NextToken"]


def arn(settings: Settings, environment: Environment, config: str) -> str:
    """ARN of a configuration."""
    return f"arn:aws:sagemaker:{settings.region}:{environment.account}:endpoint-config/{config}"


def config_of(
    session: boto3.Session, settings: Settings, environment: Environment, configs: list[str], version: int
) -> str | None:
    """The newest of some configurations under which a version has served; None when it never has."""
    for config in configs:
        if endpoints.version_of(config) == version and since(session, settings, environment, config):
            return config
    return None
