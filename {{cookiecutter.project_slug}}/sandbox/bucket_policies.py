"""Bucket policies, kept from moto: it weighs them without their conditions, so that a rule on TLS denies everybody."""

from __future__ import annotations

import json

from sandbox import backends
from sandbox.documents import Document
from sandbox.operations import Refusal
from sandbox.responses import Response
from sandbox.sandbox import Sandbox

OPERATIONS = ("GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy")


def table(sandbox: Sandbox) -> dict[str, Document]:
    """The policies by the names of their buckets, which are unique in all accounts."""
    return sandbox.documents.table("BucketPolicy", "-", "-")


def put(sandbox: Sandbox, bucket: str, policy: str) -> None:
    """Set the policy of a bucket."""
    table(sandbox)[bucket] = {"Policy": policy}
    sandbox.documents.changed()


def forget(sandbox: Sandbox, bucket: str) -> None:
    """Drop what is left of an earlier bucket of that name when a new one is made."""
    if backends.bucket(bucket) is None:
        table(sandbox).pop(bucket, None)


def answer(sandbox: Sandbox, operation: str, bucket: str, body: bytes) -> Response:
    """What S3 answers to an operation on a bucket's policy."""
    if backends.bucket(bucket) is None:
        raise Refusal("NoSuchBucket", "The specified bucket does not exist", 404)
    if operation == "PutBucketPolicy":
        _check(bucket, body)
        put(sandbox, bucket, body.decode())
        return Response(204, b"")
    if operation == "DeleteBucketPolicy":
        table(sandbox).pop(bucket, None)
        sandbox.documents.changed()
        return Response(204, b"")
    if bucket not in table(sandbox):
        raise Refusal("NoSuchBucketPolicy", "The bucket policy does not exist", 404)
    policy: str = table(sandbox)[bucket]["Policy"]
    return Response(200, policy.encode(), [("Content-Type", "application/json")])


def _check(bucket: str, body: bytes) -> None:
    try:
        statements = json.loads(body)["Statement"]
        named = [each["Resource"] for each in (statements if isinstance(statements, list) else [statements])]
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal("MalformedPolicy", f"Policies must be valid JSON with statements: {error}") from error
    arn = f"arn:aws:s3:::{bucket}"
    for name in (name for each in named for name in (each if isinstance(each, list) else [each])):
        if name != arn and not name.startswith(f"{arn}/"):
            raise Refusal("MalformedPolicy", "Policy has invalid resource")
