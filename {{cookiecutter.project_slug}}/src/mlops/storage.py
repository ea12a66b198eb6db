"""Objects in S3: their SHA-256, copies that are checked against it, files and folders to and fro."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from mlops import aws
from mlops.errors import BadInput, DigestMismatch, Failure, NotFound

CHUNK = 1 << 20
"""Bytes that are read at a time, so that an artefact of gigabytes needs one megabyte of memory."""


def parse(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`.

    Raises:
        BadInput: it is no such address.
    """
    parts = urlsplit(uri, allow_fragments=False)
    key = parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme != "s3" or not parts.netloc or not key:
        raise BadInput(f"{uri!r} is no address in S3; give s3://BUCKET/KEY")
    return parts.netloc, key


def digest(session: boto3.Session, uri: str) -> str:
    """SHA-256 of an object's bytes as hexadecimal digits.

    Raises:
        NotFound: there is no such object.
        Failure: S3 refuses to give it, or its bytes end too early.
    """
    sha = hashlib.sha256()
    try:
        for chunk in body_of(session, uri).iter_chunks(CHUNK):
            sha.update(chunk)
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise failure("GetObject", uri, error) from error
    return sha.hexdigest()


def refuse_other(session: boto3.Session, uri: str, digest: str) -> None:
    """Stop when an object is not the one that was registered.

    Raises:
        DigestMismatch: it has another SHA-256.
    """
    if (found := digest_of(session, uri)) != digest:
        raise DigestMismatch(f"{uri}: SHA-256 is {found}, {digest} was registered")


def copy(session: boto3.Session, source: str, target: str, digest: str, kms_key: str | None) -> None:
    """Copy an object, inside S3, and read the copy back; a copy that is there already is only read.

    Args:
        session: may read `source` and write `target`, which may be in different accounts.
        source: `s3://bucket/key` of what is copied.
        target: where the copy goes.
        digest: the SHA-256 that it has to have.
        kms_key: ARN of the key that encrypts the copy; the bucket's default when None.

    Raises:
        DigestMismatch: the copy does not have the digest; nothing refers to it yet, and a second run overwrites it.
    """
    if exists(session, target) and digest_of(session, target) == digest:
        return
    bucket, key = parse(target)
    from_bucket, from_key = parse(source)
    try:
        aws.client(session, "s3").copy(
            {"Bucket": from_bucket, "Key": from_key}, bucket, key, ExtraArgs=encryption(kms_key)
        )
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise failure("CopyObject", f"{source} to {target}", error) from error
    if (found := digest_of(session, target)) != digest:
        raise DigestMismatch(f"copy of {source} to {target}: SHA-256 is {found}, {digest} was registered")


digest_of = digest
"""`digest` where a parameter has that name."""


def download(session: boto3.Session, uri: str, file: Path) -> None:
    """Write an object to a file, whose folder is made."""
    bucket, key = parse(uri)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        aws.client(session, "s3").download_file(bucket, key, str(file))
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise failure("GetObject", uri, error) from error


def upload(session: boto3.Session, file: Path, uri: str, kms_key: str | None = None) -> None:
    """Write a file to an object."""
    bucket, key = parse(uri)
    try:
        aws.client(session, "s3").upload_file(str(file), bucket, key, ExtraArgs=encryption(kms_key))
    except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
        raise failure("PutObject", uri, error) from error


def upload_folder(session: boto3.Session, folder: Path, uri: str, kms_key: str | None = None) -> None:
    """Write every file below a folder to an object below a prefix, in the order of their names."""
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        upload(session, file, f"{uri.rstrip('/')}/{file.relative_to(folder).as_posix()}", kms_key)


def exists(session: boto3.Session, uri: str) -> bool:
    """Whether there is an object at an address."""
    bucket, key = parse(uri)
    try:
        aws.client(session, "s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if aws.is_missing(error):
            return False
        raise failure("HeadObject", uri, error) from error
    except BotoCoreError as error:
        raise failure("HeadObject", uri, error) from error
    return True


def read(session: boto3.Session, uri: str) -> bytes:
    """All bytes of an object; for small ones such as metrics and baselines."""
    try:
        return bytes(body_of(session, uri).read())
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise failure("GetObject", uri, error) from error


def write(session: boto3.Session, uri: str, content: bytes, kms_key: str | None = None) -> None:
    """Write bytes to an object."""
    bucket, key = parse(uri)
    try:
        aws.client(session, "s3").put_object(Bucket=bucket, Key=key, Body=content, **encryption(kms_key))
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise failure("PutObject", uri, error) from error


def listing(session: boto3.Session, uri: str) -> dict[str, int]:
    """Keys below a prefix, relative to it, with their sizes in bytes."""
    return {key: each["Size"] for key, each in objects(session, uri).items()}


def times(session: boto3.Session, uri: str) -> dict[str, datetime]:
    """Keys below a prefix, relative to it, with when each was written."""
    return {key: each["LastModified"] for key, each in objects(session, uri).items()}


def etags(session: boto3.Session, uri: str) -> dict[str, str]:
    """Keys below a prefix, relative to it, with the tags that change with what the objects hold."""
    return {key: each["ETag"] for key, each in objects(session, uri).items()}


def objects(session: boto3.Session, uri: str) -> dict[str, dict[str, Any]]:
    """Keys below a prefix, relative to it, with what ListObjectsV2 says of each."""
    bucket, key = parse(uri)
    pages = aws.client(session, "s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    try:
        return {each["Key"].removeprefix(key): each for page in pages for each in page.get("Contents", [])}
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise failure("ListObjectsV2", uri, error) from error


def delete_folder(session: boto3.Session, uri: str) -> None:
    """Delete every object below a prefix; where the bucket keeps versions, they can be had back for a while.

    Raises:
        BadInput: the prefix does not end with a slash: another folder's name may begin like it.
    """
    if not uri.endswith("/"):
        raise BadInput(f"{uri!r} is no folder in S3; it has to end with /")
    bucket, key = parse(uri)
    for name in listing(session, uri):
        try:
            aws.client(session, "s3").delete_object(Bucket=bucket, Key=f"{key}{name}")
        except (Boto3Error, BotoCoreError, ClientError) as error:
            raise failure("DeleteObject", f"s3://{bucket}/{key}{name}", error) from error


def lines(session: boto3.Session, uri: str) -> Iterator[str]:
    """The lines of an object of text, one after another, so that a large one needs little memory."""
    try:
        for line in body_of(session, uri).iter_lines(CHUNK):
            yield line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Failure(f"{uri}: no text in UTF-8: {error}") from error
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise failure("GetObject", uri, error) from error


def folders(session: boto3.Session, uri: str) -> list[str]:
    """The names of the folders directly below a prefix, which ends with a slash."""
    bucket, key = parse(uri)
    pages = (
        aws.client(session, "s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key, Delimiter="/")
    )
    try:
        found = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise failure("ListObjectsV2", uri, error) from error
    return [prefix.removeprefix(key).rstrip("/") for prefix in found]


def body_of(session: boto3.Session, uri: str) -> Any:
    """An object's bytes as botocore streams them; botocore refuses a stream that ends too early."""
    bucket, key = parse(uri)
    try:
        return aws.client(session, "s3").get_object(Bucket=bucket, Key=key)["Body"]
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise failure("GetObject", uri, error) from error


def encryption(kms_key: str | None) -> dict[str, str]:
    """The parameters of a write that encrypt with one key; none when the bucket's default does."""
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}


def failure(operation: str, resource: str, error: Exception) -> Failure:
    """What S3 said, as the machinery says it."""
    kind = NotFound if isinstance(error, ClientError) and aws.is_missing(error) else Failure
    return kind(f"{operation} {resource}: {aws.reason(error)}")
