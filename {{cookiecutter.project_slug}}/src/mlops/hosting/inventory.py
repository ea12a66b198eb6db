"""What there is of an environment's hosting, by the beginning of its names: endpoints, configurations and models."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import boto3

from mlops import aws
from mlops.errors import NotFound
from mlops.registry import packages
from mlops.settings.project import Environment

OURS = re.compile(r"^(?P<group>.+?)(-s)?-v(?P<version>[0-9]+)-[0-9a-f]{8}$")
"""A name that the machinery gives to a model or a configuration: its group, the version, a hash of the settings."""


def every_group(environment: Environment) -> list[str]:
    """The groups of an environment in either scenario: those of the other one may still hold what served."""
    plain = environment.contender("champion").endpoint_name
    return [plain, environment.named("champion"), environment.named("challenger")]


def group_of(name: str) -> str:
    """The group of a model or a configuration; empty when the machinery did not make it."""
    match = OURS.match(name)
    return match["group"] if match else ""


def own_version(session: boto3.Session, environment: Environment, config: str) -> int | None:
    """The version of an environment's group that a configuration serves; None when it serves none of them.

    After a switch of the scenario that was killed, an endpoint still serves from the group before, in which the same
    model may have another number, and another model the same.
    """
    match, group = OURS.match(config), group_of(config)
    if not match or group not in every_group(environment):
        return None
    version = int(match["version"])
    if group == environment.group:
        return version
    try:
        model = packages.of_version(session, group, version).fingerprint
    except NotFound:
        return None
    same = (each.version for each in packages.entries(session, environment.group) if each.fingerprint == model)
    return next(same, None)


def configs(session: boto3.Session, environment: Environment) -> list[tuple[str, datetime]]:
    """The configurations that were made for an environment, newest first, with their times."""
    return list(made(session, environment, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"))


def models(session: boto3.Session, environment: Environment) -> list[tuple[str, datetime]]:
    """The models that were made for an environment, newest first, with their times."""
    return list(made(session, environment, "list_models", "Models", "ModelName"))


def made(
    session: boto3.Session, environment: Environment, call: str, member: str, field: str
) -> Iterator[tuple[str, datetime]]:
    """Names and times of one kind, of this environment's groups only: another project's may begin alike."""
    groups = every_group(environment)
    for each in listed(session, call, member, groups[0]):
        if group_of(each[field]) in groups:
            yield each[field], each["CreationTime"]


def endpoints(session: boto3.Session, environment: Environment) -> list[str]:
    """The endpoints whose names begin with the environment's: its own, and those that people made beside them."""
    prefix = every_group(environment)[0]
    names = [each["EndpointName"] for each in listed(session, "list_endpoints", "Endpoints", prefix)]
    return [name for name in names if name == prefix or name.startswith(f"{prefix}-")]


def listed(session: boto3.Session, call: str, member: str, text: str) -> Iterator[dict[str, Any]]:
    """What a list call gives of names that hold a text, newest first, all its pages."""
    client = aws.client(session, "sagemaker")
    with aws.explained(call, text):
        pages = client.get_paginator(call).paginate(NameContains=text, SortBy="CreationTime", SortOrder="Descending")
        for page in pages:
            yield from page[member]


def models_of(session: boto3.Session, config: str) -> set[str]:
    """The models that a configuration serves, those in the shadow too."""
    with aws.explained("DescribeEndpointConfig", config):
        found = aws.client(session, "sagemaker").describe_endpoint_config(EndpointConfigName=config)
    variants = [*found["ProductionVariants"], *found.get("ShadowProductionVariants", [])]
    return {each["ModelName"] for each in variants if "ModelName" in each}
