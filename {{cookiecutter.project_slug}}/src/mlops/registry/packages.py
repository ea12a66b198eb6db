"""Model packages: the versions in a model group, found by the fingerprint of what made them."""

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import boto3
from botocore.exceptions import ClientError

from mlops import aws
from mlops.errors import Failure, NoSuchVersion, NotFound

Status = Literal["Approved", "PendingManualApproval", "Rejected"]

PAGE = 100
"""Versions in one answer of ListModelPackages, its maximum: 1,000 versions take ten calls."""

MOST_KEYS = 50
"""Keys that a version's CustomerMetadataProperties may have, after botocore's shape of it."""

VALUE_LIMIT = 256
"""Characters of a value in it."""

DESCRIPTION = re.compile(r"^fingerprint (?P<fingerprint>[0-9a-f]{64}) (commit (?P<commit>[0-9a-f]{40})|adopted)$")
"""What the description of a version says: a listing holds it, while the metadata costs a call for each version."""

PROMOTED_COMMIT = "promoted_commit"
"""In the metadata of a version: the commit that brought it to its environment, a merge; `commit` is what trained it."""

VERIFIED = "verified"
"""In the metadata of a version: when and by whom it was first found well on its environment's endpoint."""

ADOPTED_FROM = "adopted_from"
"""In the metadata of a version that no commit of this project made: the endpoint that served it; see `adoption`."""

CONFLICT_SECONDS = 20
"""How long to look for the version that another run is making under the same token."""


@dataclass(frozen=True)
class Entry:
    """A version as a listing shows it."""

    arn: str
    group: str
    version: int
    status: Status
    fingerprint: str
    created: datetime


@dataclass(frozen=True)
class ModelPackage:
    """A version in a model group, with where it came from."""

    arn: str
    group: str
    version: int
    status: Status
    fingerprint: str
    commit: str
    artefact: str
    digest: str
    image: str
    metadata: dict[str, str] = field(repr=False)
    created: datetime
    modified: datetime
    reason: str = ""
    made: str = "Completed"
    variables: dict[str, str] | None = None

    @property
    def name(self) -> str:
        """Group and version, as messages name it."""
        return f"{self.group} version {self.version}"

    @property
    def is_adopted(self) -> bool:
        """Whether it was made without this project: there is no commit, no metric and no prediction of it."""
        return ADOPTED_FROM in self.metadata


def description(fingerprint: str, commit: str) -> str:
    """The description under which a version is found again; an adopted one has no commit."""
    return f"fingerprint {fingerprint} commit {commit}" if commit else f"fingerprint {fingerprint} adopted"


def token(*about: str) -> str:
    """A ClientToken made from what a write is about, so that the same write is made once (at most 36 characters)."""
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:36]


def group_arn(region: str, account: str, group: str) -> str:
    """ARN of a group, by which another account reads it."""
    return f"arn:aws:sagemaker:{region}:{account}:model-package-group/{group}"


def entries(session: boto3.Session, group: str, status: Status | None = None) -> Iterator[Entry]:
    """The versions of a group, newest first, read page by page as they are asked for.

    Args:
        session: may list the group.
        group: its name, or its ARN when it is another account's.
        status: only versions of this approval status.

    Raises:
        NotFound: there is no such group.
    """
    given: dict[str, Any] = {
        "ModelPackageGroupName": group,
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
        "MaxResults": PAGE,
    }
    if status:
        given["ModelApprovalStatus"] = status
    client = aws.client(session, "sagemaker")
    while True:
        try:
            with aws.explained("ListModelPackages", group):
                page = client.list_model_packages(**given)
        except NotFound as error:
            name = group.rpartition("/")[2]
            raise NotFound(f"the model group {name} is not there; mlops groups create makes it") from error
        # Versions made in the same second have the same time: their numbers tell their order.
        found = (entry_of(each) for each in page["ModelPackageSummaryList"])
        yield from sorted(found, key=lambda entry: entry.version, reverse=True)
        if not page.get("NextToken"):
            return
        given["NextToken"] = page["NextToken"]


def entry_of(summary: dict[str, Any]) -> Entry:
    """One version of a listing."""
    match = DESCRIPTION.match(summary.get("ModelPackageDescription", ""))
    return Entry(
        arn=summary["ModelPackageArn"],
        group=summary["ModelPackageGroupName"],
        version=summary["ModelPackageVersion"],
        status=summary["ModelApprovalStatus"],
        fingerprint=match["fingerprint"] if match else "",
        created=summary["CreationTime"],
    )


def listing(session: boto3.Session, group: str, status: Status | None = None) -> list[Entry]:
    """All versions of a group, newest first."""
    return list(entries(session, group, status))


def newest(session: boto3.Session, group: str, status: Status | None = None) -> ModelPackage | None:
    """The newest version of a group, of an approval status when one is given."""
    first = next(entries(session, group, status), None)
    return describe(session, first.arn) if first else None


def find(session: boto3.Session, group: str, fingerprint: str) -> ModelPackage | None:
    """The newest version that was made from this fingerprint."""
    for entry in entries(session, group):
        if entry.fingerprint == fingerprint:
            return describe(session, entry.arn)
    return None


def of_version(session: boto3.Session, group: str, version: int) -> ModelPackage:
    """The version of a number.

    Raises:
        NoSuchVersion: the group has none of that number.
    """
    numbers = []
    for entry in entries(session, group):
        if entry.version == version:
            return describe(session, entry.arn)
        numbers.append(entry.version)
    has = f"it has {', '.join(map(str, numbers[:10]))}" if numbers else "it is empty"
    raise NoSuchVersion(f"{group} has no version {version}; {has}")


def describe(session: boto3.Session, arn: str) -> ModelPackage:
    """All that the registry knows of a version.

    Args:
        session: may describe it; another account's is read under its group's policy.
        arn: ARN of the version.

    Raises:
        NotFound: there is no such version.
    """
    with aws.explained("DescribeModelPackage", arn):
        answer = aws.client(session, "sagemaker").describe_model_package(ModelPackageName=arn)
    container = answer.get("InferenceSpecification", {}).get("Containers", [{}])[0]
    metadata = dict(answer.get("CustomerMetadataProperties", {}))
    match = DESCRIPTION.match(answer.get("ModelPackageDescription", ""))
    return ModelPackage(
        arn=answer["ModelPackageArn"],
        group=answer["ModelPackageGroupName"],
        version=answer["ModelPackageVersion"],
        status=answer["ModelApprovalStatus"],
        fingerprint=match["fingerprint"] if match else metadata.get("fingerprint", ""),
        commit=(match["commit"] or "") if match else metadata.get("commit", ""),
        artefact=container.get("ModelDataUrl", ""),
        digest=metadata.get("digest", ""),
        image=container.get("Image", ""),
        metadata=metadata,
        created=answer["CreationTime"],
        modified=answer.get("LastModifiedTime", answer["CreationTime"]),
        reason=answer.get("ApprovalDescription", ""),
        made=answer.get("ModelPackageStatus", "Completed"),
        variables=container.get("Environment", {}),
    )


def refuse_unmade(package: ModelPackage) -> None:
    """Stop what is about a version that SageMaker has not made, whatever was decided of it.

    Raises:
        Failure: it is still being made, or could not be.
    """
    if package.made != "Completed":
        raise Failure(
            f"{package.name} is {package.made} in the registry, and only what is Completed goes on: run the same "
            "command again when it is, or delete that version in SageMaker and register or promote the model once more"
        )


def specification(image: str, artefact: str, variables: dict[str, str] | None = None) -> dict[str, Any]:
    """How a version is served: SageMaker's scikit-learn container with the inference script inside the artefact.

    A copy of a version, and what is adopted, have the variables that they had.

    The instance types are left open: an environment's settings choose them when it deploys.
    """
    ours = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    environment = ours if variables is None else variables
    return {
        "Containers": [{"Image": image, "ModelDataUrl": artefact, "Environment": environment}],
        "SupportedContentTypes": ["text/csv", "application/json"],
        "SupportedResponseMIMETypes": ["text/csv", "application/json"],
    }


def create(
    session: boto3.Session, group: str, fingerprint: str, client_token: str, after: int = 0, **parameters: Any
) -> ModelPackage:
    """Register a version, once: what another run registers under the same token is the answer of both.

    Args:
        session: may register in the group.
        group: name of the group.
        fingerprint: of what made the model, to find what the other run made.
        client_token: see `token`.
        after: the newest version before this one.
        parameters: the other parameters of CreateModelPackage.
    """
    client = aws.client(session, "sagemaker")
    with aws.explained("CreateModelPackage", group):
        try:
            answer = client.create_model_package(ModelPackageGroupName=group, ClientToken=client_token, **parameters)
            return describe(session, answer["ModelPackageArn"])
        except ClientError as error:
            # The same write with other words, such as another run's address: the first one counts.
            if (
                aws.code_of(error) != "ConflictException"
                or (made := appeared(session, group, fingerprint, after)) is None
            ):
                raise
            return made


def appeared(session: boto3.Session, group: str, fingerprint: str, after: int) -> ModelPackage | None:
    """The version that another run has made, or is just making."""
    deadline = time.monotonic() + CONFLICT_SECONDS
    delay = 0.2
    while True:
        found = find(session, group, fingerprint)
        if found is not None and found.version > after:
            return found
        if time.monotonic() > deadline:
            return None
        time.sleep(delay)
        delay *= 2


def set_status(
    session: boto3.Session,
    package: ModelPackage,
    status: Status,
    reason: str,
    said: dict[str, str] | None = None,
    gone: Sequence[str] = (),
) -> ModelPackage:
    """Set the approval status of a version with the reason for it, and what else its metadata says from then on."""
    with aws.explained("UpdateModelPackage", package.arn):
        aws.client(session, "sagemaker").update_model_package(
            ModelPackageArn=package.arn,
            ModelApprovalStatus=status,
            ApprovalDescription=reason,
            **({"CustomerMetadataProperties": said} if said else {}),
            **({"CustomerMetadataPropertiesToRemove": list(gone)} if gone else {}),
        )
    return describe(session, package.arn)
