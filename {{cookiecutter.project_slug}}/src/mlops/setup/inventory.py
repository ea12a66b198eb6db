"""Inventory: everything that the project owns in an account, found by its names, and how each of it goes."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import ClientError

from mlops import aws
from mlops.display import Progress
from mlops.errors import Failure
from mlops.hosting import endpoints, inventory, schedule
from mlops.registry import history
from mlops.settings.project import FILE, Environment, Settings
from mlops.setup import account, buckets, infrastructure, state, terraform, trust
from mlops.setup.removal import Belonging


def belongings(settings: Settings, with_data: bool, told: Progress) -> list[Belonging]:
    """What `mlops destroy` removes in the account of these credentials, in the order in which it can go.

    Args:
        settings: the project.
        with_data: buckets with all that is in them go too.
        told: hears how far long work has come.

    Raises:
        Failure: there are no credentials, or they are of another account.
    """
    if settings.aws == "sandbox":
        return []
    number, here, elsewhere = account.split(settings, ())
    session = aws.opened(settings.region)
    found: list[Belonging] = []
    for environment in here:
        found += serving(session, settings, environment, told)
        found += registry(session, settings, environment)
    bucket = state.name(settings, number)
    if terraform.is_there(settings) and state.exists(session, bucket):
        for environment in reversed(here):  # the first of an account has what the others share
            found += infrastructure_of(settings, session, environment, bucket, with_data, told)
        found += forgotten(settings, session, bucket)
        found.append(state_bucket(settings, session, bucket, here, with_data))
    else:
        found += [Belonging(f"bucket {each.bucket}", "whoever made it removes it") for each in here]
    found.append(Belonging("jobs and their logs", "SageMaker keeps the record of every job; they cost nothing"))
    for each in elsewhere:
        found.append(Belonging(f"environment {each.name}", f"in account {each.account}: run it with its credentials"))
    return found


def forgotten(settings: Settings, session: boto3.Session, bucket: str) -> Iterator[Belonging]:
    """Environments that were taken out of the settings before they were removed: they stay, and cost."""
    for name in state.lost(settings, session, bucket):
        why = f"{FILE} has it no more, and all of it is there: write it into {FILE} again, and run this once more"
        yield Belonging(f"environment {name}", why)


def state_bucket(
    settings: Settings, session: boto3.Session, bucket: str, environments: Sequence[Environment], with_data: bool
) -> Belonging:
    """The bucket of Terraform's state; it stays with what it knows of, and when it holds more than these states."""
    what = f"state bucket {bucket}"
    if not with_data:
        return Belonging(what, "by it the next bootstrap, or --data, finds what stays")
    if strange := state.strange(settings, session, bucket, [each.name for each in environments]):
        return Belonging(what, f"it holds {', '.join(strange[:3])}: remove it by hand when nobody needs that")
    return Belonging(what, remove=partial(state.remove, session, bucket))


def serving(
    session: boto3.Session, settings: Settings, environment: Environment, told: Progress
) -> Iterator[Belonging]:
    """Endpoints, their configurations, and models: those of the other scenario too, which a switch leaves behind."""
    client = aws.client(session, "sagemaker")
    groups = history.groups_of(settings, environment)
    # The champion serves on the environment's own endpoint, in either scenario.
    for name in dict.fromkeys(group.removesuffix("-champion") for group in groups):
        if endpoints.state(session, name) is not None:
            yield Belonging(f"endpoint {name}", remove=partial(without_endpoint, session, name, told))
        # What it was stopped with goes: the next schedule would start it from what is deleted.
        if buckets.is_there(session, environment.bucket) and schedule.kept(session, environment.bucket, name):
            remove = partial(schedule.forget, session, environment.bucket, name)
            yield Belonging(f"note that {name} is stopped", remove=remove)
    for name in named(inventory.configs(session, environment), groups):
        yield Belonging(
            f"endpoint configuration {name}",
            remove=partial(gone, partial(client.delete_endpoint_config, EndpointConfigName=name), name),
        )
    for name in named(inventory.models(session, environment), groups):
        yield Belonging(f"model {name}", remove=partial(gone, partial(client.delete_model, ModelName=name), name))


def named(made: list[tuple[str, datetime]], groups: list[str]) -> list[str]:
    """The names that the machinery gave to what it made of the versions of some groups."""
    return [name for name, _ in made if inventory.group_of(name) in groups]


def without_endpoint(session: boto3.Session, name: str, told: Progress) -> None:
    """Delete an endpoint when what is under way with it has ended."""
    if endpoints.settle(session, name, told) is not None:
        endpoints.remove(session, name, told)


def registry(session: boto3.Session, settings: Settings, environment: Environment) -> Iterator[Belonging]:
    """Model groups, with every version in them; those of the other scenario too."""
    for name in history.groups_of(settings, environment):
        if infrastructure.group_is_there(session, name):
            yield Belonging(f"model group {name}, with its versions", remove=partial(without_group, session, name))


def without_group(session: boto3.Session, name: str) -> None:
    """Delete a group after its versions: SageMaker refuses one that has any."""
    client = aws.client(session, "sagemaker")
    if not infrastructure.group_is_there(session, name):
        return
    with aws.explained("ListModelPackages", name):
        pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=name)
        versions = [each["ModelPackageArn"] for page in pages for each in page["ModelPackageSummaryList"]]
    for arn in versions:
        gone(partial(client.delete_model_package, ModelPackageName=arn), arn)
    gone(partial(client.delete_model_package_group, ModelPackageGroupName=name), name)


def gone(delete: Callable[[], Any], name: str) -> None:
    """Delete what may be gone already.

    Raises:
        Failure: AWS refuses.
    """
    try:
        delete()
    except ClientError as error:
        if not aws.is_missing(error):
            raise Failure(f"delete {name}: {aws.reason(error)}") from error


def infrastructure_of(
    settings: Settings,
    session: boto3.Session,
    environment: Environment,
    bucket: str,
    with_data: bool,
    told: Progress,
) -> Iterator[Belonging]:
    """What Terraform has made; without `--data` the bucket and the key that it is read with stay, and are known."""
    terraform.prepare(settings, environment, bucket, told)
    made = terraform.resources(settings, environment, told)
    if not made:
        return
    if environment.bucket_name is None and not with_data:
        held = "its key, images, the table of checks and the App's secret"
        yield Belonging(f"bucket {environment.bucket}, {held}", "give --data to remove them with all in them")
    own = terraform.PROVIDER not in made or not trusted_by_others(settings, session)
    if not own:
        yield Belonging("GitHub's identity provider", "roles of other projects trust it: it is the account's")
    goes = made if with_data else [each for each in made if not terraform.held(each, own)]
    if not goes:
        return
    what = f"infrastructure of {environment.name} ({len(goes)} resources)"
    yield Belonging(what, remove=partial(terraform.destroy, settings, environment, with_data, own, told))


def trusted_by_others(settings: Settings, session: boto3.Session) -> bool:
    """Whether a role of somebody else trusts GitHub's identity provider, of which an account has one."""
    with aws.explained("ListRoles", "of the account"):
        pages = aws.client(session, "iam").get_paginator("list_roles").paginate()
        roles = [role for page in pages for role in page["Roles"]]
    # `churn-prod-deploy` is this project's, `churn-prod-vision-dev-deploy` is not.
    own = re.compile(f"{settings.project}-({'|'.join(each.name for each in settings.environments)})-[a-z]+")
    return any(
        trust.GITHUB in json.dumps(role["AssumeRolePolicyDocument"])
        for role in roles
        if not own.fullmatch(role["RoleName"])
    )
