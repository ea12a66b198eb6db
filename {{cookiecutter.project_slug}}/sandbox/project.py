"""The project's accounts, as far as mlops.yaml tells: read as plain data, for the sandbox imports no machinery."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any


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
    own_bucket: str | None = None
    own_execution_role: str | None = None

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
        name = self.own_execution_role or self.named("execution")
        return name if name.startswith("arn:") else self.role(name)

    def role(self, name: str) -> str:
        """ARN of a role in its account."""
        return f"arn:aws:iam::{self.account}:role/{name}"


@dataclass(frozen=True)
class Project:
    """The project's name and region, its key if it names one, and its environments in their order."""

    name: str
    region: str
    kms_key: str | None
    environments: tuple[Environment, ...]

    def before(self, environment: Environment) -> Environment | None:
        """The environment whose models come into this one."""
        position = self.environments.index(environment)
        return self.environments[position - 1] if position else None

    def after(self, environment: Environment) -> Environment | None:
        """The environment that reads this one's models."""
        position = self.environments.index(environment) + 1
        return self.environments[position] if position < len(self.environments) else None


def project(settings: dict[str, Any]) -> Project:
    """The project that mlops.yaml describes."""
    listed = settings["environments"]
    advanced = settings.get("scenario") == "advanced"
    return Project(
        name=settings["project"],
        region=settings["region"],
        kms_key=settings.get("kms_key"),
        environments=tuple(
            _environment(settings["project"], each, position == 0, advanced and position == len(listed) - 1)
            for position, each in enumerate(listed)
        ),
    )


def _environment(project: str, given: dict[str, Any], first: bool, contest: bool) -> Environment:
    name = f"{project}-{given['name']}"
    served = (name, *([f"{name}-challenger"] if contest else []))
    return Environment(
        project=project,
        name=given["name"],
        account=str(given["account"]),
        first=first,
        manual=given.get("approval") == "manual",
        groups=(f"{name}-champion", f"{name}-challenger") if contest else (name,),
        endpoints=() if first else served,
        own_bucket=given.get("bucket"),
        own_execution_role=given.get("execution_role"),
    )
