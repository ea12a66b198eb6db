"""A verdict is renewed when another version serves than the one that it was against: two may have waited at once."""

from collections.abc import Callable

import boto3

from mlops import aws
from mlops.errors import Failure
from mlops.hosting import choice, incumbent
from mlops.hosting.choice import Overtaken
from mlops.quality import gate, verdicts
from mlops.quality.verdicts import Decision
from mlops.registry import approval, packages, registration
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings

BY = "mlops deploy"
"""Who rejects a version that is worse than what has come to serve since it was approved."""


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
    gone = [key for key in verdicts.KEYS if key in package.metadata and key not in given]
    with aws.explained("UpdateModelPackage", package.arn):
        aws.client(session, "sagemaker").update_model_package(
            ModelPackageArn=package.arn,
            CustomerMetadataProperties=given,
            **({"CustomerMetadataPropertiesToRemove": gone} if gone else {}),
        )
    return packages.describe(session, package.arn), decision


def refuse_worse(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    package: ModelPackage,
    progress: Callable[[str], None],
) -> None:
    """Reject an approved version before it is rolled out when the gate refuses it against what serves by now.

    Raises:
        Overtaken: while the gate was at it another version came to serve, or was approved, or this one was rejected.
        Failure: the gate refuses it.
    """
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
    approval.record(session, package, "Rejected", BY, f"the gate against {against}: {why}")
    raise Failure(
        f"{environment.endpoint_name}: {package.name} was approved, and {against} came to serve since, against which "
        f"the gate refuses it: {why}; it is now Rejected, what serves stays"
    )
