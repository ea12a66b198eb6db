"""Processing jobs: inputs copied in, a command run, outputs copied out."""

from __future__ import annotations

import json

from sandbox.documents import Document, now
from sandbox.jobs import lifecycle
from sandbox.jobs.lifecycle import Job
from sandbox.jobs.storage import split
from sandbox.operations import Answer, Call, Refusal, named, operation

_CONFIG = "/opt/ml/config"


@operation("CreateProcessingJob", named("processing-job", "ProcessingJobName"))
def create_processing_job(call: Call) -> Answer:
    """Start a processing job."""
    _check(call.parameters)
    return lifecycle.create(call, "Processing", {}, process)


@operation("DescribeProcessingJob", named("processing-job", "ProcessingJobName"))
def describe_processing_job(call: Call) -> Answer:
    """Show a processing job."""
    return lifecycle.describe(call, "Processing")


@operation("StopProcessingJob", named("processing-job", "ProcessingJobName"))
def stop_processing_job(call: Call) -> Answer:
    """Stop a processing job."""
    return lifecycle.stop(call, "Processing")


@operation("ListProcessingJobs")
def list_processing_jobs(call: Call) -> Answer:
    """List processing jobs, the newest first unless asked otherwise."""
    return lifecycle.listed(call, "Processing")


def process(job: Job) -> None:
    """Do what a processing job does, from its inputs to its outputs."""
    container, document = job.container, job.document
    container.make("/opt/ml", _CONFIG, "/opt/ml/output", "/opt/ml/processing")
    for given in document.get("ProcessingInputs") or []:
        source = given["S3Input"]
        container.relocate(job.storage.download(source["S3Uri"], container.path(source["LocalPath"])))
    outputs = [given["S3Output"] for given in _outputs(document)]
    container.make(*(output["LocalPath"] for output in outputs))
    _configure(job)
    specification = document["AppSpecification"]
    command = [*specification["ContainerEntrypoint"], *(specification.get("ContainerArguments") or [])]
    job.update(ProcessingStartTime=now())
    try:
        job.run(command, document.get("Environment") or {}, container.folder)
    finally:
        message = container.path("/opt/ml/output/message")
        if message.exists():
            job.update(ExitMessage=message.read_text(errors="replace")[:1024])
    if container.stopping:
        return
    for output in outputs:
        key = (document.get("ProcessingOutputConfig") or {}).get("KmsKeyId")
        job.storage.upload(container.path(output["LocalPath"]), output["S3Uri"], key)


def _check(parameters: Document) -> None:
    """The rules between the members of a request, which its shapes do not say."""
    if parameters["ProcessingResources"]["ClusterConfig"]["InstanceCount"] != 1:
        raise Refusal("ValidationException", "the sandbox processes on one instance: give InstanceCount 1")
    if not parameters["AppSpecification"].get("ContainerEntrypoint"):
        raise Refusal("ValidationException", "the sandbox has no image's own entrypoint: give a ContainerEntrypoint")
    inputs, outputs = parameters.get("ProcessingInputs") or [], _outputs(parameters)
    names = [each["InputName"] for each in inputs] + [each["OutputName"] for each in outputs]
    if len(set(names)) != len(names):
        raise Refusal("ValidationException", f"Names of inputs and outputs must be unique: {', '.join(names)}")
    for each in inputs:
        if not each.get("S3Input"):
            raise Refusal("ValidationException", f"input {each['InputName']}: the sandbox supports S3Input only")
    for each in outputs:
        if not each.get("S3Output"):
            raise Refusal("ValidationException", f"output {each['OutputName']}: the sandbox supports S3Output only")
    for end in [each["S3Input"] for each in inputs] + [each["S3Output"] for each in outputs]:
        split(end["S3Uri"])
        if not end.get("LocalPath", "").startswith("/opt/ml/processing"):
            why = f"LocalPath {end.get('LocalPath')} must be below /opt/ml/processing"
            raise Refusal("ValidationException", why)


def _outputs(document: Document) -> list[Document]:
    return (document.get("ProcessingOutputConfig") or {}).get("Outputs") or []


def _configure(job: Job) -> None:
    """Write the files that tell a container about its job."""
    resources = {"current_host": "algo-1", "hosts": ["algo-1"]}
    about = {
        name: job.document[name]
        for name in ("ProcessingJobArn", "ProcessingJobName", "AppSpecification", "ProcessingInputs", "RoleArn")
        if name in job.document
    }
    for name, content in {"resourceconfig": resources, "processingjobconfig": about}.items():
        job.container.path(f"{_CONFIG}/{name}.json").write_text(json.dumps(content))
