"""The bucket of Terraform's state: one in each account, made before anything else can be."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import boto3
from botocore.exceptions import ClientError

from mlops import aws
from mlops.settings.project import Settings
from mlops.setup.plan import Step, deed

TAG = "mlops:project"


def name(settings: Settings, account: str) -> str:
    """The name of an account's bucket."""
    return f"{settings.project}-terraform-{account}"


def exists(session: boto3.Session, bucket: str) -> bool:
    """Whether the bucket is there, and this account's."""
    try:
        aws.client(session, "s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=aws.account_of(session))
    except ClientError as error:
        if aws.is_missing(error):
            return False
        with aws.explained("HeadBucket", bucket):
            raise
    return True


def step(settings: Settings, session: boto3.Session, account: str) -> Step:
    """The step that makes it, or completes what a killed run has begun."""
    bucket = name(settings, account)
    there = exists(session, bucket)
    wanted = properties(settings, bucket)
    lacks = [what for what, (_, right) in wanted.items() if not (there and right(session))]
    # The bucket's name has the project and this account in it. One that is empty is a killed run's.
    own = there and (tags(session, bucket).get(TAG) == settings.project or is_empty(session, bucket))

    def act() -> None:
        with aws.explained("CreateBucket", bucket):
            if not exists(session, bucket):
                create(session, settings.region, bucket)
        for put, right in wanted.values():
            if not right(session):
                with aws.explained("set up", bucket):
                    put(session)

    detail = f"lacks {', '.join(lacks)}" if there and lacks else "versioned, encrypted, private, TLS only"
    return Step(f"state bucket {bucket}", deed(there, not lacks, own), detail, act)


def create(session: boto3.Session, region: str, bucket: str) -> None:
    """Create it. In us-east-1 S3 refuses to be told where."""
    place: dict[str, Any] = {} if region == "us-east-1" else {"LocationConstraint": region}
    given = {"CreateBucketConfiguration": place} if place else {}
    aws.client(session, "s3").create_bucket(Bucket=bucket, ObjectOwnership="BucketOwnerEnforced", **given)


Property = tuple[Callable[[boto3.Session], None], Callable[[boto3.Session], bool]]


def properties(settings: Settings, bucket: str) -> dict[str, Property]:
    """What the bucket has to have: how each is set, and whether it is."""
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    policy = only_over_tls(bucket)

    def s3(session: boto3.Session) -> Any:
        return aws.client(session, "s3")

    return {
        "versioning": (
            lambda session: s3(session).put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
            ),
            lambda session: read(session, "get_bucket_versioning", bucket).get("Status") == "Enabled",
        ),
        "encryption": (
            lambda session: s3(session).put_bucket_encryption(
                Bucket=bucket, ServerSideEncryptionConfiguration=encryption
            ),
            lambda session: "aws:kms" in json.dumps(read(session, "get_bucket_encryption", bucket)),
        ),
        "a block of public access": (
            lambda session: s3(session).put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block),
            lambda session: (
                read(session, "get_public_access_block", bucket).get("PublicAccessBlockConfiguration") == block
            ),
        ),
        "a policy": (
            lambda session: s3(session).put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy)),
            lambda session: parsed(read(session, "get_bucket_policy", bucket).get("Policy", "{}")) == policy,
        ),
        "its tags": (
            lambda session: s3(session).put_bucket_tagging(
                Bucket=bucket,
                Tagging={"TagSet": [{"Key": TAG, "Value": settings.project}, *company(settings)]},
            ),
            lambda session: tags(session, bucket).get(TAG) == settings.project,
        ),
    }


def company(settings: Settings) -> list[dict[str, str]]:
    """The company's own tags, as S3 takes them."""
    return [{"Key": key, "Value": value} for key, value in settings.tags.items()]


def only_over_tls(bucket: str) -> dict[str, Any]:
    """A policy that denies everything that is not encrypted on its way."""
    arn = f"arn:aws:s3:::{bucket}"
    deny = {
        "Sid": "OnlyOverTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [deny]}


def parsed(text: str) -> dict[str, Any]:
    """What a policy says, whose text S3 gives."""
    return dict(json.loads(text))


def read(session: boto3.Session, operation: str, bucket: str) -> dict[str, Any]:
    """One of a bucket's settings; empty when it was never set."""
    try:
        found: dict[str, Any] = getattr(aws.client(session, "s3"), operation)(Bucket=bucket)
    except ClientError as error:
        if aws.code_of(error).startswith(("NoSuch", "ServerSideEncryptionConfigurationNotFound")):
            return {}
        with aws.explained(operation, bucket):
            raise
    return found


def tags(session: boto3.Session, bucket: str) -> dict[str, str]:
    """The bucket's tags."""
    return {each["Key"]: each["Value"] for each in read(session, "get_bucket_tagging", bucket).get("TagSet", [])}


def is_empty(session: boto3.Session, bucket: str) -> bool:
    """Whether nothing was ever put into it."""
    return not read(session, "list_object_versions", bucket).get("Versions")


def strange(settings: Settings, session: boto3.Session, bucket: str, names: Sequence[str]) -> list[str]:
    """What in the bucket is none of the states of some environments; everything in a bucket that is not the project's.

    A state that goes takes with it the knowledge of what it has made.
    """
    pages = aws.client(session, "s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
    if tags(session, bucket).get(TAG) != settings.project:
        return keys or ["no tag of this project"]
    own = {f"{settings.project}/{name}.tfstate{end}" for name in names for end in ("", ".tflock")}
    return [key for key in keys if key not in own]


def lost(settings: Settings, session: boto3.Session, bucket: str) -> list[str]:
    """The environments that mlops.yaml has no more, and of which Terraform has something in this account."""
    known = {environment.name for environment in settings.environments}
    found = []
    for key in strange(settings, session, bucket, sorted(known)):
        named = re.fullmatch(f"{re.escape(settings.project)}/([a-z0-9]+)[.]tfstate", key)
        if named:
            with aws.explained("GetObject", f"s3://{bucket}/{key}"):
                text = aws.client(session, "s3").get_object(Bucket=bucket, Key=key)["Body"].read()
            if json.loads(text or "{}").get("resources"):
                found.append(named[1])
    return found


def remove(session: boto3.Session, bucket: str) -> None:
    """Delete the bucket with every version of every state."""
    if not exists(session, bucket):
        return
    client = aws.client(session, "s3")
    with aws.explained("DeleteBucket", bucket):
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                client.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
        client.delete_bucket(Bucket=bucket)
