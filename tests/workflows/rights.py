"""What the recorded scenarios need of their roles: each grant that a call made use of, with names left out.

A grant is a duty, an action and the kind of resource: `deploy sagemaker:UpdateEndpoint endpoint/OWN`. OWN is what the
role's environment has, BEFORE and AFTER what the environments before and after it have. Behind a `#` stands why one is
asked for only now and then: it depends on what happens first.

Every sandbox in which scenarios run writes down what roles ask of it; tests/conftest.py holds that against rights.txt
when all tests are over, for they run in several processes.
"""

import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox import grants
from sandbox.policies import Request, like, listed, matches
from sandbox.project import Environment, Project, project

FOLDER = "ASKED_OF_SANDBOXES"
"""The variable that names the folder of the records."""
LIST = Path(__file__).parents[1] / "rights.txt"
"""The grants that the scenarios make use of."""

MARK = "  # "
"""What stands between a grant and why it is asked for only now and then."""

Grant = tuple[str, str, str]
"""A duty, an action, and a kind of resource."""

Policy = Callable[[Project, Environment], dict[str, Any]]


@dataclass(frozen=True)
class Expected:
    """A refusal that a test asks for."""

    duty: str
    action: str
    resource: str

    def fits(self, refusal: Grant) -> bool:
        """Whether a refusal is this one."""
        duty, action, resource = refusal
        return (duty, action) == (self.duty, self.action) and like(self.resource, resource)


REFUSED = (
    Expected("deploy", "sagemaker:UpdateModelPackage", "*:222222222222:model-package/*-prod/*"),  # it may not approve
    Expected("prune", "s3:GetObject", "*/models/*"),
    Expected("prune", "sagemaker:ListModelPackages", "*:222222222222:model-package/*-prod/*"),  # taken from it
    Expected("prune", "sagemaker:DeleteEndpoint", "*"),
    Expected("prune", "sagemaker:DeleteModelPackage", "*:222222222222:model-package/*-prod/*"),
)
"""What tests ask for to see it refused; everything else that a scenario asks for is granted."""

EVERYWHERE: dict[str, Policy] = {"execution": grants.execution, "deploy": grants.deploy, "prune": grants.prune}
FIRST: dict[str, Policy] = {"train": grants.train, "image": grants.image}
LATER: dict[str, Policy] = {
    "approve": grants.approve, "destroy": grants.destroy, "monitor": grants.monitor, "schedule": grants.schedule,
}  # fmt: skip


@dataclass(frozen=True)
class Role:
    """A role of a project, and what its policy grants."""

    duty: str
    environment: Environment
    project: Project

    @property
    def arn(self) -> str:
        """The role's name in full."""
        return self.environment.execution_role if self.duty == "execution" else self.environment.role(self.duty)

    @property
    def statements(self) -> list[dict[str, Any]]:
        """The statements of its policy."""
        policy = {**EVERYWHERE, **FIRST, **LATER}[self.duty]
        return list(policy(self.project, self.environment)["Statement"])

    def grants(self, statements: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Grant]]:
        """Each action on each resource that statements allow: the resource's pattern, and the grant."""
        for statement in statements:
            for action in listed(statement["Action"]):
                for resource in listed(statement["Resource"]):
                    yield resource, (self.duty, action, self._kind(resource))

    def _kind(self, resource: str) -> str:
        """A resource without region, account and names."""
        names = [each.name for each in self.project.environments]
        own = names.index(self.environment.name)

        def place(found: re.Match[str]) -> str:
            other = names.index(found[1])
            return "OWN" if other == own else "BEFORE" if other < own else "AFTER"

        kind = resource.split(":", 5)[-1] if resource.startswith("arn:") else resource
        if ":role/" in resource and "aws-service-role" not in resource:
            return "role"
        if ":key/" in resource:
            return "key"
        kind = re.sub(f"^repository/{re.escape(self.project.name)}$", "repository/PROJECT", kind)
        ends = "(?:-champion|-challenger|-[0-9]{12}|-\\*)?"
        return re.sub(f"{re.escape(self.project.name)}-({'|'.join(names)}){ends}", place, kind)


def roles(settings: dict[str, Any]) -> list[Role]:
    """The roles of a project's environments."""
    described = project(settings)
    return [
        Role(duty, environment, described)
        for environment in described.environments
        for duty in (*EVERYWHERE, *(FIRST if environment.first else LATER))
    ]


def granted(settings: dict[str, Any]) -> set[Grant]:
    """Everything that the roles of a project may do."""
    return {grant for role in roles(settings) for _, grant in role.grants(role.statements)}


def noted(settings: Path) -> list[str]:
    """The options with which a sandbox writes down what roles ask for."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        return []
    file = Path(folder) / f"{uuid.uuid4()}.jsonl"
    shutil.copy(settings, file.with_suffix(".yaml"))
    return ["--asked", str(file)]


@dataclass(frozen=True)
class Record:
    """What a sandbox has written down.

    Args:
        used: the grants that something was allowed by.
        refused: duty, action and resource of what was not allowed.
    """

    used: frozenset[Grant]
    refused: frozenset[Grant]


def record(file: Path, settings: dict[str, Any]) -> Record:
    """Hold what roles asked for, in a file that `--asked` made, against what their policies grant."""
    known = {role.arn: role for role in roles(settings)}
    used, refused = set(), set()
    for line in file.read_text(encoding="utf-8").splitlines():
        asked = json.loads(line)
        if (role := known.get(asked["role"])) is None:
            continue
        if not asked["allowed"]:
            refused.add((role.duty, asked["action"], asked["resource"]))
            continue
        request = Request(asked["action"], asked["resource"], context=asked["context"])
        fitting = [each for each in role.statements if matches(each, request)]
        narrow = ({**each, "Action": asked["action"], "Resource": one} for each in fitting for one in each["Resource"])
        used |= {grant for each in narrow if matches(each, request) for _, grant in role.grants([each])}
    return Record(frozenset(used), frozenset(refused))


def recorded(folder: Path) -> Record:
    """What all sandboxes have written down."""
    records = [
        record(file, yaml.safe_load(file.with_suffix(".yaml").read_text(encoding="utf-8")))
        for file in folder.glob("*.jsonl")
    ]
    return Record(
        frozenset(grant for each in records for grant in each.used),
        frozenset(refusal for each in records for refusal in each.refused),
    )


def rows() -> dict[Grant, str]:
    """The grants of rights.txt; with each why it is asked for only now and then, empty where it always is."""
    found = {}
    for line in LIST.read_text(encoding="utf-8").splitlines():
        grant, _, why = line.partition(MARK)
        duty, action, kind = grant.split(" ", 2)
        found[duty, action, kind] = why
    return found


def kept() -> set[Grant]:
    """The grants of rights.txt."""
    return set(rows())


def keep(used: Iterable[Grant]) -> None:
    """Write rights.txt, with what it says of grants that are asked for only now and then."""
    marks = {grant: f"{MARK}{why}" for grant, why in rows().items() if why}
    lines = [f"{' '.join(grant)}{marks.get(grant, '')}\n" for grant in sorted({*used, *marks})]
    LIST.write_text("".join(lines), encoding="utf-8")


def problems(found: Record, whole: bool) -> list[str]:
    """What does not go with rights.txt; when not all tests ran, what they would have made use of is not missed."""
    always = {grant for grant, why in rows().items() if not why}
    more = [f"not in rights.txt: {' '.join(grant)}" for grant in sorted(found.used - kept())]
    less = [f"in rights.txt, and nothing asks for it: {' '.join(grant)}" for grant in sorted(always - found.used)]
    refused = [
        f"refused: {' '.join(each)}" for each in sorted(found.refused) if not any(rule.fits(each) for rule in REFUSED)
    ]
    return [*more, *(less if whole else []), *refused]
