"""Trust policies: whether a role may be taken on by somebody, weighed statement by statement as STS does."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlops.errors import Failure

GITHUB = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
BY_TOKEN = "sts:AssumeRoleWithWebIdentity"
BY_SESSION = "sts:AssumeRole"


@dataclass(frozen=True)
class Asker:
    """Who would take a role on.

    Args:
        kind: of the principal: Federated, Service or AWS.
        name: its ARN, or a service's name.
        action: by which it takes the role on.
        claims: the condition keys of its request.
    """

    kind: str
    name: str
    action: str
    claims: Mapping[str, str] = field(default_factory=dict)


class UnknownCondition(Failure):
    """A condition that is not understood here, so that nobody can tell from it who is let in."""


def workflow(account: str, subject: str, ref: str, audience: str = AUDIENCE) -> Asker:
    """A job of GitHub, by its token.

    Args:
        account: whose identity provider the token is shown to.
        subject: the token's `sub`.
        ref: the branch or pull request of its run.
        audience: for whom the token was made.
    """
    claims = {f"{GITHUB}:sub": subject, f"{GITHUB}:aud": audience, f"{GITHUB}:ref": ref}
    return Asker("Federated", f"arn:aws:iam::{account}:oidc-provider/{GITHUB}", BY_TOKEN, claims)


def service(name: str, account: str) -> Asker:
    """A service of AWS, on behalf of an account."""
    return Asker("Service", name, BY_SESSION, {"aws:SourceAccount": account})


def people(account: str) -> Asker:
    """An account's own people, whom their policies have to let besides."""
    return Asker("AWS", f"arn:aws:iam::{account}:root", BY_SESSION, {"aws:PrincipalAccount": account})


def document(given: Any) -> dict[str, Any]:
    """A policy, of which IAM's answers hold the text or what it says."""
    return dict(json.loads(given)) if isinstance(given, str) else dict(given)


def lets(policy: Mapping[str, Any], asker: Asker) -> bool:
    """Whether a trust policy lets somebody take its role on; a denial wins.

    Raises:
        UnknownCondition: a statement about them has a condition that is not understood.
    """
    effects = {each["Effect"] for each in statements(policy) if speaks_of(each, asker)}
    return effects == {"Allow"}


def statements(policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The statements of a policy, of which one may stand alone."""
    return listed(policy.get("Statement", []))


def speaks_of(statement: Mapping[str, Any], asker: Asker) -> bool:
    """Whether a statement is about somebody: its principal, its action, and all of its conditions."""
    named = statement.get("Principal", {})
    principals = [named] if named == "*" else listed(named.get(asker.kind, []))
    own = {"*", asker.name, asker.name.split(":")[4] if asker.kind == "AWS" else asker.name}
    actions = [str(each).lower() for each in listed(statement.get("Action", []))]
    return (
        any(each in own for each in principals)
        and any(fits(each, asker.action.lower()) for each in actions)
        and all(
            holds(operator, key, [str(each) for each in listed(wanted)], asker.claims)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def equal(wanted: str, given: str) -> bool:
    """Word for word."""
    return wanted == given


def equal_ignoring_case(wanted: str, given: str) -> bool:
    """Word for word, whatever the case of letters."""
    return wanted.lower() == given.lower()


def fits(pattern: str, given: str) -> bool:
    """IAM's wildcards: `*` for any characters, `?` for one."""
    parts = ({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch("".join(parts), given, re.DOTALL) is not None


TESTS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": equal, "StringEqualsIgnoreCase": equal_ignoring_case, "StringLike": fits, "ArnEquals": fits,
    "ArnLike": fits, "Bool": equal_ignoring_case,
}  # fmt: skip


def holds(operator: str, key: str, wanted: Sequence[str], claims: Mapping[str, str]) -> bool:
    """Whether one condition holds: each key of these requests has one value, so that the quantifiers say no more.

    Raises:
        UnknownCondition: the operator is none of those that are known here.
    """
    quantifier, _, name = operator.rpartition(":")
    given = {each.lower(): value for each, value in claims.items()}.get(key.lower())
    if name == "Null":
        return (given is None) == (wanted[0].lower() == "true")
    if_exists, name = name.endswith("IfExists"), name.removesuffix("IfExists")
    negative = "Not" in name
    test = TESTS.get(name.replace("Not", "", 1))
    if test is None:
        raise UnknownCondition(f"the condition {operator} of its trust is not understood: look at it by hand")
    if given is None:
        return if_exists or negative or quantifier == "ForAllValues"
    return any(test(each, given) for each in wanted) is not negative


def repositories(policy: Mapping[str, Any]) -> list[str]:
    """The repositories of GitHub that a policy names, as the subjects of tokens begin."""
    found = [
        match[1]
        for statement in statements(policy)
        for keys in statement.get("Condition", {}).values()
        for key, wanted in keys.items()
        if key.lower() == f"{GITHUB}:sub"
        for each in listed(wanted)
        if (match := re.match(r"repo:([^:]+):", str(each)))
    ]
    return list(dict.fromkeys(found))


def takers(policy: Mapping[str, Any]) -> list[str]:
    """Whom a policy names by the condition on their role, or as principals where it has none."""
    found: list[str] = []
    for statement in statements(policy):
        conditions = [keys for keys in statement.get("Condition", {}).values() if "aws:PrincipalArn" in keys]
        named = [each for keys in conditions for each in listed(keys["aws:PrincipalArn"])]
        principal = statement.get("Principal", {})
        found += named or (["everybody"] if principal == "*" else [e for v in principal.values() for e in listed(v)])
    return list(dict.fromkeys(map(str, found)))


def listed(value: Any) -> list[Any]:
    """A policy's elements may be one value or a list of them."""
    return list(value) if isinstance(value, list) else [value]
