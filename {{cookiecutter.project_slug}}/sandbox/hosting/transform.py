"""Transform jobs: each object of an input goes through a model's server, its answers into an object of the output."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.documents import Document, now
from sandbox.hosting import models
from sandbox.hosting.models import Content
from sandbox.hosting.servers import NoAnswer, Server, Unhealthy, launch
from sandbox.jobs import lifecycle
from sandbox.jobs.lifecycle import Failed, Job
from sandbox.jobs.storage import split
from sandbox.operations import Answer, Call, Refusal, named, operation

_MEGABYTE = 1 << 20
_PAYLOAD, _MOST_PAYLOAD = 6, 100
_TIMEOUT, _RETRIES = 600, 3
_SEE_LOG = "See job logs for more information"
_UNSUPPORTED = ("DataCaptureConfig", "DataProcessing", "ExperimentConfig")


@operation("CreateTransformJob", named("transform-job", "TransformJobName"))
def create_transform_job(call: Call) -> Answer:
    """Start a transform job of a model."""
    _check(call.parameters)
    model = models.found(call, call.parameters["ModelName"])
    content = models.resolve(call, model, again=True)
    more = call.parameters.get("Environment") or {}
    content = Content(content.image, content.data, {**content.environment, **more}, content.role, content.isolated)
    return lifecycle.create(call, "Transform", {}, lambda job: transform(job, content), role=content.role)


@operation("DescribeTransformJob", named("transform-job", "TransformJobName"))
def describe_transform_job(call: Call) -> Answer:
    """Show a transform job."""
    return lifecycle.describe(call, "Transform")


@operation("StopTransformJob", named("transform-job", "TransformJobName"))
def stop_transform_job(call: Call) -> Answer:
    """Stop a transform job."""
    return lifecycle.stop(call, "Transform")


@operation("ListTransformJobs")
def list_transform_jobs(call: Call) -> Answer:
    """List transform jobs, the newest first unless asked otherwise."""
    return lifecycle.listed(call, "Transform")


@dataclass(frozen=True)
class _Requests:
    """How a job's objects become requests: their types, the bytes in one, and how often one is tried."""

    headers: dict[str, str]
    by_line: bool
    one_by_one: bool
    limit: int
    tries: int

    @classmethod
    def of(cls, document: Document) -> _Requests:
        """Those of a job, with the service's defaults."""
        given, out = document["TransformInput"], document["TransformOutput"]
        types = {"Content-Type": given.get("ContentType"), "Accept": out.get("Accept")}
        return cls(
            headers={name: value for name, value in types.items() if value},
            by_line=given.get("SplitType") == "Line",
            one_by_one=document.get("BatchStrategy") == "SingleRecord",
            limit=document.get("MaxPayloadInMB", _PAYLOAD) * _MEGABYTE,
            tries=1 + (document.get("ModelClientConfig") or {}).get("InvocationsMaxRetries", _RETRIES),
        )


def transform(job: Job, content: Content) -> None:
    """Do what a transform job does: what of an object could not be answered leaves no output of it."""
    container, document = job.container, job.document
    source, output = document["TransformInput"], document["TransformOutput"]
    requests = _Requests.of(document)
    uri = source["DataSource"]["S3DataSource"]["S3Uri"]
    container.make("/opt/ml/input/data")
    data = container.path("/opt/ml/input/data")
    files = job.storage.download(uri, data)
    job.update(TransformStartTime=now())
    longest = (document.get("ModelClientConfig") or {}).get("InvocationsTimeoutInSeconds", _TIMEOUT)
    try:
        server = launch(job.sandbox, container, content, job.storage, job.log, float(longest))
    except Unhealthy as problem:
        raise Failed(f"AlgorithmError: the container did not pass the ping health check: {problem}") from None
    try:
        for file in files:
            body = file.read_bytes()
            if source.get("CompressionType") == "Gzip":
                body = gzip.decompress(body)
            end = b"\n" if output.get("AssembleWith") == "Line" else b""
            answers = [_ask(job, server, requests, part) + end for part in _parts(job, requests, body)]
            if container.stopping:
                return
            place = f"{output['S3OutputPath'].rstrip('/')}/{file.relative_to(data).as_posix()}.out"
            job.storage.write(place, b"".join(answers), output.get("KmsKeyId"))
    finally:
        container.end()
        server.process.wait()


def _parts(job: Job, requests: _Requests, body: bytes) -> Iterator[bytes]:
    """The requests that an object makes: all of it, or as many lines as a request may hold."""
    if not requests.by_line:
        if len(body) > requests.limit:
            job.log.line(f"Payload of {len(body)} bytes is larger than MaxPayloadInMB; split it by Line")
            raise Failed(f"ClientError: {_SEE_LOG}")
        yield body
        return
    part = b""
    for line in body.splitlines(keepends=True):
        if part and (requests.one_by_one or len(part) + len(line) > requests.limit):
            yield part
            part = b""
        if len(line) > requests.limit:
            job.log.line(f"A record of {len(line)} bytes is larger than MaxPayloadInMB")
            raise Failed(f"ClientError: {_SEE_LOG}")
        part += line
    if part:
        yield part


def _ask(job: Job, server: Server, requests: _Requests, body: bytes) -> bytes:
    """The model's answer to a request; one that is no success ends the job."""
    status, said = 0, ""
    for _ in range(requests.tries):
        if job.container.stopping:
            return b""
        try:
            answer = server.invoke(body, requests.headers)
        except NoAnswer as problem:
            status, said = 500, str(problem)
            continue
        if 200 <= answer.status < 300:
            return answer.body
        status, said = answer.status, answer.body.decode(errors="replace")
        if status < 500:
            break
    job.log.line(f"{'Client' if status < 500 else 'Algorithm'} error: {status}")
    job.log.line(f"Message: {said}")
    raise Failed(f"{'ClientError' if status < 500 else 'AlgorithmError'}: {_SEE_LOG}")


def _check(parameters: Document) -> None:
    """The rules between the members of a request, which its shapes do not say."""
    for member in _UNSUPPORTED:
        if parameters.get(member):
            raise _invalid(f"the sandbox does not support {member} of a transform job")
    source, output = parameters["TransformInput"], parameters["TransformOutput"]
    given = source["DataSource"]["S3DataSource"]
    if given["S3DataType"] != "S3Prefix":
        raise _invalid("the sandbox reads S3DataType S3Prefix only")
    for uri in (given["S3Uri"], output["S3OutputPath"]):
        split(uri)
    kind = source.get("SplitType", "None")
    if kind not in ("None", "Line"):
        raise _invalid(f"the sandbox does not split by {kind}: give None or Line")
    if parameters.get("BatchStrategy") == "SingleRecord" and kind == "None":
        raise _invalid("BatchStrategy SingleRecord needs a SplitType.")
    payload, parallel = parameters.get("MaxPayloadInMB", _PAYLOAD), parameters.get("MaxConcurrentTransforms") or 1
    if payload == 0:
        raise _invalid("the sandbox does not stream: give MaxPayloadInMB 1 or more")
    if payload > _MOST_PAYLOAD or payload * parallel > _MOST_PAYLOAD:
        raise _invalid(
            f"MaxPayloadInMB {payload} times MaxConcurrentTransforms {parallel} must not exceed {_MOST_PAYLOAD} MB."
        )
    if parameters["TransformResources"]["InstanceCount"] > 100:
        raise _invalid("InstanceCount must be at most 100.")


def _invalid(message: str) -> Refusal:
    return Refusal("ValidationException", message)
