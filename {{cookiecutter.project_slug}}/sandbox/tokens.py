"""The security token service: roles are taken on by those whom their trust policies name."""

from __future__ import annotations

import base64
import json
import re
import secrets
import string
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from xml.sax.saxutils import escape

from sandbox import backends
from sandbox.authorization import Permission, parsed, permitted, principals_of, role_arn, trusts
from sandbox.documents import now
from sandbox.identity import sessions
from sandbox.operations import Caller, Refusal
from sandbox.sandbox import Credentials, Sandbox

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_SERVICE_SESSION = timedelta(hours=12)
_RENEW_BEFORE = timedelta(minutes=30)
_LETTERS = string.ascii_uppercase + "234567"


def answer(sandbox: Sandbox, operation: str, parameters: Mapping[str, str], caller: Caller | None) -> str:
    """The XML that answers an operation of STS; only the one with a web identity needs no caller."""
    if operation == "AssumeRoleWithWebIdentity":
        return _xml(operation, _assume_with_web_identity(sandbox, parameters))
    if caller is None:
        raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    if operation == "AssumeRole":
        return _xml(operation, _assume(sandbox, parameters, caller))
    if operation == "GetCallerIdentity":
        user = f"AROA{caller.role}:{caller.arn.rpartition('/')[2]}" if caller.role else caller.account
        return _xml(operation, {"Arn": caller.arn, "UserId": user, "Account": caller.account})
    raise Refusal("InvalidAction", f"the sandbox's STS does not support {operation}")


def assume_for_service(sandbox: Sandbox, role_arn: str, service: str, session: str) -> Credentials:
    """The session of a role that an AWS service takes on; one that is good for a while yet is used again.

    Raises:
        Refusal: the role does not exist or does not trust the service.
    """
    account, role = _role(role_arn)
    context = {"aws:SourceAccount": [account]}
    if role is None or not trusts(_trust(role), {("Service", service)}, "sts:AssumeRole", context):
        raise Refusal(
            "ValidationException",
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            f"'{service}' to assume the role.",
        )
    arn = _session_arn(account, role.name, session)
    with sandbox.documents.lock:
        for key, kept in sessions(sandbox).items():
            if kept["Arn"] == arn and kept["Service"] == service and kept["Expires"] > now() + _RENEW_BEFORE:
                return Credentials(arn, key, kept["Secret"], kept["Token"])
    return _new_session(sandbox, account, role.name, session, _SERVICE_SESSION, service)


def _assume(sandbox: Sandbox, parameters: Mapping[str, str], caller: Caller) -> dict[str, Any]:
    arn = _needed(parameters, "RoleArn")
    account, role = _role(arn)
    context = {
        "sts:RoleSessionName": [parameters.get("RoleSessionName", "")],
        "aws:PrincipalAccount": [caller.account],
        "aws:PrincipalArn": [role_arn(caller) if caller.role else caller.arn],
    }
    if "ExternalId" in parameters:
        context["sts:ExternalId"] = [parameters["ExternalId"]]
    trusted = role is not None and trusts(_trust(role), principals_of(caller), "sts:AssumeRole", context)
    # Who is not named by the trust policy, but whose account is, needs the right from that account too.
    may = trusted and (
        trusts(_trust(role), principals_of(caller, with_account=caller.role is None), "sts:AssumeRole", context)
        or permitted(caller, Permission("sts:AssumeRole", arn))
    )
    if not may:
        message = f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        raise Refusal("AccessDenied", message, 403)
    return _assumed(sandbox, account, role, parameters)


def _assume_with_web_identity(sandbox: Sandbox, parameters: Mapping[str, str]) -> dict[str, Any]:
    claims = _claims(_needed(parameters, "WebIdentityToken"))
    account, role = _role(_needed(parameters, "RoleArn"))
    issuer = str(claims.get("iss", "")).removeprefix("https://")
    provider = f"arn:aws:iam::{account}:oidc-provider/{issuer}"
    registered = backends.of_account("iam", account).open_id_providers.get(provider)
    if registered is None:
        message = f"No OpenIDConnect provider found in your account for https://{issuer}"
        raise Refusal("InvalidIdentityToken", message)
    audiences = claims["aud"] if isinstance(claims.get("aud"), list) else [claims.get("aud")]
    if not set(audiences) & set(registered.client_id_list):
        raise Refusal("InvalidIdentityToken", "Incorrect token audience")
    context = {f"{issuer}:{claim}": [str(value)] for claim, value in claims.items() if not isinstance(value, list)}
    context[f"{issuer}:aud"] = [str(audience) for audience in audiences]
    action = "sts:AssumeRoleWithWebIdentity"
    if role is None or not trusts(_trust(role), {("Federated", provider)}, action, context):
        raise Refusal("AccessDenied", f"Not authorized to perform {action}", 403)
    subject = {"SubjectFromWebIdentityToken": str(claims.get("sub")), "Provider": provider, "Audience": audiences[0]}
    return {**_assumed(sandbox, account, role, parameters), **subject}


def _claims(token: str) -> dict[str, Any]:
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (IndexError, ValueError) as error:
        message = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
        raise Refusal("InvalidIdentityToken", message) from error
    if "exp" in claims and claims["exp"] < now().timestamp():
        raise Refusal("ExpiredTokenException", "Token expired: current date/time must be before the expiration")
    return dict(claims)


def _assumed(sandbox: Sandbox, account: str, role: Any, parameters: Mapping[str, str]) -> dict[str, Any]:
    session = _needed(parameters, "RoleSessionName")
    if not re.fullmatch(r"[\w+=,.@-]{2,64}", session):
        raise Refusal("ValidationError", f"Value '{session}' at 'roleSessionName' failed to satisfy constraint")
    seconds, longest = int(parameters.get("DurationSeconds", "3600")), int(role.max_session_duration or 3600)
    if not 900 <= seconds <= longest:
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise Refusal("ValidationError", message)
    credentials = _new_session(sandbox, account, role.name, session, timedelta(seconds=seconds), None)
    expires = sessions(sandbox)[credentials.access_key_id]["Expires"]
    return {
        "AssumedRoleUser": {"Arn": credentials.arn, "AssumedRoleId": f"{role.id}:{session}"},
        "Credentials": {
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
            "SessionToken": credentials.session_token,
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }


def _new_session(
    sandbox: Sandbox, account: str, role: str, session: str, lasts: timedelta, service: str | None
) -> Credentials:
    credentials = Credentials(
        arn=_session_arn(account, role, session),
        access_key_id="ASIA" + "".join(secrets.choice(_LETTERS) for _ in range(16)),
        secret_access_key=secrets.token_urlsafe(30),
        session_token=secrets.token_urlsafe(60),
    )
    with sandbox.documents.lock:
        known = sessions(sandbox)
        for key in [key for key, kept in known.items() if kept["Expires"] < now()]:
            del known[key]
        known[credentials.access_key_id] = {
            "Arn": credentials.arn,
            "Account": account,
            "Role": role,
            "Service": service,
            "Secret": credentials.secret_access_key,
            "Token": credentials.session_token,
            "Expires": now() + lasts,
        }
        sandbox.documents.changed()
    return credentials


def _role(arn: str) -> tuple[str, Any | None]:
    found = re.fullmatch(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/(?:.*/)?([\w+=,.@-]+)", arn)
    if not found:
        raise Refusal("ValidationError", f"{arn} is invalid")
    return found[1], backends.role(found[1], found[2])


def _trust(role: Any) -> Mapping[str, Any]:
    return parsed(role.assume_role_policy_document)


def _session_arn(account: str, role: str, session: str) -> str:
    return f"arn:aws:sts::{account}:assumed-role/{role}/{session}"


def _needed(parameters: Mapping[str, str], name: str) -> str:
    if not parameters.get(name):
        where = f"1 validation error detected: Value null at '{name[0].lower() + name[1:]}'"
        raise Refusal("ValidationError", f"{where} failed to satisfy constraint: Member must not be null")
    return parameters[name]


def _xml(operation: str, result: Mapping[str, Any]) -> str:
    inner = _elements({f"{operation}Result": result, "ResponseMetadata": {"RequestId": secrets.token_hex(16)}})
    return f'<{operation}Response xmlns="{_NAMESPACE}">{inner}</{operation}Response>'


def _elements(values: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_elements(value) if isinstance(value, Mapping) else escape(str(value))}</{name}>"
        for name, value in values.items()
    )
