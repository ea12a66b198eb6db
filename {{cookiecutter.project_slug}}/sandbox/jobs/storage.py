"""What jobs and endpoints read from S3 and write to it, under the role that was given to them."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sandbox.operations import Refusal
from sandbox.sandbox import Credentials, Sandbox


class NotReadable(Exception):
    """An input that the role can not read, or that is not there; the text is the service's failure reason."""


@dataclass(frozen=True)
class Storage:
    """S3 as one role in one region sees it."""

    s3: Any
    credentials: Credentials
    role: str
    region: str

    def download(self, uri: str, folder: Path) -> list[Path]:
        """Bring an object, or all objects below a prefix, into a folder; their paths are kept below the prefix.

        Raises:
            NotReadable: there is none, or the role may not list or read them.
        """
        bucket, prefix = split(uri)
        files = []
        try:
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for found in page.get("Contents", []):
                    if found["Key"].endswith("/"):
                        continue  # S3 consoles show folders by empty objects.
                    file = folder / _below(found["Key"], prefix)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(self.s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
                    files.append(file)
        except ClientError as problem:
            raise NotReadable(f"ClientError: Data download failed: {_reason(problem)}") from None
        if not files:
            raise NotReadable(
                f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given in input data '
                f"source. Please ensure that the bucket exists in the selected region ({self.region}), that objects "
                f'exist under that S3 prefix, and that the role "{self.role}" has "s3:ListBucket" permissions on '
                f'bucket "{bucket}".'
            )
        return files

    def read(self, uri: str) -> bytes:
        """An object's content.

        Raises:
            NotReadable: it is not there, or the role may not read it.
        """
        bucket, key = split(uri)
        try:
            content: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as problem:
            raise NotReadable(f"{_reason(problem)} ({uri})") from None
        return content

    def exists(self, uri: str) -> bool:
        """Whether the role can read the object."""
        bucket, key = split(uri)
        try:
            self.s3.head_object(Bucket=bucket, Key=key)
        except ClientError:
            return False
        return True

    def unpack(self, uri: str, folder: Path) -> None:
        """Bring an archive and unpack it into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(fileobj=io.BytesIO(self.read(uri))) as archive:
                archive.extractall(folder, filter="data")
        except tarfile.TarError as problem:
            raise NotReadable(f"{uri} is not a tar archive that can be unpacked: {problem}") from None

    def write(self, uri: str, content: bytes, key: str | None = None) -> None:
        """Store an object, encrypted with a KMS key; without one SageMaker takes AWS's own, not the bucket's.

        Raises:
            NotReadable: the role may not write it.
        """
        bucket, name = split(uri)
        key = key or f"arn:aws:kms:{self.region}:{self.role.split(':')[4]}:alias/aws/s3"
        sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
        try:
            self.s3.put_object(Bucket=bucket, Key=name, Body=content, **sealed)
        except ClientError as problem:
            raise NotReadable(f"ClientError: Artifact upload failed: {_reason(problem)} ({uri})") from None

    def upload(self, folder: Path, uri: str, key: str | None = None) -> None:
        """Store every file of a folder below a prefix."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.write(f"{uri.rstrip('/')}/{file.relative_to(folder).as_posix()}", file.read_bytes(), key)

    def pack(self, folder: Path, uri: str, key: str | None = None) -> None:
        """Store a folder as a tar.gz archive, its files at the archive's top."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for entry in sorted(folder.iterdir()):
                archive.add(entry, entry.name)
        self.write(uri, packed.getvalue(), key)


def storage(sandbox: Sandbox, role: str, region: str) -> Storage:
    """S3 under a role that SageMaker assumes.

    Raises:
        Refusal: there is no such role, or it does not trust SageMaker.
    """
    credentials = sandbox.assume(role)
    return Storage(sandbox.client_as("s3", credentials, region), credentials, role, region)


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI.

    Raises:
        Refusal: it is no S3 URI.
    """
    if not uri.startswith("s3://"):
        raise Refusal("ValidationException", f"{uri} is not an S3 URI: give s3://BUCKET/KEY")
    bucket, _, key = uri[5:].partition("/")
    return bucket, key


def _below(key: str, prefix: str) -> str:
    """Where an object goes below the folder: `data/x/a.csv` of prefix `data/x` is `a.csv`, and so it is of `data/`."""
    rest = key[len(prefix) :]
    if rest.startswith("/") or prefix.endswith("/") or not prefix:
        return rest.lstrip("/")
    return key.rsplit("/", 1)[-1]


def _reason(problem: ClientError) -> str:
    error = problem.response["Error"]
    return f"{error['Code']}: {error['Message']}"
