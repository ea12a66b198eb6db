"""The front of the sandbox: tells who asks for what, lets it through or refuses it, and passes it to whom it is for."""

from __future__ import annotations

import io
import json
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from sandbox import bucket_policies, buckets, control_plane, identity, quotas, resources, runtime, services, tokens
from sandbox.authorization import Permission, denied, refused_because
from sandbox.controls import PREFIX, Controls, Recorded
from sandbox.hosting import scaling
from sandbox.identity import Signature
from sandbox.operations import Caller, Refusal
from sandbox.refusals import refused
from sandbox.responses import Response
from sandbox.sandbox import Sandbox

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
_HIDDEN = ("/moto-api", "/latest/")
"""Paths at which moto would answer to anybody."""


class Front:
    """The WSGI application.

    Args:
        sandbox: what it serves.
        moto: the application that answers for every service but SageMaker and STS; made at the first request to it.
    """

    def __init__(self, sandbox: Sandbox, moto: Callable[[], Any]) -> None:
        self.sandbox = sandbox
        self.controls = Controls()
        self.moto_was_used = False
        self._moto = moto

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; whatever goes wrong is an answer too, in the form of the service that was asked."""
        path = environ.get("PATH_INFO", "/")
        if path.startswith(PREFIX):
            status, content = self.controls.answer(environ["REQUEST_METHOD"], path, _body(environ))
            return Response.of_json(content, status).send(start_response)
        signed = identity.signature(environ)
        try:
            response = self._served(environ, signed)
        except Refusal as refusal:
            response = refused(refusal, environ, signed)
        except Exception:
            traceback.print_exc()
            problem = traceback.format_exc(limit=-2).strip()
            response = refused(Refusal("InternalFailure", problem, 500), environ, signed)
        return response.send(start_response) if response else self._by_moto(environ, start_response)

    def _served(self, environ: Environ, signed: Signature | None) -> Response | None:
        """The answer to a request, or None when it may pass on to moto."""
        if signed is None:
            return self._unsigned(environ)
        caller = identity.caller(self.sandbox, signed)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = caller.account
        match signed.service:
            case "sagemaker":
                return self._sagemaker(environ, caller)
            case "sts":
                parameters = services.parameters_of(environ, _body(environ))
                return self._sts(environ, parameters, caller)
            case "s3":
                return self._s3(environ, caller)
        return self._other(environ, caller, signed.service)

    def _unsigned(self, environ: Environ) -> Response:
        parameters = services.parameters_of(environ, _body(environ))
        if parameters.get("Action") != "AssumeRoleWithWebIdentity":
            raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        return self._sts(environ, parameters, None)

    def _sagemaker(self, environ: Environ, caller: Caller) -> Response:
        if runtime.is_invocation(environ["PATH_INFO"]):
            call = runtime.call_of(self.sandbox, caller, environ, _body(environ))
        else:
            name = environ.get("HTTP_X_AMZ_TARGET", "").removeprefix("SageMaker.")
            call = control_plane.call_of(self.sandbox, caller, name, json.loads(_body(environ) or b"{}"))
        needed = control_plane.permissions(call)
        self._let_through(caller, "sagemaker", call.operation, needed)
        result = control_plane.done(call)
        self.controls.meet(call.operation, "after")
        if runtime.is_invocation(environ["PATH_INFO"]):
            return Response(200, *runtime.wire(call, result))
        return Response.of_json(control_plane.wire(call, result))

    def _sts(self, environ: Environ, parameters: dict[str, str], caller: Caller | None) -> Response:
        operation = services.operation_of(environ, parameters)
        self.controls.meet(operation, "before")
        principal = caller.arn if caller else "web identity"
        resource = parameters.get("RoleArn", "*")
        try:
            text = tokens.answer(self.sandbox, operation, parameters, caller)
        except Refusal:
            self.controls.record(Recorded("sts", operation, principal, resource, False))
            raise
        self.controls.record(Recorded("sts", operation, principal, resource, True))
        self.controls.meet(operation, "after")
        return Response.of_xml(text)

    def _s3(self, environ: Environ, caller: Caller) -> Response | None:
        buckets.path_style(environ)
        several = environ["REQUEST_METHOD"] == "POST" and "delete" in environ.get("QUERY_STRING", "")
        request = buckets.understood(environ, _body(environ) if several else b"")
        self._let_through(caller, "s3", request.operation, list(request.permissions))
        if request.operation in bucket_policies.OPERATIONS:
            return bucket_policies.answer(self.sandbox, request.operation, request.bucket, _body(environ))
        if request.operation == "CreateBucket":
            bucket_policies.forget(self.sandbox, request.bucket)
        environ["sandbox.operation"] = request.operation
        return None

    def _other(self, environ: Environ, caller: Caller, service: str) -> Response | None:
        if service in self.sandbox.on_first:
            self._meet_first(service)
        parameters = services.parameters_of(environ, _body(environ))
        operation = services.operation_of(environ, parameters)
        if told := resources.by_path(service, environ["REQUEST_METHOD"], environ["PATH_INFO"]):
            body = _body(environ)
            given = json.loads(body) if body.startswith(b"{") else {}
            operation, parameters = told[0], {**given, **told[1]}
        if service == scaling.SERVICE:
            self._let_through(caller, service, operation, scaling.permissions(operation, parameters, caller))
            scaling.check(self.sandbox, operation, parameters, caller)
        else:
            needed = services.permission(service, operation, parameters, caller)
            self._let_through(caller, service, operation, needed)
            services.check(operation, parameters)
        if operation == "SimulatePrincipalPolicy":
            return Response.of_xml(services.simulate(self.sandbox, parameters))
        if operation == "ListServiceQuotas":
            return Response.of_json(quotas.listed(parameters, caller))
        environ["sandbox.operation"] = operation
        return None

    def _meet_first(self, service: str) -> None:
        """Do what the first request to a service waits for; the second one waits too."""
        with self.sandbox.documents.lock:
            if service in self.sandbox.on_first:
                self.sandbox.on_first[service]()
                del self.sandbox.on_first[service]

    def _let_through(self, caller: Caller, service: str, operation: str, needed: list[Permission]) -> None:
        """Record what a request needs, and refuse it when a permission is missing or a fault was ordered."""
        for each in needed:
            why = refused_because(self.sandbox, caller, each)
            name = "PassRole" if each.action == "iam:PassRole" else operation
            self.controls.record(Recorded(service, name, caller.arn, each.resource, why is None))
            if why:
                raise denied(caller, each, why)
        self.controls.meet(operation, "before")

    def _by_moto(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(_HIDDEN):
            return Response(404, b"").send(start_response)
        self.moto_was_used = True
        operation = environ["sandbox.operation"]
        if not self.controls.awaits(operation, "after"):
            answered: Iterable[bytes] = self._moto()(environ, start_response)
            return answered
        for _ in self._moto()(environ, lambda *_: None):
            pass
        try:
            self.controls.meet(operation, "after")
        except Refusal as refusal:
            return refused(refusal, environ, identity.signature(environ)).send(start_response)
        raise RuntimeError("a fault that was ordered did not happen")


def _body(environ: Environ) -> bytes:
    """The body of a request, which whoever comes after may read again."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body
