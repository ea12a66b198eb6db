"""What the owner of a bucket or a key allows: the policies on the thing itself, beside those of the roles."""

from __future__ import annotations

from typing import Any

from sandbox.project import Environment, Project
from sandbox.statements import KEY_READ, KEY_USE, READ_BEFORE, Statement, allow, bucket, document


def of_bucket(project: Project, environment: Environment) -> dict[str, Any]:
    """Only over TLS, and the next environment's deploy role may read what it promotes."""
    arn = f"arn:aws:s3:::{environment.bucket}"
    encrypted = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"],
                 "Condition": {"Bool": {"aws:SecureTransport": "false"}}}  # fmt: skip
    after = project.after(environment)
    if after is None:
        return document([encrypted])
    reader = {"AWS": after.role("deploy")}
    reading = [{**each, "Principal": reader} for each in bucket(environment.bucket, write=False, parts=READ_BEFORE)]
    return document([encrypted, *reading])


def of_key(project: Project, key: str) -> dict[str, Any]:
    """What the owner of a key that the settings name allows: its account, and who uses or reads with it elsewhere."""
    owner = key.split(":")[4]
    statements = [_key_statement({"AWS": f"arn:aws:iam::{owner}:root"}, ["kms:*"])]
    for environment in project.environments:
        if environment.kms_key != key:
            continue
        if environment.account != owner:
            statements.append(_key_statement({"AWS": f"arn:aws:iam::{environment.account}:root"}, list(KEY_USE)))
        after = project.after(environment)
        if after is not None and (after.account != owner or environment.makes_key):
            statements.append(_key_statement({"AWS": after.role("deploy")}, list(KEY_READ)))
    return document(statements)


def _key_statement(principal: dict[str, str], actions: list[str]) -> Statement:
    return {**allow(actions, ["*"]), "Principal": principal}
