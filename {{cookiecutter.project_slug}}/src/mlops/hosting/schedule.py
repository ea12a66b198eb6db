"""Stops and starts: an endpoint that nobody needs at night is deleted in the evening and made again in the morning.

What it is made from again is kept in the environment's bucket, at `endpoints/<endpoint>/stopped.json`. While that is
there and the endpoint is not, the endpoint is stopped. The commands and the function of Lambda both do what is here.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import boto3

from mlops import aws, storage
from mlops.display import Progress
from mlops.errors import BadInput, Failure, NotFound
from mlops.hosting import autoscaling, endpoints, inventory, scaling, shadows
from mlops.hosting.endpoints import State
from mlops.registry import packages
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Batch


@dataclass(frozen=True)
class Stopped:
    """What an endpoint is made again from.

    Attributes:
        config: name of its configuration.
        tags: of the endpoint.
        targets: what scaled, as RegisterScalableTarget takes it.
        policies: how, as PutScalingPolicy takes it.
        created: when the endpoint that was stopped had been made, in ISO 8601.
    """

    config: str
    tags: list[dict[str, str]] = field(default_factory=list)
    targets: list[dict[str, Any]] = field(default_factory=list)
    policies: list[dict[str, Any]] = field(default_factory=list)
    created: str = ""


@dataclass(frozen=True)
class Change:
    """What was done with an endpoint: stopped, starting, started, or why nothing."""

    endpoint: str
    done: str


def end(settings: Settings, environment: Environment, progress: Progress) -> list[Change]:
    """Stop every endpoint of an environment, once nothing is going on with it any more, and wait until it is gone."""
    names = served(environment)
    session = aws.session(settings, environment, "schedule")
    changes = []
    for name in names:
        endpoints.settle(session, name, progress)
        changes.append(stop(session, environment.bucket, name))
        endpoints.settle(session, name, progress)
    return changes


def begin(settings: Settings, environment: Environment, progress: Progress) -> list[Change]:
    """Start every endpoint of an environment that is stopped, wait until it serves, and let it scale as it did.

    Raises:
        Failure: one does not start.
    """
    names = served(environment)
    session = aws.session(settings, environment, "schedule")
    changes = []
    for name in names:
        endpoints.settle(session, name, progress)
        change = start(session, environment.bucket, name)
        found = endpoints.settle(session, name, progress)
        if change.done == "starting" and (found is None or found.status != "InService"):
            raise Failure(f"{name} does not start: {(found.failure or found.status) if found else 'it is gone'}")
        back = restore(session, environment.bucket, name) if found else change
        changes.append(change if back.done == "not stopped" else back)
    return changes


def served(environment: Environment) -> list[str]:
    """The endpoints of an environment.

    Raises:
        BadInput: it has none.
    """
    if environment.endpoint is None or isinstance(environment.endpoint, Batch):
        raise BadInput(f"environment is {environment.name!r}, which has no endpoint to start or stop")
    return [each.endpoint_name for each in environment.contenders]


def stop(session: boto3.Session, bucket: str, endpoint: str) -> Change:
    """Delete an endpoint, after what it is made again from was written down. Doing it again does nothing.

    Raises:
        Failure: something is going on with it, it scales in a way that would not come back, or AWS refuses.
    """
    found, before = endpoints.state(session, endpoint), kept(session, bucket, endpoint)
    if found is None or found.status == "Deleting":
        return Change(endpoint, "stopped already" if before else "not there")
    if found.status == "Failed" and before:
        # It did not start; what it is made from stays written down.
        delete(session, endpoint)
        return Change(endpoint, "stopped")
    if found.status != "InService":
        raise Failure(f"{endpoint} is {found.status}: it is stopped when it is InService; stop it again later")
    scales, policies = scaling.of(session, endpoint)
    targets = scales
    if before:
        # A run that was killed has deregistered what it had written down, or has put back a part of it only.
        targets = scales or before.targets
        policies = list({each["PolicyName"]: each for each in [*before.policies, *policies]}.values())
    # A shadow ends with it: its deployment is over, and nobody would take away what came back in the morning.
    config = shadows.without_shadow(session, found.config)
    written = Stopped(config, tags(session, endpoint), targets, policies, found.created.isoformat())
    keep(session, bucket, endpoint, written)
    for target in scales:
        scaling.deregister(session, target)
    delete(session, endpoint)
    return Change(endpoint, "stopped")


def start(session: boto3.Session, bucket: str, endpoint: str) -> Change:
    """Make a stopped endpoint again; `restore` follows when it is in service. Doing it again does nothing.

    Raises:
        Failure: it is just being deleted, its version is not Approved any more, or AWS refuses.
    """
    stopped, found = kept(session, bucket, endpoint), endpoints.state(session, endpoint)
    if found is not None and found.status == "Failed" and stopped:
        delete(session, endpoint)
        raise Failure(f"{endpoint} had failed ({found.failure or 'no reason given'}): it is deleted; start it again")
    if found is not None and found.status == "Deleting":
        raise Failure(f"{endpoint} is Deleting: start it again in a minute")
    if stopped is not None and found is not None and found.created.isoformat() == stopped.created:
        # A stop was killed before it had deleted anything.
        return put_back(session, bucket, endpoint, stopped, found)
    if stopped is None or found is not None:
        return Change(endpoint, "not stopped")
    refuse_rejected(session, endpoint, stopped.config)
    with aws.explained("CreateEndpoint", endpoint), endpoints.unless_done("already exist"):
        aws.client(session, "sagemaker").create_endpoint(
            EndpointName=endpoint, EndpointConfigName=stopped.config, Tags=stopped.tags
        )
    return Change(endpoint, "starting")


def restore(session: boto3.Session, bucket: str, endpoint: str) -> Change:
    """Let an endpoint that serves again scale as it did before it was stopped, and forget that it was.

    An event comes late: the endpoint that is just being stopped is left, and what it is made again from stays known.

    Raises:
        Failure: it does not serve yet, or AWS refuses.
    """
    stopped = kept(session, bucket, endpoint)
    if stopped is None:
        return Change(endpoint, "not stopped")
    found: State | None = endpoints.state(session, endpoint)
    if found is not None and found.created.isoformat() == stopped.created:
        return Change(endpoint, "being stopped")
    return put_back(session, bucket, endpoint, stopped, found)


def put_back(session: boto3.Session, bucket: str, endpoint: str, stopped: Stopped, found: State | None) -> Change:
    """Let an endpoint scale as it did, and forget that it was stopped.

    Raises:
        Failure: it does not serve, or AWS refuses.
    """
    if found is None or found.status != "InService":
        raise Failure(f"{endpoint} is {found.status if found else 'not there'}: it scales when it is InService")
    scaling.put_back(session, endpoint, stopped.targets, stopped.policies)
    keep(session, bucket, endpoint, None)
    return Change(endpoint, "started")


def kept(session: boto3.Session, bucket: str, endpoint: str) -> Stopped | None:
    """What an endpoint is made again from; None when it was not stopped.

    Raises:
        Failure: it is not as it was written.
    """
    place = record(bucket, endpoint)
    try:
        content = json.loads(storage.read(session, place))
        return Stopped(**content) if content else None
    except NotFound:
        return None
    except (ValueError, TypeError) as error:
        raise Failure(f"{place}: it does not say what {endpoint} is made again from: {error}; delete it") from error


def way_to_serve(session: boto3.Session, environment: Environment) -> str:
    """What to do about an endpoint that is not there: a stopped one would start with what is to be left."""
    stopped = kept(session, environment.bucket, environment.endpoint_name)
    deploy = f"mlops deploy {environment.options}"
    if stopped is None:
        return f"{deploy} makes it"
    version = endpoints.version_of(stopped.config)
    return (
        f"it is stopped, and starts with version {version}: mlops reject {environment.options} --version {version} "
        f"--by NAME --reason WHY keeps it from that, then {deploy} starts it with the approved version before"
    )


def keep(session: boto3.Session, bucket: str, endpoint: str, stopped: Stopped | None) -> None:
    """Write down what an endpoint is made again from, or that it is not stopped."""
    content = json.dumps(asdict(stopped) if stopped else None, indent=2, sort_keys=True)
    storage.write(session, record(bucket, endpoint), content.encode())


def record(bucket: str, endpoint: str) -> str:
    """Where is kept what an endpoint is made again from."""
    return f"s3://{bucket}/endpoints/{endpoint}/stopped.json"


def brought_up(session: boto3.Session, environment: Environment, progress: Progress) -> None:
    """After a deployment has made a stopped endpoint: how it scales the settings say, but for what is not theirs."""
    name = environment.endpoint_name
    stopped = kept(session, environment.bucket, name)
    if stopped is None:
        return
    others = [each for each in stopped.policies if each["PolicyName"] != autoscaling.POLICY]
    left = replace(stopped, policies=others) if others else None
    keep(session, environment.bucket, name, left)
    again = f"; mlops schedule start {environment.options} lets it scale as before" if left else ""
    progress(f"{name}: it was stopped, and is up again{again}")


def forget(session: boto3.Session, bucket: str, endpoint: str) -> None:
    """Let no schedule bring an endpoint back."""
    if kept(session, bucket, endpoint):
        keep(session, bucket, endpoint, None)


def refuse_rejected(session: boto3.Session, endpoint: str, config: str) -> None:
    """A version that was rejected while its endpoint was stopped does not serve again.

    Raises:
        Failure: it was.
    """
    group, version = inventory.group_of(config), endpoints.version_of(config)
    if not group or version is None:
        return
    package = packages.of_version(session, group, version)
    if package.status != "Approved":
        raise Failure(f"{endpoint} is not started: {package.name} is {package.status}; mlops deploy brings another")


def delete(session: boto3.Session, endpoint: str) -> None:
    """Begin to delete an endpoint; one that is gone, or going, counts."""
    with aws.explained("DeleteEndpoint", endpoint), endpoints.unless_done("could not find", "in-progress", "deleting"):
        aws.client(session, "sagemaker").delete_endpoint(EndpointName=endpoint)


def tags(session: boto3.Session, endpoint: str) -> list[dict[str, str]]:
    """The tags of an endpoint but for AWS's own, which can not be given again."""
    client = aws.client(session, "sagemaker")
    with aws.explained("ListTags", endpoint):
        arn = client.describe_endpoint(EndpointName=endpoint)["EndpointArn"]
        found = [tag for page in client.get_paginator("list_tags").paginate(ResourceArn=arn) for tag in page["Tags"]]
    return [tag for tag in found if not tag["Key"].startswith("aws:")]
