"""The settings of a project: mlops.yaml as frozen models, each limit beside the field it limits."""

import keyword
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import (
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mlops.errors import BadInput
from mlops.settings import keys, problems, signals
from mlops.settings.compute import Image, Network, Prices, Stage
from mlops.settings.contest import Challenger, clashing, completed, inherited, undecided
from mlops.settings.criteria import Comparison, Data, Model, Monitoring, Threshold
from mlops.settings.existing import BucketName, KeyArn, RoleName, RolePath, Roles
from mlops.settings.retention import Retention
from mlops.settings.serving import Serving, misplaced

FILE = "mlops.yaml"

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", min_length=3, max_length=30)]
AccountId = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*$", min_length=2, max_length=12)]
RepositoryName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9](-?[A-Za-z0-9])*/[A-Za-z0-9._-]{1,100}$")]
Group = Literal["champion", "challenger"]

LONGEST_NAMES = 35
"""Characters of project and environment together in a contest: the names of the challenger's endpoint configurations,
`<project>-<environment>-challenger-v<version>-<hash>`, end at SageMaker's 63."""


class Environment(Model):
    """A stage of the way to production: its account, its people's say, and what serves there.

    In the advanced scenario two models serve in the last one. An environment is seen as that of one of them: its group,
    its endpoint, its alarms are the champion's, unless it is asked for as the challenger's; see `contender`.
    """

    name: EnvironmentName
    account: AccountId
    approval: Literal["automatic", "manual"] = "automatic"
    endpoint: Serving | None = None
    bucket_name: BucketName | None = Field(default=None, alias="bucket", description="an existing bucket")
    execution_role_name: RoleName | None = Field(default=None, alias="execution_role")
    roles: Roles = Field(default=Roles(), description="existing roles of the duties")
    kms_key: KeyArn | None = Field(default=None, description="in place of the project's")
    groups: tuple[Group, ...] = ()
    challenger: Challenger | None = None

    project: str = Field(default="", exclude=True, init=True)
    keys_in: str = Field(default="", exclude=True, init=True, description="region of keys that infra/ makes; or none")
    role_path: RolePath = Field(default="/", exclude=True, init=True)
    _champion: "Environment | None" = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def challenger_serves_as_the_environment_does(cls, given: Any) -> Any:
        """What a challenger's endpoint does not say, the environment's own says."""
        return completed(given)

    def named(self, suffix: str) -> str:
        """`<slug>-<environment>-<suffix>`, the form of every name that this environment owns."""
        return f"{self.project}-{self.name}-{suffix}"

    def contender(self, group: str | None) -> "Environment":
        """The environment as that of its champion, the only one where there is no contest, or of its challenger.

        Raises:
            BadInput: it has no such group.
        """
        champion = self._champion or self
        if group in (None, "champion"):
            return champion
        if group != "challenger":
            raise BadInput(f"--group is {group!r}; give champion or challenger")
        if not self.groups:
            raise BadInput(
                f"a challenger is meant, which {self.name} does not have: only the last environment has one, with "
                f"scenario: advanced in {FILE}"
            )
        given = self.challenger.endpoint if self.challenger else inherited(champion.endpoint)
        view = champion.model_copy(update={"endpoint": given})
        view._champion = champion
        return view

    @property
    def contenders(self) -> list["Environment"]:
        """The environment as that of each model that serves in it: two in an advanced production, else one."""
        return [self.contender(group) for group in self.groups] or [self]

    @property
    def is_challenger(self) -> bool:
        """Whether it is seen as its challenger's."""
        return self._champion is not None

    @property
    def is_champion(self) -> bool:
        """Whether it is the champion's, which a challenger contests."""
        return bool(self.groups) and not self.is_challenger

    @property
    def group(self) -> str:
        """The model group that its endpoint serves from."""
        return self.named("challenger" if self.is_challenger else "champion") if self.groups else self.endpoint_name

    @property
    def group_names(self) -> list[str]:
        """Every model group of the environment."""
        return [self.named(group) for group in self.groups] or [self.group]

    @property
    def endpoint_name(self) -> str:
        """The endpoint of the environment; the challenger has its own."""
        return self.named("challenger") if self.is_challenger else f"{self.project}-{self.name}"

    @property
    def label(self) -> str:
        """How people call it: `prod`, in a contest `prod champion`."""
        return self.group.removeprefix(f"{self.project}-").replace("-", " ")

    @property
    def options(self) -> str:
        """The options by which a command means it."""
        return f"--env {self.name} --group challenger" if self.is_challenger else f"--env {self.name}"

    @property
    def approval_environment(self) -> str:
        """The environment of GitHub whose reviewers approve what comes to it."""
        return f"{self.name}-challenger-approval" if self.is_challenger else f"{self.name}-approval"

    @property
    def bucket(self) -> str:
        """The bucket that holds the environment's artefacts."""
        return self.bucket_name or self.named(self.account)

    @property
    def execution_role(self) -> str:
        """ARN of the role that SageMaker assumes for the environment's jobs and endpoints."""
        return self.role_arn(self.execution_role_name or self.own_role("execution"))

    def role(self, duty: str) -> str:
        """ARN of the role that does one duty in the environment: train, deploy, approve and so on."""
        return self.role_arn(self.roles.of(duty) or self.own_role(duty))

    def own_role(self, duty: str) -> str:
        """Path and name of the role that infrastructure code makes for a duty."""
        return f"{self.role_path[1:]}{self.named(duty)}"

    def role_arn(self, name: str) -> str:
        """ARN of a role given by its name, path and name, or ARN."""
        return name if name.startswith("arn:") else f"arn:aws:iam::{self.account}:role/{name}"

    @property
    def alarm_names(self) -> list[str]:
        """The alarms that roll a deployment back; the manual one stops a rollout on command."""
        return signals.names(self.endpoint_name, self.endpoint.alarms if self.endpoint else ())


class Settings(Model):
    """All settings of a project."""

    project: Slug
    package: str
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")
    aws: Literal["sandbox", "account"] = "sandbox"
    repository: RepositoryName | None = Field(default=None, description="OWNER/NAME on GitHub")
    scenario: Literal["basic", "advanced"] = "basic"
    root: Path = Field(default=Path(), exclude=True)
    kms_key: KeyArn | None = Field(default=None, description="of every environment that does not give its own")
    role_path: RolePath = Field(default="/", description="of the roles that this project makes")
    environments: tuple[Environment, ...] = Field(min_length=2, max_length=8)
    stages: dict[str, Stage]
    image: Image = Image()
    prices: Prices | None = None
    # As long as the longest session of a role, less what a job needs beside its waits; see access.py.
    wait_minutes: float = Field(default=225, gt=0, le=225)
    gate: tuple[Threshold, ...] = ()
    data: Data | None = None
    comparison: Comparison | None = None
    retention: Retention = Retention()
    monitoring: Monitoring = Monitoring()
    network: Network | None = None
    tags: dict[str, str] = Field(default_factory=dict, max_length=40)

    @field_validator("package")
    @classmethod
    def package_is_importable(cls, package: str) -> str:
        """The name becomes a folder and an import."""
        name = re.fullmatch(r"[a-z][a-z0-9_]*", package) and not keyword.iskeyword(package)
        if not name or package in {"mlops", "sandbox"}:
            raise ValueError("a lower-case Python name that is no keyword and not mlops or sandbox is allowed")
        return package

    @field_validator("region")
    @classmethod
    def region_is_of_the_partition_aws(cls, region: str) -> str:
        """Names of roles, groups and keys are ARNs of the partition `aws`."""
        if region.startswith(("cn-", "us-gov-", "us-iso", "eusc-")):
            raise ValueError("is in a partition of its own, to which these accounts' ARNs do not lead: give another")
        return region

    @field_validator("environments", mode="before")
    @classmethod
    def environments_know_their_project(cls, environments: Any, info: ValidationInfo) -> Any:
        """Names of groups, buckets and roles start with the project's; its key is theirs unless they give another."""
        if not isinstance(environments, list | tuple):
            return environments
        own = {"project": info.data.get("project", ""), "role_path": info.data.get("role_path", "/")}
        own["keys_in"] = keys.made_in(info.data)
        key = {"kms_key": info.data.get("kms_key")}
        return [{**key, **each, **own} if isinstance(each, dict) else each for each in environments]

    @model_validator(mode="after")
    def environments_are_a_way(self) -> Self:
        """The first trains and serves nothing; the ones after it serve; names are unique."""
        names = [environment.name for environment in self.environments]
        # Its endpoint, `<project>-challenger`, would read as that of a model in a contest.
        for name in set(names).intersection(get_args(Group)):
            raise ValueError(f"environments.{name}.name is {name}, which means a model group: give another name")
        if len(set(names)) != len(names):
            raise ValueError(f"environments have the names {', '.join(names)}; each name may be given once")
        for environment in self.environments[1:]:
            if environment.endpoint is None:
                raise ValueError(f"environments.{environment.name} has no endpoint; every one after the first serves")
        return self

    @model_validator(mode="after")
    def scenario_has_its_groups(self) -> Self:
        """Champion and challenger are groups of production, and of the advanced scenario only."""
        wanted: tuple[Group, ...] = ("champion", "challenger") if self.scenario == "advanced" else ()
        last = self.environments[-1]
        for environment in self.environments[:-1]:
            if environment.groups or environment.challenger:
                what = "groups" if environment.groups else "a challenger"
                raise ValueError(f"environments.{environment.name} has {what}; only the last one may")
        if wanted and len(self.project) + len(last.name) > LONGEST_NAMES:
            raise ValueError(
                f"project {self.project} and environments.{last.name} have {len(self.project) + len(last.name)} "
                f"characters together; in the advanced scenario at most {LONGEST_NAMES}: call the environment shorter"
            )
        if last.groups != wanted:
            object.__setattr__(
                self, "environments", (*self.environments[:-1], last.model_copy(update={"groups": wanted}))
            )
        return self

    @model_validator(mode="after")
    def endpoints_go_with_the_rest(self) -> Self:
        """What SageMaker does not have together, and what a contest needs."""
        for environment in self.environments[1:]:
            if environment.groups and (why := undecided(environment.approval)):
                raise ValueError(f"environments.{environment.name}.approval {why}")
            if environment.groups and environment.endpoint and (why := clashing(environment.endpoint.alarms)):
                raise ValueError(f"environments.{environment.name}.endpoint.alarms: {why}")
            for each in environment.contenders:
                if each.endpoint and (why := misplaced(each.endpoint, self.network, bool(each.groups))):
                    place = "challenger.endpoint" if each.is_challenger else "endpoint"
                    raise ValueError(f"environments.{environment.name}.{place}.kind {why}")
        return self

    def environment(self, name: str) -> Environment:
        """The environment of a name.

        Raises:
            BadInput: there is none of that name.
        """
        for environment in self.environments:
            if environment.name == name:
                return environment
        names = ", ".join(environment.name for environment in self.environments)
        raise BadInput(f"environment is {name!r}; {FILE} has {names}")

    def before(self, environment: Environment) -> Environment | None:
        """The environment whose models come into this one; None for the first."""
        position = [each.name for each in self.environments].index(environment.name)
        return self.environments[position - 1] if position else None

    def after(self, environment: Environment) -> Environment | None:
        """The environment that reads this one's models; None for the last."""
        position = [each.name for each in self.environments].index(environment.name)
        return self.environments[position + 1] if position + 1 < len(self.environments) else None

    @cached_property
    def package_folder(self) -> Path:
        """Folder of the model's package."""
        return self.root / "src" / self.package


def load(root: Path | None = None) -> Settings:
    """Read mlops.yaml from a folder or the nearest one above it.

    Args:
        root: where to look first; the working directory when not given.

    Raises:
        BadInput: there is no such file, it is no YAML, or a value is not allowed: one line for each.
    """
    start = (root or Path.cwd()).resolve()
    for folder in [start, *start.parents]:
        if (folder / FILE).is_file():
            return read(folder / FILE)
    raise BadInput(f"{FILE} was not found in {start} or above it; run mlops in a project's folder")


def read(file: Path) -> Settings:
    """Read one settings file; see `load`."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{file.name}: {problems.of_yaml(error)}") from error
    if not isinstance(content, dict):
        found = "is empty" if content is None else "holds no settings"
        raise BadInput(f"{file.name}: {found}; lines such as project: NAME are needed")
    try:
        return Settings.model_validate({**content, "root": file.parent})
    except ValidationError as error:
        raise BadInput("\n".join(problems.line(problem, content, file.name) for problem in error.errors())) from error
