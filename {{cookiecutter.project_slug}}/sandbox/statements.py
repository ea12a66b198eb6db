"""Statements of policies, and the documents that they make."""

from __future__ import annotations

from typing import Any

Statement = dict[str, Any]

KEY_USE = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:CreateGrant")
"""What whoever reads and writes an encrypted bucket needs of its key."""


def allow(actions: list[str], resources: list[str]) -> Statement:
    """A statement that allows actions on resources."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


def document(statements: list[Statement]) -> dict[str, Any]:
    """A policy of statements."""
    return {"Version": "2012-10-17", "Statement": statements}
