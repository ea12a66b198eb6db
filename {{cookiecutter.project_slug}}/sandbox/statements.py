"""Statements of policies, and the documents that they make."""

from __future__ import annotations

from typing import Any

Statement = dict[str, Any]

KEY_USE = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:CreateGrant")
"""What whoever reads and writes an encrypted bucket needs of its key."""

KEY_READ = ("kms:Decrypt", "kms:DescribeKey")

WRITE = ("s3:PutObject", "s3:AbortMultipartUpload")

READ_BEFORE = ("models", "baselines")
"""The parts of a bucket that the next environment's deploy role reads: artefacts, and what they are compared by."""


def allow(actions: list[str], resources: list[str]) -> Statement:
    """A statement that allows actions on resources."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


def document(statements: list[Statement]) -> dict[str, Any]:
    """A policy of statements."""
    return {"Version": "2012-10-17", "Statement": statements}


def bucket(name: str, write: bool, parts: tuple[str, ...] = ()) -> list[Statement]:
    """Read a bucket, or write to it too.

    Args:
        name: of the bucket.
        write: whether objects may be written.
        parts: prefixes without their slash; the whole bucket when none is given.
    """
    arn = f"arn:aws:s3:::{name}"
    objects = ["s3:GetObject", *(WRITE if write else [])]
    return [
        allow(["s3:ListBucket"], [arn]),
        allow(objects, [f"{arn}/{part}/*" for part in parts] or [f"{arn}/*"]),
    ]
