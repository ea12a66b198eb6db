"""The succession: the model that serves as challenger takes the champion's place; a rollback returns to that one."""

from mlops import aws
from mlops.display import Progress
from mlops.errors import BadInput, Failure, NotApproved
from mlops.hosting import deployment, endpoints
from mlops.hosting.endpoints import Deployment
from mlops.registry import packages, promotion
from mlops.settings.project import Settings


def succeed(settings: Settings, progress: Progress) -> Deployment:
    """Deploy the challenger's model on the champion's endpoint, once it is approved there.

    Promotion has left a copy in the champion's group; where it is not the newest version any more, it is copied again
    and waits for its approval, which asks what the model has served as challenger.

    Args:
        settings: the project.
        progress: told what begins and ends.

    Raises:
        BadInput: the project has no challenger.
        NotApproved: the champion's version waits for approval.
        Failure: the challenger's endpoint serves no approved version, or the rollout was rolled back.
    """
    champion = settings.environments[-1]
    if not champion.groups:
        raise BadInput("--to is 'champion', and scenario is basic: there is no challenger to succeed one")
    challenger = champion.contender("challenger")
    session = aws.session(settings, champion, "deploy")
    found = endpoints.state(session, challenger.endpoint_name)
    version = endpoints.version_of(found.config) if found else None
    if version is None:
        raise Failure(f"{challenger.endpoint_name} serves no model; mlops deploy {challenger.options} brings one there")
    source = packages.of_version(session, challenger.group, version)
    if source.status != "Approved":
        raise NotApproved(f"{source.name} serves as challenger and is {source.status}: it succeeds nobody")
    package = promotion.copied(session, settings, champion, source, progress)
    if package.status != "Approved":
        raise NotApproved(
            f"{package.name} is the challenger's model and waits for approval: "
            f"mlops approve {champion.options} --version {package.version} --by NAME --reason WHY"
        )
    return deployment.deploy(settings, champion, progress)
