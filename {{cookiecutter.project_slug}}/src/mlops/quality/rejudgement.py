"""A verdict is renewed when another version serves than the one that it was against: two may have waited at once."""

from collections.abc import Callable

import boto3

from mlops import aws
from mlops.errors import Failure
from mlops.hosting import choice, incumbent
from mlops.hosting.choice import Overtaken
from mlops.quality import gate, verdicts
from mlops.quality.verdicts import Decision
from mlops.registry import decisions, packages, registration
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings

BY = "mlops deploy"
"""Who rejects a version that is worse than what has come to serve since it was approved."""

AGAINST = "the gate against "
"""How the reason begins for which it does."""


def renewed(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    package: ModelPackage,
    progress: Callable[[str], None],
) -> tuple[ModelPackage, Decision | None]:
    """A version with a verdict against what serves now, and that verdict; None when the one that it has is.

    Args:
        session: holds the role that deploys.
        settings: the project.
        environment: whose group the version is in.
        package: the version; what was adopted has no verdict, for nothing was measured of it.
        progress: told what begins and what ends.
    """
    if package.is_adopted or not (settings.comparison or settings.data):
        return package, None
    champion = environment.contenders[0]
    serving = incumbent.of(session, champion, package)
    if serving is None or serving.fingerprint == package.fingerprint:
        return package, None
    before = package.metadata.get(verdicts.SERVING, "")
    if before == serving.arn:
        return package, None
    earlier = before.rpartition(":model-package/")[2].replace("/", " version ") or "nothing"
    progress(f"{package.name} was held against {earlier}; {serving.name} serves now: it is held against that one")
    decision = gate.of_package(session, settings, champion, package, progress)
    if decision.refusals:
        return package, decision
    given = registration.gate_files(session, environment, package.fingerprint, decision)
    gone = outdated(package, given)
    with aws.explained("UpdateModelPackage", package.arn):
        aws.client(session, "sagemaker").update_model_package(
            ModelPackageArn=package.arn,
            CustomerMetadataProperties=given,
            **({"CustomerMetadataPropertiesToRemove": gone} if gone else {}),
        )
    return packages.describe(session, package.arn), decision


def outdated(package: ModelPackage, given: dict[str, str]) -> list[str]:
    """What a version's metadata says of an earlier verdict, and not of a new one."""
    return [key for key in verdicts.KEYS if key in package.metadata and key not in given]


def refuse_worse(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    package: ModelPackage,
    progress: Callable[[str], None],
) -> None:
    """Reject an approved version before it is rolled out when the gate refuses it against what serves by now.

    Who approves it once more after that, by name and with a reason, overrules this verdict: of this version, on its
    test set, against the version that serves. Against another one it is judged anew.

    Raises:
        Overtaken: while the gate was at it another version came to serve, or was approved, or this one was rejected.
        Failure: the gate refuses it.
    """
    if verdicts.refused(package) and is_against_what_serves(session, environment, package):
        return overrule(session, environment, package, progress)
    _, decision = renewed(session, settings, environment, package, progress)
    if decision is None:
        return
    # A job of the gate takes an hour, maybe: what it says may be of what serves no more.
    choice.refuse_overtaken(session, environment, package)
    serving = incumbent.of(session, environment.contenders[0], package)
    if (serving.arn if serving else "") != decision.serving:
        shown = serving.name if serving else "nothing"
        raise Overtaken(f"{shown} serves by now, and {package.name} was held against {decision.against or 'nothing'}")
    if decision.passed:
        return
    package = packages.describe(session, package.arn)
    why, against = "; ".join(decision.refusals), decision.against or "what serves"
    # With the rejection or not at all: a verdict that is known already is one that an approval overrules.
    said = registration.gate_files(session, environment, package.fingerprint, decision)
    decisions.record(
        session, package, "Rejected", BY, f"{AGAINST}{against}: {why}", said=said, gone=outdated(package, said)
    )
    raise Failure(
        f"{environment.endpoint_name}: {package.name} was approved, and {against} came to serve since, against which "
        f"the gate refuses it: {why}; it is now Rejected, what serves stays; {way_on(environment, package)}"
    )


def is_against_what_serves(session: boto3.Session, environment: Environment, package: ModelPackage) -> bool:
    """Whether the gate's verdict on a version is against what serves now."""
    serving = incumbent.of(session, environment.contenders[0], package)
    return serving is not None and serving.arn == package.metadata.get(verdicts.SERVING)


def overrule(
    session: boto3.Session, environment: Environment, package: ModelPackage, progress: Callable[[str], None]
) -> None:
    """Let a version pass that a person has approved after the gate had refused it, and write on it who and why.

    Raises:
        Failure: nobody has said so by name and with a reason, as an approval in Studio does not.
    """
    against = package.metadata.get("gate_against", "what serves")
    last = next(iter(decisions.read(package.reason)), None)
    if last is None or last.what != "approved" or not last.who:
        why = f"{AGAINST}{against}, which the last approval does not overrule: it names nobody and no reason"
        decisions.record(session, package, "Rejected", BY, why)
        raise Failure(
            f"{environment.endpoint_name}: the gate refused {package.name} against {against}, and its approval names "
            f"nobody and no reason; it is Rejected, what serves stays; {way_on(environment, package)}"
        )
    said = registration.allowed(f"{last.who}: {last.why}", packages.VALUE_LIMIT)
    with aws.explained("UpdateModelPackage", package.arn):
        aws.client(session, "sagemaker").update_model_package(
            ModelPackageArn=package.arn,
            CustomerMetadataProperties={"gate": "overruled", verdicts.OVERRULED: said},
        )
    progress(f"{package.name}: {last.who} overrules the gate's verdict against {against}: {last.why}")


def way_on(environment: Environment, package: ModelPackage) -> str:
    """What can be done about a version that the gate refused."""
    return (
        "change the model, or, to overrule the gate: "
        f"mlops approve {environment.options} --version {package.version} --by NAME --reason WHY"
    )
