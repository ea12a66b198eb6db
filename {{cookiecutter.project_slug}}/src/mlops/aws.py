"""Sessions with AWS: whose rights a command acts under, and how it meets throttling and faults."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any, TypeVar

import boto3
import botocore.credentials
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from mlops.errors import Failure, NotFound
from mlops.settings.existing import Duty
from mlops.settings.project import Environment, Settings

Found = TypeVar("Found")

ATTEMPTS = int(os.environ.get("AWS_MAX_ATTEMPTS", "8"))
"""How often a call is tried; under AWS's own name for it."""

RETRIES = Config(retries={"mode": "adaptive", "total_max_attempts": ATTEMPTS}, connect_timeout=10, read_timeout=70)
"""botocore's adaptive mode slows down when AWS throttles, and tries 5xx answers again."""

LONGEST_REASON = 1000
"""Characters of what AWS says that are shown; a policy's refusal with its ARNs takes half of them."""

_SESSIONS: dict[tuple[object, ...], boto3.Session] = {}
_MAKING = Lock()


def duty_in(settings: Settings, environment: Environment) -> Duty:
    """The duty that fills an environment's group: the first trains, the others deploy what they are given."""
    return "train" if settings.before(environment) is None else "deploy"


def session(settings: Settings, environment: Environment, duty: Duty) -> boto3.Session:
    """A session that acts in an environment's account.

    On the sandbox, and with MLOPS_ASSUME_ROLES=1 on AWS, it holds the role of the duty and no more, as a workflow
    does; else it has whatever credentials the shell or the workflow has. It is made once for the same credentials:
    its clients, which take longer to make than most calls, are kept with it.

    Raises:
        Failure: the role can not be assumed, or the credentials are another account's.
    """
    assumes = settings.aws == "sandbox" or os.environ.get("MLOPS_ASSUME_ROLES") == "1"
    role = environment.role(duty) if assumes else None
    shell = frozenset(item for item in os.environ.items() if item[0].startswith("AWS_"))
    key = (settings.aws, settings.region, environment.account, role, shell)
    if key not in _SESSIONS:
        _SESSIONS[key] = _acting(settings, environment, role)
    return _SESSIONS[key]


def _acting(settings: Settings, environment: Environment, role: str | None) -> boto3.Session:
    start = base(settings, environment)
    if role is not None:
        return assumed(start, role, settings.region)
    # In another account nothing is there, which looks as if nothing had been made yet.
    if (account := account_of(start)) != environment.account:
        raise Failure(
            f"{environment.name} is in account {environment.account} and the credentials are of {account}: give that "
            "account's (AWS_PROFILE), or MLOPS_ASSUME_ROLES=1 to take on its roles"
        )
    return start


def base(settings: Settings, environment: Environment) -> boto3.Session:
    """A session with the credentials that are there before any role is assumed."""
    if settings.aws == "sandbox" and "AWS_SESSION_TOKEN" not in os.environ:
        return opened(
            settings.region, aws_access_key_id=f"sandbox-{environment.account}", aws_secret_access_key="sandbox"
        )
    return opened(settings.region)


def account_of(session: boto3.Session) -> str:
    """The account whose credentials a session has; to ask needs no right."""
    with explained("GetCallerIdentity", "of these credentials"):
        return str(client(session, "sts").get_caller_identity()["Account"])


def in_each(settings: Settings, look: Callable[[Environment], list[Found]], told: Callable[[str], None]) -> list[Found]:
    """What is found in each environment; one that these credentials can not look into is left out.

    Args:
        settings: the project.
        look: into one environment.
        told: which environment is left out, and why.

    Raises:
        Failure: they can not look into any.
    """
    found: list[Found] = []
    failures: dict[str, Failure] = {}
    for environment in settings.environments:
        try:
            found += look(environment)
        except Failure as error:
            failures[environment.name] = error
    if len(failures) == len(settings.environments):
        raise next(iter(failures.values()))
    for name, problem in failures.items():
        told(f"{name} is left out: {problem}")
    return found


def opened(region: str, renewed: Callable[[], dict[str, str]] | None = None, **credentials: str) -> boto3.Session:
    """A session that reads botocore's models once for the process: a second session's clients cost a fifth.

    Args:
        region: AWS region.
        renewed: gives credentials with their `expiry_time`, and new ones before that.
        credentials: that stay as they are; the shell's or the workflow's when neither is given.
    """
    core: Any = botocore.session.get_session()
    core.register_component("data_loader", loader())
    if renewed is not None:
        core._credentials = botocore.credentials.RefreshableCredentials.create_from_metadata(
            renewed(), refresh_using=renewed, method="assume-role"
        )
    return boto3.Session(region_name=region, botocore_session=core, **credentials)


@cache
def loader() -> Any:
    """What reads botocore's models, and keeps them."""
    return botocore.loaders.create_loader()


def assumed(start: boto3.Session, role: str, region: str) -> boto3.Session:
    """A session under a role; it is renewed before its hour ends, since a rollout may take longer."""

    def credentials() -> dict[str, str]:
        try:
            given = client(start, "sts").assume_role(RoleArn=role, RoleSessionName="mlops")["Credentials"]
        except (ClientError, BotoCoreError) as error:
            raise Failure(f"AssumeRole {role}: {reason(error)}") from error
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }

    return opened(region, renewed=credentials)


@cache
def client(session: boto3.Session, service: str) -> Any:
    """The session's client of a service; made once, since making one reads megabytes of botocore's models."""
    # Two threads may make clients of one session in turn only.
    with _MAKING:
        return session.client(service, config=RETRIES)  # type: ignore[call-overload]


def code_of(error: Exception) -> str:
    """AWS's code of an error, such as ValidationException; empty when AWS did not answer."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def reason(error: Exception) -> str:
    """What AWS said, in one line with its code."""
    if isinstance(error, ClientError):
        message = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())
        # A value that is none of an enumeration is answered with all of it.
        message = message if len(message) <= LONGEST_REASON else f"{message[:LONGEST_REASON]}…"
        # Of a session that a workflow gave, which can not be renewed here.
        goes_on = "; what was begun goes on: run the same command again, it carries on" if is_expired(error) else ""
        return f"{code_of(error)}: {message}{goes_on}"
    return " ".join(str(error).split())


def is_expired(error: ClientError) -> bool:
    """Whether the session's time is over; S3 and STS name it otherwise than SageMaker."""
    return code_of(error) in {"ExpiredToken", "ExpiredTokenException"}


@contextmanager
def explained(operation: str, resource: str) -> Iterator[None]:
    """Say of what AWS refuses which operation on which resource it was.

    Raises:
        NotFound: AWS does not have the resource.
        Failure: AWS refused, or did not answer.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        kind = NotFound if isinstance(error, ClientError) and is_missing(error) else Failure
        raise kind(f"{operation} {resource}: {reason(error)}") from error


def is_missing(error: ClientError) -> bool:
    """Whether AWS says that a resource does not exist; SageMaker says so with a ValidationException."""
    message = str(error.response.get("Error", {}).get("Message", "")).lower()
    return code_of(error) in {"ResourceNotFound", "404", "NoSuchKey", "NoSuchBucket"} or (
        code_of(error) == "ValidationException" and ("could not find" in message or "does not exist" in message)
    )
