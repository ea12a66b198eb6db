"""The switch from one scenario to the other: what serves in production moves into the group that serves from now on."""

from typing import Any

import boto3

from mlops import aws
from mlops.display import Progress
from mlops.hosting import deployment, endpoints, inventory, served
from mlops.hosting.endpoints import Deployment, State
from mlops.registry import packages, promotion, registration
from mlops.registry.packages import Entry, ModelPackage
from mlops.settings.project import Environment, Settings

CARRIED = "carried_from"
"""Which version of the other scenario's group a version is; by it a second run knows what the first one did."""


def switch(settings: Settings, environment: Environment, progress: Progress) -> Deployment | None:
    """Let production's endpoint go on from the group of the scenario that mlops.yaml names now.

    The version that serves, and those that a rollback could return to, are copied in their order, Approved as they were
    and with what was decided of them; the old group keeps its own. Then the endpoint shifts to the copy of what it
    serves, behind its alarms and without a gap.

    Args:
        settings: the project.
        environment: the last one; every other has one group in both scenarios.
        progress: told what begins and ends.

    Returns:
        What serves then; None when the endpoint serves from the right group already, or there is none.

    Raises:
        Failure: AWS refuses, or the rollout was rolled back: run the same command again.
    """
    champion = environment.contenders[0]
    if champion.endpoint is None:
        return None
    # No duty's role may register what is Approved: whoever sets the project up does.
    session = aws.base(settings, champion)
    found = endpoints.state(session, champion.endpoint_name)
    before = inventory.group_of(found.config) if found else ""
    if before == champion.group or before not in inventory.every_group(champion):
        return None
    progress(f"{champion.endpoint_name} serves from {before}; from now on from {champion.group}")
    for entry in newer(session, found, before):
        progress(
            f"{before} version {entry.version} is {entry.status} and has not come to serve, so it stays there: "
            f"mlops promote --to {environment.name} brings its model into {champion.group}"
        )
    for source in kept(session, settings, champion, before):
        package = carried(session, champion, source)
        config = endpoints.prepare(session, settings, champion, package)
        # It has served: a rollback may return to it.
        served.mark(session, settings, champion, config)
        progress(f"{source.name} is {package.name}")
    return deployment.deploy(settings, champion, progress)


def newer(session: boto3.Session, found: State | None, group: str) -> list[Entry]:
    """The versions of a group that are newer than the one that serves, and that nobody has rejected."""
    serving = endpoints.version_of(found.config) if found else None
    entries = packages.listing(session, group)
    return [each for each in entries if each.status != "Rejected" and serving and each.version > serving]


def kept(session: boto3.Session, settings: Settings, champion: Environment, group: str) -> list[ModelPackage]:
    """The versions of a group that serve or could be rolled back to, the oldest first."""
    configs = [name for name, _ in endpoints.configs(session, group)]
    state = endpoints.state(session, champion.endpoint_name)
    serving = endpoints.version_of(state.config) if state else None

    def stays(entry: Entry) -> bool:
        if entry.version == serving:
            return True
        older = serving is not None and entry.version < serving and entry.status == "Approved"
        return older and served.config_of(session, settings, champion, configs, entry.version) is not None

    entries = packages.listing(session, group)
    return [packages.describe(session, entry.arn) for entry in reversed(entries) if stays(entry)]


def carried(session: boto3.Session, champion: Environment, source: ModelPackage) -> ModelPackage:
    """The copy of a version in the champion's group: the one that an earlier run made, or a new one."""
    for entry in packages.entries(session, champion.group):
        if entry.fingerprint == source.fingerprint:
            there = packages.describe(session, entry.arn)
            if there.metadata.get(CARRIED) == source.arn:
                return decided(session, there, source)
    newest = next(packages.entries(session, champion.group), None)
    made = packages.create(
        session,
        champion.group,
        source.fingerprint,
        packages.token("switch", champion.group, source.arn),
        after=newest.version if newest else 0,
        ModelPackageDescription=packages.description(source.fingerprint, source.commit),
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification=packages.specification(source.image, source.artefact, source.variables),
        CustomerMetadataProperties={**source.metadata, CARRIED: source.arn},
        **described(session, source),
    )
    return decided(session, made, source)


def described(session: boto3.Session, source: ModelPackage) -> dict[str, Any]:
    """What the registry shows of a version beside its metadata: the model card, and what its data are held against."""
    found: dict[str, Any] = {}
    if card := promotion.card_of(session, source.arn):
        found["ModelCard"] = card
    if baseline := source.metadata.get("baseline_uri"):
        found["ModelMetrics"] = {"ModelDataQuality": {"Statistics": registration.statistics(baseline)}}
    return found


def decided(session: boto3.Session, package: ModelPackage, source: ModelPackage) -> ModelPackage:
    """A copy with the status of its source and all that was decided of it."""
    if package.status == source.status:
        return package
    return packages.set_status(session, package, source.status, source.reason)


def left_behind(settings: Settings, environment: Environment) -> str | None:
    """The endpoint of a challenger that is wanted no more, when it still runs: it costs until it is deleted."""
    name = environment.named("challenger")
    if environment.groups or endpoints.state(aws.base(settings, environment), name) is None:
        return None
    return name
