"""Endpoints: their models and configurations by name, and their state."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.exceptions import ClientError

from mlops import actor, aws, storage
from mlops.errors import BadInput, Failure, NotFound
from mlops.monitoring import captures
from mlops.registry import groups
from mlops.registry.packages import ModelPackage
from mlops.settings import disks, keys
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Batch, Endpoint, Serverless

Progress = Callable[[str], None]

VARIANT = "model"
"""Name of the one variant: traffic shifts only between configurations whose variants have the same names."""

DEPLOYED_BY = "mlops:deployed-by"
"""Tag of a configuration with who was the first to deploy by it."""

IN_TRANSITION = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
FIRST_DELAY, LONGEST_DELAY = 0.1, 15.0
"""Seconds between two looks at an endpoint: short at first, then spared."""

WAIT_SECONDS = 9 * 3600
"""An endpoint is waited for a little longer than the longest rollout that SageMaker allows, which is eight hours."""


@dataclass(frozen=True)
class State:
    """What SageMaker says of an endpoint."""

    status: str
    config: str
    pending: str | None
    failure: str
    modified: datetime
    serverless: bool
    created: datetime
    instances: int

    @property
    def settled(self) -> bool:
        """Whether nothing is going on."""
        return self.status not in IN_TRANSITION


@dataclass(frozen=True)
class Deployment:
    """What an endpoint serves after a command, whether the command changed it, and how long it took.

    Attributes:
        brought: whether this run of a workflow changed it, now or in an earlier attempt.
    """

    endpoint: str
    package: str
    version: int
    changed: bool
    seconds: float
    brought: bool = False


def state(session: boto3.Session, endpoint: str) -> State | None:
    """An endpoint's state; None when there is none."""
    try:
        with aws.explained("DescribeEndpoint", endpoint):
            answer = aws.client(session, "sagemaker").describe_endpoint(EndpointName=endpoint)
    except NotFound:
        return None
    variants = answer.get("ProductionVariants", [])
    return State(
        status=answer["EndpointStatus"],
        config=answer.get("EndpointConfigName", ""),
        pending=answer.get("PendingDeploymentSummary", {}).get("EndpointConfigName"),
        failure=" ".join(answer.get("FailureReason", "").split()),
        # botocore gives them in the zone of this machine; what is written down is read on another one.
        modified=answer["LastModifiedTime"].astimezone(UTC),
        serverless=any("CurrentServerlessConfig" in each for each in variants),
        created=answer["CreationTime"].astimezone(UTC),
        instances=sum(each.get("CurrentInstanceCount", 0) for each in variants),
    )


def there(session: boto3.Session, environment: Environment) -> State:
    """The state of an environment's endpoint, which is asked next.

    Raises:
        NotFound: there is none.
    """
    if (found := state(session, name := environment.endpoint_name)) is None:
        raise NotFound(f"there is no endpoint {name}; mlops deploy {environment.options} makes it")
    return found


def in_service(session: boto3.Session, endpoint: str) -> bool:
    """Whether an endpoint answers, and nothing is going on with it."""
    found = state(session, endpoint)
    return found is not None and found.status == "InService"


def settle(
    session: boto3.Session, endpoint: str, progress: Progress, watch: Callable[[], None] = lambda: None
) -> State | None:
    """Wait until nothing is going on with an endpoint.

    Args:
        session: may describe it.
        endpoint: its name.
        progress: told each status that it takes on the way.
        watch: called after each look, while something is going on.

    Returns:
        Its state then; None when there is no such endpoint, or no longer.

    Raises:
        Failure: it takes longer than any rollout may.
    """
    started, said = time.monotonic(), ""
    while (found := state(session, endpoint)) is not None and not found.settled:
        if found.status != said:
            progress(f"{endpoint}: {found.status}")
            said = found.status
        age = time.monotonic() - started
        if age > WAIT_SECONDS:
            raise Failure(f"{endpoint} is {found.status} since {WAIT_SECONDS // 3600} h; run the same command again")
        watch()
        # A tenth of its age: what takes a second is seen at once, what takes an hour is looked at now and then.
        time.sleep(min(max(age / 10, FIRST_DELAY), LONGEST_DELAY))
    return found


def config_name(settings: Settings, environment: Environment, package: ModelPackage) -> str:
    """Name of the configuration that serves a version under these settings: the same for the same, else another."""
    served = [package.arn, model_settings(settings, environment), variant_settings(settings, environment)]
    served += captures.described(environment, environment.endpoint.capture if environment.endpoint else None)
    hash8 = hashlib.sha256(json.dumps(served, sort_keys=True).encode()).hexdigest()[:8]
    # Of the group, not of the endpoint: a champion's versions are counted otherwise than those of the basic scenario.
    return f"{environment.group}-v{package.version}-{hash8}"


def version_of(config: str) -> int | None:
    """The version that a configuration serves, from its name; None when it is not one of ours."""
    match = re.search(r"-v([0-9]+)-[0-9a-f]{8}$", config)
    return int(match[1]) if match else None


def model_settings(settings: Settings, environment: Environment) -> dict[str, Any]:
    """What the settings say of a model: its role, its network, its tags."""
    given: dict[str, Any] = {
        "ExecutionRoleArn": environment.execution_role,
        "EnableNetworkIsolation": settings.network is not None and settings.network.isolation,
        "Tags": groups.tags(settings, environment),
    }
    if settings.network:
        given["VpcConfig"] = {
            "Subnets": list(settings.network.subnets),
            "SecurityGroupIds": list(settings.network.security_groups),
        }
    return given


def variant_settings(settings: Settings, environment: Environment) -> dict[str, Any]:
    """What the settings say of a configuration: its instances and the key of their disks, or what it has instead.

    Of a batch environment, which has none, it is nothing: what its jobs run on changes no model.
    """
    match environment.endpoint:
        case Endpoint() as endpoint:
            key = disks.key(keys.of(environment), endpoint.instance_type)
            return {
                "InstanceType": endpoint.instance_type,
                "InitialInstanceCount": endpoint.instances,
                **({"KmsKeyId": key} if key else {}),
            }
        case Serverless() as endpoint:
            given = {"MemorySizeInMB": endpoint.memory_mb, "MaxConcurrency": endpoint.max_concurrency}
            if endpoint.provisioned_concurrency:
                given["ProvisionedConcurrency"] = endpoint.provisioned_concurrency
            return {"ServerlessConfig": given}
        case Batch():
            return {}
    raise BadInput(f"{environment.name} has no endpoint in mlops.yaml")


def prepare(session: boto3.Session, settings: Settings, environment: Environment, package: ModelPackage) -> str:
    """Make the model and the configuration that serve a version, unless they are there.

    Their names say what they hold, so one that is there is the one that is needed.

    Returns:
        The configuration's name, which is the model's too.
    """
    name = model(session, settings, environment, package)
    client = aws.client(session, "sagemaker")
    variant = variant_settings(settings, environment)
    key = {"KmsKeyId": variant.pop("KmsKeyId")} if "KmsKeyId" in variant else {}
    capture = environment.endpoint.capture if environment.endpoint else None
    with aws.explained("CreateEndpointConfig", name), unless_done("already exist"):
        client.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[{"VariantName": VARIANT, "ModelName": name, "InitialVariantWeight": 1.0, **variant}],
            Tags=[*groups.tags(settings, environment), {"Key": DEPLOYED_BY, "Value": actor.tag()}],
            **key,
            **captures.configuration(environment, capture, captures.root(environment, environment.endpoint_name), name),
        )
    return name


def model(session: boto3.Session, settings: Settings, environment: Environment, package: ModelPackage) -> str:
    """Make the model of a version, unless it is there. Returns its name.

    Raises:
        DigestMismatch: the artefact is another than was registered: containers unpickle what they find there.
    """
    name = config_name(settings, environment, package)
    # One that somebody made by hand in the registry has no digest to hold it against.
    if package.digest:
        storage.refuse_other(session, package.artefact, package.digest)
    with aws.explained("CreateModel", name), unless_done("already exist"):
        # The package has the container's Environment; SageMaker takes it in one place only.
        aws.client(session, "sagemaker").create_model(
            ModelName=name, PrimaryContainer={"ModelPackageName": package.arn}, **model_settings(settings, environment)
        )
    return name


@contextmanager
def unless_done(*phrases: str) -> Iterator[None]:
    """Pass over a refusal that says the thing is there, or is being done: what another run did counts as done."""
    try:
        yield
    except ClientError as error:
        if not any(phrase in aws.reason(error).lower() for phrase in phrases):
            raise


def create(session: boto3.Session, settings: Settings, environment: Environment, config: str) -> bool:
    """Create the endpoint; False when another run has just done so."""
    name = environment.endpoint_name
    with aws.explained("CreateEndpoint", name), unless_done("already exist"):
        aws.client(session, "sagemaker").create_endpoint(
            EndpointName=name, EndpointConfigName=config, Tags=groups.tags(settings, environment)
        )
        return True
    return False


def update(
    session: boto3.Session, endpoint: str, config: str, deployment: dict[str, Any], scales: bool = False
) -> bool:
    """Begin to shift an endpoint's traffic to another configuration; False when it is updating already.

    One that scales keeps as many instances as it has: the configuration's number would undo what autoscaling did.
    """
    kept = {"RetainAllVariantProperties": True} if scales else {}
    with aws.explained("UpdateEndpoint", endpoint), unless_done("in-progress", "in progress", "updating"):
        aws.client(session, "sagemaker").update_endpoint(
            EndpointName=endpoint,
            EndpointConfigName=config,
            **({"DeploymentConfig": deployment} if deployment else {}),
            **kept,
        )
        return True
    return False


def remove(session: boto3.Session, endpoint: str, progress: Progress) -> None:
    """Delete an endpoint and wait until it is gone."""
    with aws.explained("DeleteEndpoint", endpoint), unless_done("could not find", "in-progress", "deleting"):
        aws.client(session, "sagemaker").delete_endpoint(EndpointName=endpoint)
    settle(session, endpoint, progress)


def configs(session: boto3.Session, group: str) -> list[tuple[str, datetime]]:
    """Every configuration made for the versions of a group, newest first, with its time: what served, and when."""
    client = aws.client(session, "sagemaker")
    given: dict[str, Any] = {"NameContains": f"{group}-v", "SortBy": "CreationTime", "SortOrder": "Descending"}
    # Another project's names may begin alike: churn-prod-vision-v1-… are not of churn-prod.
    ours = re.compile(re.escape(group) + r"-v[0-9]+-[0-9a-f]{8}")
    found = []
    while True:
        with aws.explained("ListEndpointConfigs", group):
            page = client.list_endpoint_configs(MaxResults=100, **given)
        for each in page["EndpointConfigs"]:
            name = each["EndpointConfigName"]
            if ours.fullmatch(name):
                found.append((name, each["CreationTime"]))
        if not page.get("NextToken"):
            return found
        given["NextToken"] = page["NextToken"]
