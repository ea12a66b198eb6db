"""Settings of what exists already in AWS, and takes the place of what infrastructure code would make."""

import re
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, StringConstraints

from mlops.settings.criteria import Model

Duty = Literal["train", "deploy", "approve", "destroy", "prune", "monitor", "schedule", "image", "plan", "apply"]
"""What one job does in an environment, under a role that can do nothing else."""

DUTIES: tuple[Duty, ...] = get_args(Duty)

BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
RoleName = Annotated[
    str, StringConstraints(pattern=r"^(arn:aws[a-z-]*:iam::[0-9]{12}:role/)?[A-Za-z0-9_+=,.@/-]+$", max_length=576)
]
RolePath = Annotated[str, StringConstraints(pattern=r"^/([A-Za-z0-9_+=,.@-]+/)*$", max_length=512)]
KeyArn = Annotated[
    str,
    StringConstraints(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9_/-]+$"),
    BeforeValidator(lambda given: no_alias(given)),
]


def no_alias(given: object) -> object:
    """A key by its own name: policies of IAM that name an alias grant nothing of its key."""
    if isinstance(given, str) and re.fullmatch("(arn:.*:)?alias/.*", given):
        raise ValueError("is an alias, and no role's right to it is one to the key: give the key's own ARN, …:key/…")
    return given


class Roles(Model):
    """The roles of an environment's duties, each by its name, its path and name, or its ARN."""

    train: RoleName | None = None
    deploy: RoleName | None = None
    approve: RoleName | None = None
    destroy: RoleName | None = None
    prune: RoleName | None = None
    monitor: RoleName | None = None
    schedule: RoleName | None = None
    image: RoleName | None = None
    plan: RoleName | None = None
    apply: RoleName | None = None

    def of(self, duty: str) -> str | None:
        """The role that was given for a duty; None where ours is meant."""
        return dict(self).get(duty)
