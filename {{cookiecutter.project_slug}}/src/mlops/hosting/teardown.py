"""Teardown: an environment's endpoint, which is what costs money by the hour, is deleted; all else stays."""

from dataclasses import dataclass

from mlops import aws
from mlops.display import Progress
from mlops.errors import BadInput
from mlops.hosting import endpoints, schedule
from mlops.settings.project import Environment, Settings


@dataclass(frozen=True)
class Teardown:
    """An endpoint that is gone, and whether this command deleted it."""

    endpoint: str
    deleted: bool


def teardown(settings: Settings, environment: Environment, confirm: str, progress: Progress) -> Teardown:
    """Delete an environment's endpoint.

    Versions, artefacts and endpoint configurations stay: `mlops deploy` brings the same model back, and a rollback
    after it still knows what served before. An endpoint that is stopped is not started again by its hours.

    Args:
        settings: the project's.
        environment: the one whose endpoint is deleted.
        confirm: the endpoint's name, given by who wants it gone.
        progress: is told what is waited for.

    Raises:
        BadInput: the environment serves nothing, or the name is another one.
        Failure: AWS refuses.
    """
    endpoint = environment.endpoint_name
    if environment.endpoint is None:
        raise BadInput(f"environment is {environment.name!r}, which has no endpoint")
    if confirm != endpoint:
        raise BadInput(f"confirm is {confirm!r}; give {endpoint} to delete that endpoint")
    session = aws.session(settings, environment, "destroy")
    schedule.forget(session, environment.bucket, endpoint)
    # What is under way has to end first: SageMaker refuses to delete an endpoint that is being updated.
    if endpoints.settle(session, endpoint, progress) is None:
        return Teardown(endpoint=endpoint, deleted=False)
    endpoints.remove(session, endpoint, progress)
    return Teardown(endpoint=endpoint, deleted=True)
