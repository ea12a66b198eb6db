"""The project's accounts, as far as mlops.yaml tells: read as plain data, for the sandbox imports no machinery."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Signal:
    """An alarm on a metric of the project's own."""

    name: str
    metric: str
    namespace: str
    dimensions: dict[str, str] | None
    statistic: str
    above: float | None
    below: float | None
    seconds: int
    periods: int


@dataclass(frozen=True)
class Environment:
    """One environment of the project and the names of what it owns."""

    project: str
    name: str
    account: str
    first: bool
    manual: bool
    groups: tuple[str, ...]
    endpoints: tuple[str, ...]
    kms_key: str | None = None
    makes_key: bool = False
    signals: tuple[tuple[Signal, ...], ...] = ()
    named_alarms: tuple[str, ...] = ()
    own_bucket: str | None = None
    own_execution_role: str | None = None
    own_roles: Mapping[str, str] = field(default_factory=dict)
    role_path: str = "/"

    def named(self, suffix: str) -> str:
        """The form of every name that the environment owns."""
        return f"{self.project}-{self.name}-{suffix}"

    @property
    def bucket(self) -> str:
        """The bucket of its data and artefacts."""
        return self.own_bucket or self.named(self.account)

    @cached_property
    def execution_role(self) -> str:
        """ARN of the role of its jobs and endpoints."""
        return self._role(self.own_execution_role, "execution")

    def role(self, duty: str) -> str:
        """ARN of the role of a duty."""
        return self._role(self.own_roles.get(duty), duty)

    def _role(self, given: str | None, duty: str) -> str:
        name = given or f"{self.role_path[1:]}{self.named(duty)}"
        return name if name.startswith("arn:") else f"arn:aws:iam::{self.account}:role/{name}"


@dataclass(frozen=True)
class Project:
    """The project's name and region, whether it has a network, and its environments in their order."""

    name: str
    region: str
    network: bool
    environments: tuple[Environment, ...]

    def before(self, environment: Environment) -> Environment | None:
        """The environment whose models come into this one."""
        position = self.environments.index(environment)
        return self.environments[position - 1] if position else None

    def after(self, environment: Environment) -> Environment | None:
        """The environment that reads this one's models."""
        position = self.environments.index(environment) + 1
        return self.environments[position] if position < len(self.environments) else None


def project(settings: dict[str, Any], makes_keys: bool = False) -> Project:
    """The project that mlops.yaml describes.

    Args:
        settings: mlops.yaml as plain data.
        makes_keys: infrastructure code makes a key for each environment that names none.
    """
    listed = settings["environments"]
    advanced = settings.get("scenario") == "advanced"
    return Project(
        name=settings["project"],
        region=settings["region"],
        network=bool(settings.get("network")),
        environments=tuple(
            _environment(settings, each, position == 0, advanced and position == len(listed) - 1, makes_keys)
            for position, each in enumerate(listed)
        ),
    )


def _environment(
    settings: dict[str, Any], given: dict[str, Any], first: bool, contest: bool, makes_keys: bool
) -> Environment:
    name = f"{settings['project']}-{given['name']}"
    # The project's key is everybody's who gives no other; null is none.
    key = given.get("kms_key", settings.get("kms_key"))
    makes_key = makes_keys and key is None
    if makes_key:
        # AWS gives it a name by chance; this one is the same at every start.
        key = f"arn:aws:kms:{settings['region']}:{given['account']}:key/{uuid.uuid5(uuid.NAMESPACE_DNS, name)}"
    served = () if first else (name, *([f"{name}-challenger"] if contest else []))
    contender = given.get("challenger") if contest else None
    alarms = [(each or {}).get("alarms") or [] for each in (given.get("endpoint"), (contender or {}).get("endpoint"))]
    return Environment(
        project=settings["project"],
        name=given["name"],
        account=str(given["account"]),
        first=first,
        manual=given.get("approval") == "manual",
        groups=(f"{name}-champion", f"{name}-challenger") if contest else (name,),
        kms_key=key,
        makes_key=makes_key,
        endpoints=served,
        signals=tuple(tuple(_signal(each) for each in own if isinstance(each, dict)) for own in alarms)[: len(served)],
        named_alarms=tuple(dict.fromkeys(each for own in alarms for each in own if isinstance(each, str))),
        own_bucket=given.get("bucket"),
        own_execution_role=given.get("execution_role"),
        own_roles={duty: role for duty, role in (given.get("roles") or {}).items() if role},
        role_path=settings.get("role_path") or "/",
    )


def _signal(given: dict[str, Any]) -> Signal:
    return Signal(
        name=given["name"],
        metric=given["metric"],
        namespace=given.get("namespace", "AWS/SageMaker"),
        dimensions=given.get("dimensions"),
        statistic=given.get("statistic", "Average"),
        above=given.get("above"),
        below=given.get("below"),
        seconds=given.get("seconds", 60),
        periods=given.get("periods", 1),
    )
