"""Adoption: what an endpoint serves that was made without this project becomes a version of a model group."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import boto3

from mlops import aws, storage
from mlops.errors import BadInput, Failure, NotFound
from mlops.registry import decisions, packages, places, registration
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings

CODE = "SAGEMAKER_SUBMIT_DIRECTORY"
"""Variable of SageMaker's framework containers with the archive of their code; of older models an object in S3."""


@dataclass(frozen=True)
class Origin:
    """What an endpoint serves.

    Attributes:
        endpoint: its ARN.
        config: name of its configuration.
        model: ARN of the model.
        image: of its one container.
        artefact: `s3://` address of the model's archive.
        variables: of the container.
    """

    endpoint: str
    config: str
    model: str
    image: str
    artefact: str
    variables: dict[str, str]


@dataclass(frozen=True)
class Adopted:
    """The version that a model became, and whether this command made it."""

    group: str
    version: int
    status: str
    package: str
    fingerprint: str
    digest: str
    image: str
    adopted_from: str
    changed: bool


def adopt(
    settings: Settings,
    environment: Environment,
    endpoint: str,
    by: str,
    why: str,
    progress: Callable[[str], None] = lambda line: None,
) -> Adopted:
    """Register what an endpoint serves, with a copy of its artefact. The endpoint stays as it is.

    The version waits for its approval as every other one, and stands in the registry without a commit, metrics and
    predictions: nothing of these is known. Adopting the same model again changes nothing.

    Args:
        settings: the project.
        environment: whose group receives it, and in whose account the endpoint is.
        endpoint: its name.
        by: who decides.
        why: the reason.
        progress: told what begins.

    Raises:
        BadInput: who or why is empty, or the endpoint serves something else than one model in one container.
        NotFound: there is no such endpoint, or its artefact is gone.
        Failure: the credentials are another account's, or the artefact can not be read.
    """
    by, why = decisions.one_line(by), decisions.one_line(why)
    for name, value in [("--by", by), ("--reason", why)]:
        if not value:
            raise BadInput(f"{name} is empty; say who decides and why, in one line each")
    if environment.endpoint is None:
        raise BadInput(f"--env is {environment.name}, which serves nothing; give an environment with an endpoint")
    # No duty's role may read what is not the project's: whoever sets the project up does.
    session = aws.base(settings, environment)
    if (account := aws.account_of(session)) != environment.account:
        raise Failure(
            f"{environment.name} is in account {environment.account} and the credentials are of {account}: adopt with "
            "those of that account's administrator"
        )
    origin = origin_of(session, environment, endpoint)
    progress(f"{endpoint}: reading {origin.artefact}")
    digest, code = read(session, environment, origin.artefact), code_of(session, environment, origin)
    fingerprint = fingerprint_of(digest, origin, code)
    there = packages.find(session, environment.group, fingerprint)
    if there is None:
        progress(f"{endpoint}: copying it to {environment.bucket}")
        into_bucket = copied(session, environment, origin, fingerprint, digest, code)
        about = metadata(origin, fingerprint, digest, by, why)
        package = created(session, environment, into_bucket, fingerprint, about)
    else:
        package = there
    return Adopted(
        group=package.group,
        version=package.version,
        status=package.status,
        package=package.arn,
        fingerprint=fingerprint,
        digest=digest,
        image=origin.image,
        adopted_from=origin.endpoint,
        changed=there is None,
    )


def origin_of(session: boto3.Session, environment: Environment, endpoint: str) -> Origin:
    """What an endpoint serves: its configuration, that one's model, and the model's container.

    Raises:
        NotFound: there is no such endpoint.
        BadInput: it serves several models, or one that is no archive in a container.
        Failure: it does not serve.
    """
    client = aws.client(session, "sagemaker")
    try:
        with aws.explained("DescribeEndpoint", endpoint):
            found = client.describe_endpoint(EndpointName=endpoint)
    except NotFound as error:
        where = f"account {environment.account}, {session.region_name}"
        raise NotFound(f"--endpoint is {endpoint}; there is none in {where}: aws sagemaker list-endpoints") from error
    if (status := found["EndpointStatus"]) != "InService":
        raise Failure(f"--endpoint is {endpoint}, which is {status}: adopt it when it is InService")
    config = found["EndpointConfigName"]
    with aws.explained("DescribeEndpointConfig", config):
        variants = client.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    if len(variants) != 1:
        names = ", ".join(variant["VariantName"] for variant in variants)
        raise BadInput(f"--endpoint is {endpoint}, which has the production variants {names}; give one that has one")
    name = variants[0].get("ModelName")
    if not name:
        raise BadInput(f"--endpoint is {endpoint}, whose variant has inference components; give one that has a model")
    with aws.explained("DescribeModel", name):
        model = client.describe_model(ModelName=name)
    container = one(model.get("Containers") or [model.get("PrimaryContainer", {})], name)
    if package := container.get("ModelPackageName"):
        container = of_package(session, environment, package, container)
    return Origin(
        endpoint=found["EndpointArn"],
        config=config,
        model=model["ModelArn"],
        image=str(container.get("Image") or missing(name, "no image")),
        artefact=artefact_of(container, name),
        variables=dict(container.get("Environment", {})),
    )


def one(containers: list[dict[str, Any]], model: str) -> dict[str, Any]:
    """The only container of a model.

    Raises:
        BadInput: it has several, or is a multi-model container.
    """
    if len(containers) != 1:
        raise BadInput(f"the model {model} has {len(containers)} containers; a model of one container can be adopted")
    if containers[0].get("Mode") == "MultiModel":
        raise BadInput(f"the model {model} is a container of several models; a model of one can be adopted")
    return containers[0]


def of_package(session: boto3.Session, environment: Environment, arn: str, container: dict[str, Any]) -> dict[str, Any]:
    """The container of a model package, with the variables of the model where the package has none.

    Raises:
        BadInput: the package is in one of the environment's own groups.
    """
    group = arn.rpartition(":model-package/")[2].partition("/")[0]
    if group in environment.group_names:
        raise BadInput(f"--endpoint serves {arn}, which is in the registry already: there is nothing to adopt")
    with aws.explained("DescribeModelPackage", arn):
        found = aws.client(session, "sagemaker").describe_model_package(ModelPackageName=arn)
    specified = one(found.get("InferenceSpecification", {}).get("Containers", []), arn)
    return {**specified, "Environment": specified.get("Environment") or container.get("Environment", {})}


def artefact_of(container: dict[str, Any], model: str) -> str:
    """The archive of a container.

    Raises:
        BadInput: it has none, or its files lie in S3 one by one.
    """
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    if container.get("ModelDataUrl"):
        return str(container["ModelDataUrl"])
    if source.get("CompressionType") == "Gzip":
        return str(source["S3Uri"])
    return missing(model, "files in S3 that are no .tar.gz" if source else "no artefact")


def missing(model: str, what: str) -> str:
    """Refuse a model for what it is made of.

    Raises:
        BadInput: always.
    """
    raise BadInput(f"the model {model} has {what}; one with an image and a .tar.gz in S3 can be adopted")


def code_of(session: boto3.Session, environment: Environment, origin: Origin) -> str:
    """SHA-256 of the archive of the code, where that lies in S3 beside the artefact; empty when it is inside it."""
    place = origin.variables.get(CODE, "")
    return read(session, environment, place) if place.startswith("s3://") else ""


def read(session: boto3.Session, environment: Environment, uri: str) -> str:
    """SHA-256 of an object.

    Raises:
        NotFound: it is gone.
        Failure: it can not be read, as one of another account.
    """
    try:
        return storage.digest(session, uri)
    except NotFound:
        raise
    except Failure as error:
        raise Failure(
            f"{error}; if it is another account's, its owner has to let account {environment.account} read it"
        ) from error


def fingerprint_of(digest: str, origin: Origin, code: str) -> str:
    """What stands for a model that no commit made: a hash over its bytes, its image and its variables."""
    variables = {**origin.variables, **({CODE: code} if code else {})}
    about = ["adopted", digest, origin.image, sorted(variables.items())]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def copied(
    session: boto3.Session, environment: Environment, origin: Origin, fingerprint: str, digest: str, code: str
) -> Origin:
    """The same with its files in the environment's bucket, each checked against its SHA-256."""
    artefact = places.artefact(environment, fingerprint, digest)
    storage.copy(session, origin.artefact, artefact, digest, environment.kms_key)
    if not code:
        return replace(origin, artefact=artefact)
    place = f"{artefact.rpartition('/')[0]}/sourcedir.tar.gz"
    storage.copy(session, origin.variables[CODE], place, code, environment.kms_key)
    return replace(origin, artefact=artefact, variables={**origin.variables, CODE: place})


def metadata(origin: Origin, fingerprint: str, digest: str, by: str, why: str) -> dict[str, str]:
    """Where an adopted version came from, within the service's limits."""
    found = {
        "fingerprint": fingerprint,
        "digest": digest,
        "image": origin.image,
        packages.ADOPTED_FROM: origin.endpoint,
        "adopted_config": origin.config,
        "adopted_model": origin.model,
        "adopted_artefact": origin.artefact,
        "adopted_by": by,
        "adopted_why": why,
        "adopted_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    return {key: registration.allowed(value, packages.VALUE_LIMIT) for key, value in found.items()}


def created(
    session: boto3.Session, environment: Environment, origin: Origin, fingerprint: str, about: dict[str, str]
) -> ModelPackage:
    """The version in the environment's group, approved or waiting as every version that comes to it."""
    newest = next(packages.entries(session, environment.group), None)
    return packages.create(
        session,
        environment.group,
        fingerprint,
        packages.token("adopt", environment.group, fingerprint, newest.arn if newest else ""),
        after=newest.version if newest else 0,
        ModelPackageDescription=packages.description(fingerprint, ""),
        ModelApprovalStatus="Approved" if environment.approval == "automatic" else "PendingManualApproval",
        InferenceSpecification=packages.specification(origin.image, origin.artefact, origin.variables),
        CustomerMetadataProperties=about,
    )
