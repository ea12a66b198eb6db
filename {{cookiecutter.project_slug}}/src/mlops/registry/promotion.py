"""Promotion: a model package is copied into the next environment's groups as a new version."""

from collections.abc import Callable
from typing import Any

import boto3

from mlops import actor, aws, storage
from mlops.contest import trial
from mlops.errors import BadInput, Failure, NotApproved, NotFound
from mlops.quality import gate, rejudgement, verdicts
from mlops.registry import decisions, packages, places, registration
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings

OF_ONE_VERSION = (*verdicts.KEYS, trial.SINCE, trial.UNTIL, packages.VERIFIED)
"""What a version's metadata says that is not true of its copy."""


def promote(
    settings: Settings,
    target: Environment,
    fingerprint: str,
    progress: Callable[[str], None] = lambda line: None,
    commit: str = "",
) -> list[ModelPackage]:
    """Copy the model of a fingerprint from the environment before.

    It runs under one role, the target's: the source is read under its group's and its bucket's policies. Running it
    twice gives the versions that the first run made.

    Args:
        settings: the project.
        target: whose groups receive the copy: Approved when its approval is automatic, else waiting.
        fingerprint: of this tree; see `lineage`.
        progress: told what begins and what ends.
        commit: that is promoted, whose contract the copy is held to; the source's when empty.

    Returns:
        One version for each group of the target.

    Raises:
        NotFound: the environment before has no model of this fingerprint.
        NotApproved: that environment has not approved it, has rejected it, or has not verified it on its endpoint.
        Failure: the target has rejected it, the gate refuses it against what serves there, or AWS does.
        DigestMismatch: the artefact does not have the SHA-256 that was registered.
    """
    before = settings.before(target)
    if before is None:
        raise BadInput(f"--to is {target.name}, where models begin: mlops register brings them there")
    session = aws.session(settings, target, "deploy")
    source = source_of(session, settings, before, target, fingerprint)
    return [copied(session, settings, contender, source, progress, commit) for contender in target.contenders]


def outputs(promoted: list[ModelPackage]) -> dict[str, str]:
    """What a workflow is told of the versions in the target's groups: which there are, and which wait for approval."""
    champion, *others = promoted
    told = {"version": str(champion.version), "pending": waits(champion), "contest": str(bool(others)).lower()}
    for challenger in others:
        told |= {"challenger-version": str(challenger.version), "challenger-pending": waits(challenger)}
    return told


def waits(package: ModelPackage) -> str:
    """Whether a version waits for approval, as a workflow reads it."""
    return str(package.status == "PendingManualApproval").lower()


def source_of(
    session: boto3.Session, settings: Settings, before: Environment, target: Environment, fingerprint: str
) -> ModelPackage:
    """The version in the group before, which has to be Approved there, and verified where it has an endpoint."""
    group = packages.group_arn(settings.region, before.account, before.group)
    source = packages.find(session, group, fingerprint)
    short = fingerprint[:12]
    trains = settings.before(before) is None
    if source is None and trains:
        raise NotFound(
            f"{before.group} has no model of this tree (fingerprint {short}): nobody trained and registered it; "
            f"run mlops run --env {before.name}, then mlops register --env {before.name}"
        )
    if source is None:
        raise NotFound(
            f"{before.group} has no model of this tree (fingerprint {short}): what did not pass {before.name} does "
            f"not come to {target.name}; merge {target_branch(target, settings)} into {before.name} first"
        )
    if source.status != "Approved":
        raise NotApproved(
            f"{source.name} is {source.status}{why(source)}; only what {before.name} approved comes to {target.name}"
        )
    if before.endpoint and packages.VERIFIED not in source.metadata:
        raise NotApproved(
            f"{source.name} has not passed {before.name} yet: nothing was found well with it on "
            f"{before.endpoint_name}; when {before.name}'s run has ended well, run this again, or by hand: "
            f"mlops deploy {before.options}, then mlops verify {before.options}"
        )
    packages.refuse_unmade(source)
    return source


def target_branch(target: Environment, settings: Settings) -> str:
    """The branch that stands for an environment: main for the last one, else the one of its name."""
    return "main" if settings.after(target) is None else target.name


def copied(
    session: boto3.Session,
    settings: Settings,
    target: Environment,
    source: ModelPackage,
    progress: Callable[[str], None],
    commit: str = "",
) -> ModelPackage:
    """The version of the target's group that holds a copy of the source: the one that is there, or a new one.

    A tree that comes back after another one, as a revert does, gets a new version, since the newest is what is
    deployed. The newest is held against what serves by now when its verdict is against another version. The token
    names the version that was newest before: of two runs at once both ask for the same one.
    """
    group = target.group
    newest = next(packages.entries(session, group), None)
    there = packages.find(session, group, source.fingerprint)
    if there is not None and there.status == "Rejected":
        raise Failure(
            f"{there.name} holds this model and was Rejected{why(there)}; change the model, or approve that version: "
            f"mlops approve {target.options} --version {there.version} --by NAME --reason WHY"
        )
    if there is not None and newest is not None and newest.version == there.version:
        renewed, verdict = rejudgement.renewed(session, settings, target, there, progress)
        if verdict is not None:
            verdicts.refuse(verdict)
        return renewed
    # A challenger too is held against the champion: against what it would take the place of.
    try:
        decision = gate.of_package(session, settings, target.contenders[0], source, progress)
        verdicts.refuse(decision)
    except Failure as why_not:
        if not source.is_adopted:
            raise
        raise Failure(f"{why_not}; {way_of_adopted(target, source, there)}") from why_not
    artefact = places.artefact(target, source.fingerprint, source.digest)
    storage.copy(session, source.artefact, artefact, source.digest, target.kms_key)
    passed = registration.gate_files(session, target, source.fingerprint, decision)
    kept = {key: value for key, value in source.metadata.items() if is_of_copies(key)}
    metadata = {**kept, **passed, "promoted_from": source.arn, "promoted_by": actor.tag()}
    if commit:
        metadata[packages.PROMOTED_COMMIT] = commit
    parameters: dict[str, Any] = {
        "ModelPackageDescription": packages.description(source.fingerprint, source.commit),
        "ModelApprovalStatus": "Approved" if target.approval == "automatic" else "PendingManualApproval",
        "InferenceSpecification": packages.specification(source.image, artefact, source.variables),
    }
    for key in ("baseline_uri", "predictions_uri", "test_uri"):
        if uri := source.metadata.get(key):
            metadata[key] = places.copied(session, target, uri, source.fingerprint)
    if baseline := metadata.get("baseline_uri"):
        parameters["ModelMetrics"] = {"ModelDataQuality": {"Statistics": registration.statistics(baseline)}}
    if card := card_of(session, source.arn):
        parameters["ModelCard"] = card
    token = packages.token("promote", group, source.fingerprint, newest.arn if newest else "")
    return packages.create(
        session,
        group,
        source.fingerprint,
        token,
        after=newest.version if newest else 0,
        CustomerMetadataProperties=metadata,
        **parameters,
    )


def is_of_copies(key: str) -> bool:
    """Whether what a version's metadata says under a key is true of its copies too."""
    return key not in OF_ONE_VERSION and not key.startswith(decisions.ARCHIVED)


def way_of_adopted(target: Environment, source: ModelPackage, there: ModelPackage | None) -> str:
    """How an adopted model, of which nothing was measured, comes into a group all the same."""
    if there is not None:
        return f"it was adopted, and is {there.name} already: mlops rollback {target.options} --to {there.version}"
    origin = source.metadata[packages.ADOPTED_FROM].rpartition("/")[2]
    return (
        f"{source.name} was adopted, so nothing was measured: mlops adopt --endpoint {origin} {target.options} "
        f"--by NAME --reason WHY, then mlops approve {target.options} --by NAME --reason WHY"
    )


def card_of(session: boto3.Session, arn: str) -> dict[str, str]:
    """The model card of a version, as a new version takes it."""
    with aws.explained("DescribeModelPackage", arn):
        card = aws.client(session, "sagemaker").describe_model_package(ModelPackageName=arn).get("ModelCard", {})
    return {name: card[name] for name in ("ModelCardContent", "ModelCardStatus") if name in card}


def why(package: ModelPackage) -> str:
    """The last decision on a version, as a message shows it."""
    return f" ({package.reason.partition(' | ')[0]})" if package.reason else ""
