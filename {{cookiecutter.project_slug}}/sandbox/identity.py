"""Who a request is from: the access key in its signature, as an administrator or as the session of a role."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from sandbox.documents import Document, now
from sandbox.operations import Caller, Refusal
from sandbox.sandbox import Sandbox

ADMINISTRATOR = re.compile(r"sandbox-([0-9]{12})")
_SCOPE = re.compile(r"Credential=([^/,\s]+)/[0-9]{8}/([^/]+)/([^/]+)/aws4_request")


@dataclass(frozen=True)
class Signature:
    """What a request says of itself: the access key, the region and the service's signing name."""

    access_key: str
    region: str
    service: str


def signature(environ: Mapping[str, str]) -> Signature | None:
    """The signature of a request, from its header or, when presigned, from its query; it is not verified."""
    text = environ.get("HTTP_AUTHORIZATION", "")
    query = parse_qs(environ.get("QUERY_STRING", ""))
    presigned = query.get("X-Amz-Credential")
    found = _SCOPE.search(text) or (_SCOPE.search(f"Credential={presigned[0]}") if presigned else None)
    if found:
        return Signature(found[1], found[2], found[3])
    # Version 2, with which boto3 still presigns for S3, names no region.
    older = query.get("AWSAccessKeyId")
    return Signature(older[0], "us-east-1", "s3") if older else None


def caller(sandbox: Sandbox, signed: Signature) -> Caller:
    """Whom an access key stands for.

    Raises:
        Refusal: nobody has that key, or its session is over.
    """
    administrator = ADMINISTRATOR.fullmatch(signed.access_key)
    if administrator:
        account = administrator[1]
        return Caller(account, signed.region, sandbox.administrator(account).arn)
    session = sessions(sandbox).get(signed.access_key)
    if session is None:
        message = f"The security token included in the request is invalid: nobody has the key {signed.access_key}"
        raise Refusal("InvalidClientTokenId", message, 403)
    if session["Expires"] < now():
        raise Refusal("ExpiredTokenException", "The security token included in the request is expired", 403)
    return Caller(session["Account"], signed.region, session["Arn"], session["Role"])


def sessions(sandbox: Sandbox) -> dict[str, Document]:
    """The sessions of roles by their access keys."""
    return sandbox.documents.table("Session", "-", "-")
