"""Events of AWS that start a workflow: what each has to hold, and which workflow with which inputs it means."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Ignored(Exception):
    """An event starts nothing: the message says why."""


@dataclass(frozen=True)
class Dispatch:
    """A workflow to start.

    Args:
        workflow: its file in .github/workflows.
        inputs: of its `workflow_dispatch`. They are a hint: the workflow reads from AWS what it acts on.
        key: the same for events that mean the same, so that the second of them starts nothing.
    """

    workflow: str
    inputs: dict[str, str]
    key: str


@dataclass(frozen=True)
class Watched:
    """What this environment's functions listen to, from the variables that Terraform gives them."""

    environment: str
    prefix: str
    groups: tuple[str, ...]
    alarms: tuple[str, ...]
    trains: bool

    @classmethod
    def from_variables(cls) -> "Watched":
        """Read the variables."""
        return cls(
            environment=os.environ["ENVIRONMENT"],
            prefix=os.environ["PREFIX"],
            groups=tuple(filter(None, os.environ.get("GROUPS", "").split(","))),
            alarms=tuple(filter(None, os.environ.get("DRIFT_ALARMS", "").split(","))),
            trains=os.environ.get("TRAINS") == "true",
        )


ENDED = ("Completed", "Failed", "Stopped")


def meaning(event: Any, watched: Watched) -> Dispatch:
    """The workflow that an event starts.

    Raises:
        Ignored: it starts none: it is another one's, of another kind, or not in its form.
    """
    kind = text(event, "detail-type")
    match text(event, "source"), kind:
        case "aws.sagemaker", "SageMaker Model Package State Change":
            return approved(event, watched)
        case "aws.sagemaker", "SageMaker Training Job State Change":
            return ended(event, watched, "Training")
        case "aws.sagemaker", "SageMaker Processing Job State Change":
            return ended(event, watched, "Processing")
        case "aws.cloudwatch", "CloudWatch Alarm State Change":
            return drifted(event, watched)
    raise Ignored(f"nothing is started by {kind!r}")


def approved(event: Any, watched: Watched) -> Dispatch:
    """A version was approved in the registry: it is deployed."""
    group, status = text(event, "detail", "ModelPackageGroupName"), text(event, "detail", "ModelApprovalStatus")
    package = text(event, "detail", "ModelPackageArn")
    if group not in watched.groups or status != "Approved":
        raise Ignored(f"{group} is {status}")
    if not re.fullmatch(rf"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:[0-9]{{12}}:model-package/{group}/[0-9]+", package):
        raise Ignored(f"ModelPackageArn {package[:300]!r} is no version of {group}")
    # The challenger's group has an endpoint of its own.
    contender = "challenger" if group == f"{watched.prefix}-challenger" else "champion"
    inputs = {"environment": watched.environment, "group": contender, "package": package}
    return Dispatch("approved.yml", inputs, f"{package} {status} {decided(event)}")


def decided(event: Any) -> str:
    """When a version was decided on, the same in all events of that decision: who approves anew is heard anew."""
    changed = event["detail"].get("LastModifiedTime")
    return str(changed) if isinstance(changed, str | int | float) else text(event, "time")


def ended(event: Any, watched: Watched, kind: str) -> Dispatch:
    """A job of the pipeline has ended, however, where models are trained: who waited for it goes on."""
    job, status = text(event, "detail", f"{kind}JobName"), text(event, "detail", f"{kind}JobStatus")
    if not watched.trains or not re.fullmatch(rf"{watched.prefix}-[A-Za-z0-9-]{{1,63}}", job) or status not in ENDED:
        raise Ignored(f"{job[:100]} is {status}")
    return Dispatch("training-finished.yml", {"job": job}, f"{job} {status}")


def drifted(event: Any, watched: Watched) -> Dispatch:
    """The alarm on drift fires: the model is trained again, through the gates that every model passes."""
    alarm, state = text(event, "detail", "alarmName"), text(event, "detail", "state", "value")
    if alarm not in watched.alarms or state != "ALARM":
        raise Ignored(f"alarm {alarm[:100]} is {state}")
    return Dispatch("retrain.yml", {"reason": f"alarm {alarm}"}, f"{alarm} {text(event, 'id')}")


def text(event: Any, *path: str) -> str:
    """The text at a place in an event.

    Raises:
        Ignored: there is none.
    """
    found = event
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, str) or not found:
        raise Ignored(f"it is malformed: {'.'.join(path)} is {str(found)[:100]!r}, a text is needed")
    return found
