"""The bucket of an environment and the key that it is encrypted with: what each has to have, one line each."""

from collections.abc import Iterator, Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from mlops import aws
from mlops.errors import Failure
from mlops.settings.project import FILE, Environment
from mlops.setup import state
from mlops.setup.health import Check
from mlops.setup.roles import MAKE
from mlops.setup.trust import listed, statements


def checks(session: boto3.Session, environment: Environment) -> Iterator[Check]:
    """What `mlops doctor` says of a bucket; of one that the settings name only that it is there.

    Args:
        session: an administrator's, in the environment's account.
        environment: whose bucket it is.
    """
    name, what = environment.bucket, f"bucket {environment.bucket}"
    if not is_there(session, name):
        yield Check(what, False, "not there, or another account's", MAKE)
    elif environment.bucket_name:
        yield Check(what, True, f"named in {FILE}; what it has to have is its owner's say (docs/infrastructure.md)")
    else:
        yield Check(what, True, "this account's")
        for of in (versioning, privacy, transport, encryption):
            try:
                yield of(session, environment)
            except Failure as error:
                yield Check(f"{of.__name__} of {name}", False, str(error), "give credentials that may read it")


def is_there(session: boto3.Session, name: str) -> bool:
    """Whether a bucket is there, and this account's."""
    try:
        return state.exists(session, name)
    except Failure:
        return False


def versioning(session: boto3.Session, environment: Environment) -> Check:
    """What is overwritten or deleted can be had back."""
    status = state.read(session, "get_bucket_versioning", environment.bucket).get("Status", "never switched on")
    return Check(f"versioning of {environment.bucket}", status == "Enabled", status, MAKE)


def privacy(session: boto3.Session, environment: Environment) -> Check:
    """No policy and no list can open the bucket to everybody."""
    found = state.read(session, "get_public_access_block", environment.bucket)
    block = found.get("PublicAccessBlockConfiguration", {})
    off = [name for name, on in block.items() if not on]
    told = "no block of public access" if not block else f"off: {', '.join(off)}" if off else "no public access"
    return Check(f"privacy of {environment.bucket}", bool(block) and not off, told, MAKE)


def transport(session: boto3.Session, environment: Environment) -> Check:
    """Nobody reads or writes it but over TLS."""
    text = state.read(session, "get_bucket_policy", environment.bucket).get("Policy", "{}")
    policy, what = state.parsed(text), f"transport of {environment.bucket}"
    if any(forbids_plain(each, environment.bucket) for each in statements(policy)):
        return Check(what, True, "only over TLS")
    return Check(what, False, "its policy does not deny what comes without TLS (aws:SecureTransport)", MAKE)


def forbids_plain(statement: Mapping[str, Any], bucket: str) -> bool:
    """Whether a statement denies everybody everything, in the bucket and on it, that is not encrypted on its way."""
    everybody = statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
    everything = {str(each).lower() for each in listed(statement.get("Action", []))} & {"s3:*", "*"}
    places = set(listed(statement.get("Resource", [])))
    whole = "*" in places or {f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"} <= places
    plain = {
        operator: {key.lower(): [str(each).lower() for each in listed(value)] for key, value in keys.items()}
        for operator, keys in statement.get("Condition", {}).items()
    }
    return (
        statement.get("Effect") == "Deny"
        and everybody
        and bool(everything)
        and whole
        and plain == {"Bool": {"aws:securetransport": ["false"]}}
    )


def encryption(session: boto3.Session, environment: Environment) -> Check:
    """Its content is encrypted by a key of a customer's own, which is in use: another account reads by that alone."""
    what = f"encryption of {environment.bucket}"
    found = state.read(session, "get_bucket_encryption", environment.bucket)
    rules = found.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    given: dict[str, Any] = next((each.get("ApplyServerSideEncryptionByDefault", {}) for each in rules), {})
    key = given.get("KMSMasterKeyID")
    if given.get("SSEAlgorithm") not in ("aws:kms", "aws:kms:dsse") or not key:
        told = given.get("SSEAlgorithm", "none")
        return Check(what, False, f"{told}; not by a customer key, and no other account can read that", MAKE)
    return of_key(session, what, key, environment.kms_key)


def of_key(session: boto3.Session, what: str, key: str, named: str | None) -> Check:
    """A key: it is there and in use, a customer's, and the one that the settings name."""
    try:
        found = aws.client(session, "kms").describe_key(KeyId=key)["KeyMetadata"]
        other = named and aws.client(session, "kms").describe_key(KeyId=named)["KeyMetadata"]["Arn"] != found["Arn"]
    except ClientError as error:
        return Check(what, False, f"{key}: {aws.reason(error)}", f"{FILE}: kms_key" if named else MAKE)
    fix = f"{FILE}: kms_key" if named else MAKE
    if not found["Enabled"]:
        return Check(what, False, f"{found['Arn']} is {found['KeyState']}", fix)
    if found.get("KeyManager") == "AWS":
        return Check(what, False, f"{found['Arn']} is AWS's own: other accounts can not be let use it", fix)
    if other:
        return Check(what, False, f"by {found['Arn']}, and {FILE} names {named}", fix)
    return Check(what, True, f"by {found['Arn']}")
