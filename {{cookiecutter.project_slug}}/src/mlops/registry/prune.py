"""Pruning: what no environment needs any more, older than the settings say, is planned and then removed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import boto3

from mlops import aws, storage
from mlops.display import Progress
from mlops.errors import Failure, NotFound
from mlops.hosting import endpoints, inventory, served, shadows
from mlops.registry import packages
from mlops.registry.packages import Entry
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Batch

FOLDERS = ("models", "baselines")
"""Parts of a bucket in which each fingerprint has a folder."""

JOBS = "jobs"
"""The part in which each job has a folder: its code, its output, its checkpoints."""

FINGERPRINT = re.compile(r"[0-9a-f]{64}")
"""The name of a version's folder; a folder of another name is somebody else's."""

OF_A_JOB = re.compile(r"/jobs/([^/]+)/|:training-job/([^/]+)$")
"""Where a version's metadata names a job whose files it points at, or which has made it."""

ORDER = ("version", "endpoint configuration", "model", "files")
"""What refers to another thing goes before it: a run that is killed leaves nothing that points nowhere."""


@dataclass(frozen=True)
class Item:
    """Something that nothing needs: its environment and kind, its name, its age, and whether it is gone."""

    environment: str
    kind: str
    name: str
    days: int
    why: str
    removed: bool = False


def prune(settings: Settings, progress: Progress, act: bool = False, now: datetime | None = None) -> list[Item]:
    """Plan what is removed, and remove it when told to. Run again after it was killed, it removes the rest.

    Args:
        settings: the project.
        progress: told which buckets are left alone, and of each thing that is removed.
        act: remove it; else it is only planned.
        now: what ages are counted to.

    Raises:
        Failure: an environment can not be looked into: what it serves is not known then, and nothing is removed.
    """
    for environment in settings.environments:
        if environment.bucket_name is not None:
            progress(f"{environment.name}: files are left alone, for others may own some of {environment.bucket}")
    items = plan(settings, now or datetime.now(UTC))
    if not act:
        return items
    done = []
    for item in items:
        environment = settings.environment(item.environment)
        remove(aws.session(settings, environment, "prune"), item)
        progress(f"removed: {item.kind} {item.name}")
        done.append(replace(item, removed=True))
    return done


def plan(settings: Settings, now: datetime) -> list[Item]:
    """What no environment needs, in the order in which it is removed."""
    versions = {environment.name: versions_of(settings, environment) for environment in settings.environments}
    items = list(forgotten(settings, versions, now))
    gone = {item.name for item in items}
    needed: set[str] = set()
    for environment in settings.environments:
        session = aws.session(settings, environment, "prune")
        # Of every environment: two of them may share a bucket, and a copy points at what its source points at.
        stays = [each for each in versions[environment.name] if each.arn not in gone]
        needed |= folders_of(session, stays) | jobs_of(session, stays)
    for environment in settings.environments:
        session = aws.session(settings, environment, "prune")
        items += files(session, settings, environment, needed, now)
        # Where files go through in batch, a job may begin with any model at any time.
        if environment.endpoint is not None and not isinstance(environment.endpoint, Batch):
            items += unused(session, settings, environment, versions[environment.name], now)
    return sorted(items, key=lambda item: ORDER.index(item.kind))


def versions_of(settings: Settings, environment: Environment) -> list[Entry]:
    """The versions in all groups of an environment, newest first; a group that is not there has none.

    Raises:
        Failure: these credentials can not look into it.
    """
    found: list[Entry] = []
    try:
        session = aws.session(settings, environment, "prune")
        for group in inventory.every_group(environment):
            try:
                found += packages.listing(session, group)
            except NotFound:
                continue
    except Failure as error:
        raise Failure(f"nothing is removed, for what {environment.name} needs is not known: {error}") from error
    return found


def forgotten(settings: Settings, versions: dict[str, list[Entry]], now: datetime) -> Iterator[Item]:
    """Old versions of the first environment that never went further: a copy names its source as where it is from."""
    first, *later = settings.environments
    copied = {entry.fingerprint for environment in later for entry in versions[environment.name]}
    days = settings.retention.feature_days
    for entry in versions[first.name][settings.retention.keep :]:
        # What somebody else registered has no fingerprint, by which a copy of it could be found.
        if entry.fingerprint and entry.fingerprint not in copied and (age := days_of(entry.created, now)) >= days:
            why = f"never promoted, older than {days} days"
            yield Item(first.name, "version", entry.arn, age, why)


def folders_of(session: boto3.Session, entries: list[Entry]) -> set[str]:
    """The folders in which the files of versions lie; of a version without a fingerprint, what its artefact says."""
    found = {entry.fingerprint for entry in entries if entry.fingerprint}
    for entry in entries:
        if not entry.fingerprint:
            found |= set(packages.describe(session, entry.arn).artefact.split("/")[4:5])
    return found


def jobs_of(session: boto3.Session, entries: list[Entry]) -> set[str]:
    """The jobs that have made versions, or whose files their metadata points at, as the report does."""
    texts = (text for entry in entries for text in packages.describe(session, entry.arn).metadata.values())
    return {job or training for text in texts for job, training in OF_A_JOB.findall(text)}


def files(
    session: boto3.Session, settings: Settings, environment: Environment, needed: set[str], now: datetime
) -> Iterator[Item]:
    """Folders of artefacts and baselines whose fingerprint no version has, and of jobs that none points at.

    A registration may be on its way to one. A job whose files are gone counts as not done: asked again, it runs again.

    Of a bucket that was there before the project none: who else has files in it is not known.
    """
    if environment.bucket_name is not None:
        return
    days = settings.retention.unused_days
    job = re.compile(rf"{re.escape(settings.project)}-{re.escape(environment.name)}-.+-[0-9a-f]{{8}}-[0-9]+")
    parts = [(part, FINGERPRINT, "no version is made of them") for part in FOLDERS]
    for part, ours, why in [*parts, (JOBS, job, "no version points at them")]:
        newest: dict[str, datetime] = {}
        for key, changed in storage.times(session, f"s3://{environment.bucket}/{part}/").items():
            folder, slash, _ = key.partition("/")
            if not slash or not ours.fullmatch(folder):
                continue
            newest[folder] = max(changed, newest.get(folder, changed))
        for folder, changed in sorted(newest.items()):
            if folder not in needed and (age := days_of(changed, now)) >= days:
                name = f"s3://{environment.bucket}/{part}/{folder}/"
                yield Item(environment.name, "files", name, age, f"{why}, older than {days} days")


def unused(
    session: boto3.Session, settings: Settings, environment: Environment, versions: list[Entry], now: datetime
) -> Iterator[Item]:
    """Models and configurations that no endpoint uses and none could be rolled back to."""
    days = settings.retention.unused_days
    made = inventory.configs(session, environment)
    kept = used_by_endpoints(session, environment) | ways_back(session, settings, environment, versions, made)
    kept |= behind_shadows(session, kept, made)
    kept |= {name for name, when in made if days_of(when, now) < days}
    models = {model for name in kept for model in inventory.models_of(session, name)}
    why = f"serves nowhere and is no way back, older than {days} days"
    for name, when in made:
        if name not in kept:
            yield Item(environment.name, "endpoint configuration", name, days_of(when, now), why)
    for name, when in inventory.models(session, environment):
        if name not in models and (age := days_of(when, now)) >= days:
            yield Item(environment.name, "model", name, age, why)


def used_by_endpoints(session: boto3.Session, environment: Environment) -> set[str]:
    """The configurations that endpoints serve or go to: SageMaker would delete them from under an endpoint."""
    found = set()
    for name in inventory.endpoints(session, environment):
        if state := endpoints.state(session, name):
            found |= {state.config, state.pending or state.config}
    return found


def behind_shadows(session: boto3.Session, kept: set[str], made: list[tuple[str, datetime]]) -> set[str]:
    """What an endpoint returns to when its shadow is taken away, of the configurations that are there."""
    there = {name for name, _ in made}
    return {shadows.without_shadow(session, name) for name in kept if shadows.is_shadowed(name)} & there


def ways_back(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    versions: list[Entry],
    made: list[tuple[str, datetime]],
) -> set[str]:
    """The configurations that a rollback may choose: of the newest approved versions that have served.

    An endpoint that is not there may be stopped, and start again from any of those that have served, its shadow too.
    """
    found: set[str] = set()
    running = inventory.endpoints(session, environment)
    for group in inventory.every_group(environment):
        of_group = [name for name, _ in made if inventory.group_of(name) == group]
        # A shadow has the version beside which it stands in its name, and is no way back to it.
        names = [name for name in of_group if not shadows.is_shadowed(name)]
        if group.removesuffix("-champion") not in running:
            found |= {name for name in names if served.since(session, settings, environment, name)}
            found |= set(of_group) - set(names)
            continue
        approved = (each.version for each in versions if each.group == group and each.status == "Approved")
        configs = (served.config_of(session, settings, environment, names, version) for version in approved)
        found |= set(islice((config for config in configs if config), settings.retention.keep))
    return found


def days_of(moment: datetime, now: datetime) -> int:
    """Whole days since a moment."""
    return (now - moment) // timedelta(days=1)


def remove(session: boto3.Session, item: Item) -> None:
    """Remove one thing; one that is gone already counts as removed."""
    client = aws.client(session, "sagemaker")
    if item.kind == "files":
        storage.delete_folder(session, item.name)
        return
    operation, call, given = {
        "version": ("DeleteModelPackage", client.delete_model_package, "ModelPackageName"),
        "endpoint configuration": ("DeleteEndpointConfig", client.delete_endpoint_config, "EndpointConfigName"),
        "model": ("DeleteModel", client.delete_model, "ModelName"),
    }[item.kind]
    try:
        with aws.explained(operation, item.name), endpoints.unless_done("could not find", "does not exist"):
            call(**{given: item.name})
    except NotFound:
        return
