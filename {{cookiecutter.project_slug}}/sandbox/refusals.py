"""Refusals in the form of the service that was asked: JSON, S3's XML, or the XML of the query services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from sandbox.identity import Signature
from sandbox.operations import Refusal
from sandbox.responses import Response

_IN_XML = {"AccessDeniedException": "AccessDenied", "ExpiredTokenException": "ExpiredToken"}
_IN_S3 = {"InvalidClientTokenId": "InvalidAccessKeyId"}


def refused(refusal: Refusal, environ: Mapping[str, Any], signed: Signature | None) -> Response:
    """The answer that tells a client of a refusal."""
    if signed and signed.service == "s3":
        code = _IN_S3.get(refusal.code, _IN_XML.get(refusal.code, refusal.code))
        text = f"<Code>{code}</Code><Message>{escape(refusal.message)}</Message>"
        status = 403 if code == "AccessDenied" else refusal.status
        body = b"" if environ["REQUEST_METHOD"] == "HEAD" else f"<Error>{text}</Error>".encode()
        return Response(status, body, [("Content-Type", "application/xml")])
    if environ.get("HTTP_X_AMZ_TARGET") or (signed and signed.service == "sagemaker"):
        content = {"__type": refusal.code, "message": refusal.message, **_fields(refusal)}
        answer = Response.of_json(content, refusal.status)
        answer.headers.append(("x-amzn-errortype", refusal.code))
        return answer
    code = _IN_XML.get(refusal.code, refusal.code)
    kind = "Receiver" if refusal.status >= 500 else "Sender"
    text = f"<Type>{kind}</Type><Code>{code}</Code><Message>{escape(refusal.message)}</Message>"
    status = 403 if code == "AccessDenied" else refusal.status
    return Response.of_xml(f"<ErrorResponse><Error>{text}</Error></ErrorResponse>", status)


def _fields(refusal: Refusal) -> dict[str, Any]:
    # The runtime's errors have their message under a capital letter.
    return {**refusal.fields, "Message": refusal.message} if refusal.fields else {}
