"""Who may do what: identity policies, and the policies of buckets, keys and model groups, weighed as IAM does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sandbox import backends
from sandbox.operations import Caller, Refusal
from sandbox.policies import Decision, Request, decide
from sandbox.sandbox import Sandbox

ROOT = "arn:aws:iam::{}:root"


@dataclass(frozen=True)
class Permission:
    """An action on a resource with its condition keys: what a request needs."""

    action: str
    resource: str = "*"
    context: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class ResourcePolicy:
    """The policy on a resource, or None when it has none, and the account that owns the resource."""

    owner: str
    document: Mapping[str, Any] | None


def denied(caller: Caller, permission: Permission, why: str) -> Refusal:
    """The refusal of a permission, in IAM's words."""
    return Refusal(
        "AccessDeniedException",
        f"User: {caller.arn} is not authorized to perform: {permission.action} "
        f"on resource: {permission.resource} because {why}",
    )


def refused_because(sandbox: Sandbox, caller: Caller, permission: Permission) -> str | None:
    """Why a caller who asks for a permission does not have it; None when it has it."""
    why = weighed(sandbox, caller, permission)
    if sandbox.asked and caller.role:
        sandbox.asked.note(
            role_arn(caller), permission.action, permission.resource, permission.context, allowed=why is None
        )
    return why


def weighed(sandbox: Sandbox, caller: Caller, permission: Permission) -> str | None:
    """What `refused_because` answers, of a permission that nobody asks for now."""
    guard = _policy_of(sandbox, permission.resource) or ResourcePolicy(caller.account, None)
    same_account = guard.owner == caller.account
    if caller.role is None and same_account:
        return None  # The administrator of an account.
    request = _request(caller, permission)
    identity = decide(_identity_policies(caller), request) if caller.role else Decision.ALLOWED
    documents = [guard.document] if guard.document else []
    resource = decide(documents, request)
    if Decision.DENIED in (identity, resource):
        return f"a policy denies {permission.action} explicitly"
    # A listing is of no key, so that no key's policy has a say.
    of_key = permission.action.startswith("kms:") and permission.resource != "*"
    if of_key and resource is not Decision.ALLOWED:
        return f"no key policy allows the {permission.action} action"
    if same_account:
        # The account itself as principal only hands the question to the identity policies.
        directly = decide(documents, _request(caller, permission, with_account=False))
        granted = Decision.ALLOWED in (identity, directly)
        return None if granted else f"no identity-based policy allows the {permission.action} action"
    if identity is not Decision.ALLOWED:
        return f"no identity-based policy allows the {permission.action} action"
    return None if resource is Decision.ALLOWED else f"no resource-based policy allows the {permission.action} action"


def permitted(caller: Caller, permission: Permission) -> bool:
    """Whether a caller's own policies allow it something, whatever those of the resource say."""
    return caller.role is None or decide(_identity_policies(caller), _request(caller, permission)) is Decision.ALLOWED


def trusts(
    trust: Mapping[str, Any], principals: set[tuple[str, str]], action: str, context: Mapping[str, list[str]]
) -> bool:
    """Whether a role's trust policy lets one of these principals take the role on."""
    return decide([trust], Request(action, "*", frozenset(principals), context)) is Decision.ALLOWED


def principals_of(caller: Caller, with_account: bool = True) -> set[tuple[str, str]]:
    """The names by which a Principal element may know a caller."""
    names = {caller.arn, *([role_arn(caller)] if caller.role else [])}
    return {("AWS", name) for name in names | ({ROOT.format(caller.account)} if with_account else set())}


def role_arn(caller: Caller) -> str:
    """ARN of the role, path included, whose session a caller is."""
    role = backends.role(caller.account, caller.role or "")
    return str(role.arn) if role else f"arn:aws:iam::{caller.account}:role/{caller.role}"


@lru_cache(maxsize=1024)
def parsed(document: str) -> Mapping[str, Any]:
    """A policy document; the same text is parsed once."""
    return dict(json.loads(document))


def _request(caller: Caller, permission: Permission, with_account: bool = True) -> Request:
    context = {
        "aws:PrincipalAccount": [caller.account],
        "aws:PrincipalArn": [role_arn(caller) if caller.role else caller.arn],
        "aws:RequestedRegion": [caller.region],
        # The loopback connection stands for the TLS connection of AWS.
        "aws:SecureTransport": ["true"],
        **permission.context,
    }
    return Request(permission.action, permission.resource, frozenset(principals_of(caller, with_account)), context)


def _identity_policies(caller: Caller) -> list[Mapping[str, Any]]:
    role = backends.role(caller.account, caller.role or "")
    if role is None:
        return []
    attached = [
        version.document
        for policy in role.managed_policies.values()
        for version in policy.versions
        if version.is_default
    ]
    return [parsed(each) if isinstance(each, str) else each for each in [*role.policies.values(), *attached]]


def _policy_of(sandbox: Sandbox, arn: str) -> ResourcePolicy | None:
    if not arn.startswith("arn:"):
        return None
    _, _, service, region, account, name = arn.split(":", 5)
    if service == "s3":
        return _bucket_policy(sandbox, name.partition("/")[0])
    if service == "kms" and (key := backends.key(arn)):
        return ResourcePolicy(account, parsed(key.policy))
    if service == "sagemaker" and name.startswith(("model-package/", "model-package-group/")):
        kept = sandbox.documents.table("ModelPackageGroupPolicy", account, region).get(name.split("/")[1])
        return ResourcePolicy(account, parsed(kept["ResourcePolicy"]) if kept else None)
    return ResourcePolicy(account, None) if account else None


def _bucket_policy(sandbox: Sandbox, name: str) -> ResourcePolicy | None:
    bucket = backends.bucket(name)
    if bucket is None:
        return None
    kept = sandbox.documents.table("BucketPolicy", "-", "-").get(name)
    return ResourcePolicy(bucket.account_id, parsed(kept["Policy"]) if kept else None)
