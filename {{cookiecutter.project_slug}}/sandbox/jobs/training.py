"""Training jobs: channels in, a script run under SageMaker's container contract, model.tar.gz and metrics out."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from sandbox.documents import Document, now
from sandbox.jobs import lifecycle
from sandbox.jobs.lifecycle import Failed, Job
from sandbox.jobs.storage import split
from sandbox.operations import Answer, Call, Refusal, named, operation

_CONFIG = "/opt/ml/input/config"
_CHANNELS = "/opt/ml/input/data"


@operation("CreateTrainingJob", named("training-job", "TrainingJobName"))
def create_training_job(call: Call) -> Answer:
    """Start a training job."""
    _check(call.parameters)
    transitions = [{"Status": "Starting", "StartTime": now(), "StatusMessage": "Starting the training job"}]
    members = {"SecondaryStatus": "Starting", "SecondaryStatusTransitions": transitions}
    return lifecycle.create(call, "Training", members, train)


@operation("DescribeTrainingJob", named("training-job", "TrainingJobName"))
def describe_training_job(call: Call) -> Answer:
    """Show a training job."""
    return lifecycle.describe(call, "Training")


@operation("StopTrainingJob", named("training-job", "TrainingJobName"))
def stop_training_job(call: Call) -> Answer:
    """Stop a training job; what it has in its model folder is uploaded."""
    return lifecycle.stop(call, "Training")


@operation("ListTrainingJobs")
def list_training_jobs(call: Call) -> Answer:
    """List training jobs, the newest first unless asked otherwise."""
    return lifecycle.listed(call, "Training")


def train(job: Job) -> None:
    """Do what a training job does, from downloading its channels to uploading its model."""
    container, document = job.container, job.document
    container.make(_CONFIG, _CHANNELS, "/opt/ml/model", "/opt/ml/output/data", "/opt/ml/code", "/opt/ml/checkpoints")
    _go_on(job, "Downloading", "Downloading the training image and input data")
    for channel in document.get("InputDataConfig") or []:
        files = job.storage.download(_uri(channel), container.path(f"{_CHANNELS}/{channel['ChannelName']}"))
        managed = channel["ChannelName"] == "sm_drivers"
        container.relocate(files, (".py", ".sh", ".json") if managed else (".py", ".sh"))
    _configure(job)
    command, folder, environment = _command(job)
    _go_on(job, "Training", "Training image download completed. Training in progress.")
    job.update(TrainingStartTime=now())
    try:
        job.run(command, environment, container.path(folder))
    finally:
        seconds = max(1, round((now() - document["TrainingStartTime"]).total_seconds()))
        job.update(TrainingEndTime=now(), TrainingTimeInSeconds=seconds, BillableTimeInSeconds=seconds)
        job.update(FinalMetricDataList=_metrics(document["AlgorithmSpecification"], job.log.lines))
        _save_output(job)
    _go_on(job, "Uploading", "Uploading generated training model")
    artefact = f"{_output(job)}/model.tar.gz"
    job.storage.pack(container.path("/opt/ml/model"), artefact, document["OutputDataConfig"].get("KmsKeyId"))
    job.update(ModelArtifacts={"S3ModelArtifacts": artefact})


def _check(parameters: Document) -> None:
    """The rules between the members of a request, which its shapes do not say."""
    algorithm, limits = parameters["AlgorithmSpecification"], parameters["StoppingCondition"]
    if not algorithm.get("TrainingImage"):
        raise Refusal("ValidationException", "the sandbox runs training images only: give a TrainingImage")
    if algorithm["TrainingInputMode"] != "File":
        raise Refusal("ValidationException", "the sandbox supports the TrainingInputMode File only")
    if parameters["ResourceConfig"].get("InstanceCount", 1) != 1:
        raise Refusal("ValidationException", "the sandbox trains on one instance: give InstanceCount 1")
    split(parameters["OutputDataConfig"]["S3OutputPath"])
    names = [channel["ChannelName"] for channel in parameters.get("InputDataConfig") or []]
    if len(set(names)) != len(names):
        raise Refusal("ValidationException", f"Channel names must be unique: {', '.join(names)}")
    for channel in parameters.get("InputDataConfig") or []:
        _uri(channel)
    if parameters.get("EnableManagedSpotTraining"):
        wait, run = limits.get("MaxWaitTimeInSeconds"), limits.get("MaxRuntimeInSeconds", 86400)
        if wait is None or wait < run:
            why = "MaxWaitTimeInSeconds must be given for spot training, and be at least MaxRuntimeInSeconds"
            raise Refusal("ValidationException", f"Invalid MaxWaitTimeInSeconds. {why}")
    elif limits.get("MaxWaitTimeInSeconds"):
        raise Refusal("ValidationException", "MaxWaitTimeInSeconds is for managed spot training only")


def _uri(channel: Document) -> str:
    source = channel["DataSource"].get("S3DataSource")
    if not source or source["S3DataType"] != "S3Prefix":
        why = f"channel {channel['ChannelName']}: the sandbox reads S3DataSource with S3DataType S3Prefix only"
        raise Refusal("ValidationException", why)
    split(source["S3Uri"])
    return str(source["S3Uri"])


def _configure(job: Job) -> None:
    """Write the files that tell a container about its job."""
    channels = {
        channel["ChannelName"]: {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
        for channel in job.document.get("InputDataConfig") or []
    }
    resources = {
        "current_host": "algo-1",
        "hosts": ["algo-1"],
        "current_instance_type": job.document["ResourceConfig"].get("InstanceType"),
        "network_interface_name": "eth0",
    }
    files = {
        "hyperparameters": job.document.get("HyperParameters") or {},
        "inputdataconfig": channels,
        "resourceconfig": resources,
    }
    for name, content in files.items():
        job.container.path(f"{_CONFIG}/{name}.json").write_text(json.dumps(content))


def _command(job: Job) -> tuple[list[str], str, dict[str, str]]:
    """The command of the job with its working directory and variables: its own entrypoint, or script mode's."""
    algorithm = job.document["AlgorithmSpecification"]
    parameters = {name: _value(text) for name, text in (job.document.get("HyperParameters") or {}).items()}
    environment = _contract(job, {name: value for name, value in parameters.items() if name[:10] != "sagemaker_"})
    if algorithm.get("ContainerEntrypoint"):
        return [*algorithm["ContainerEntrypoint"], *(algorithm.get("ContainerArguments") or [])], "/opt/ml", environment
    program, archive = parameters.pop("sagemaker_program", None), parameters.pop("sagemaker_submit_directory", None)
    if not program or not archive:
        raise Failed(
            "AlgorithmError: no script to run: give a ContainerEntrypoint, or the hyperparameters sagemaker_program "
            "and sagemaker_submit_directory"
        )
    code = job.container.path("/opt/ml/code")
    job.storage.unpack(archive, code)
    job.container.relocate([file for file in code.rglob("*") if file.is_file()])
    arguments = [
        word for name, value in parameters.items() if name[:10] != "sagemaker_" for word in (f"--{name}", str(value))
    ]
    environment |= {"SM_USER_ENTRY_POINT": program, "SM_MODULE_DIR": archive}
    return ["python3", str(program), *arguments], "/opt/ml/code", environment


def _contract(job: Job, parameters: Document) -> dict[str, str]:
    """The variables that SageMaker's containers give to a training script."""
    document = job.document
    channels = [channel["ChannelName"] for channel in document.get("InputDataConfig") or []]
    return {
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": document["TrainingJobArn"],
        "SM_MODEL_DIR": "/opt/ml/model",
        "SM_INPUT_DIR": "/opt/ml/input",
        "SM_INPUT_CONFIG_DIR": _CONFIG,
        "SM_OUTPUT_DIR": "/opt/ml/output",
        "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
        "SM_CHANNELS": json.dumps(sorted(channels)),
        "SM_HPS": json.dumps(parameters),
        "SM_HOSTS": '["algo-1"]',
        "SM_CURRENT_HOST": "algo-1",
        "SM_NUM_CPUS": str(os.cpu_count()),
        "SM_NUM_GPUS": "0",
        **{f"SM_CHANNEL_{name.upper()}": f"{_CHANNELS}/{name}" for name in channels},
        **{f"SM_HP_{name.upper().replace('-', '_')}": str(value) for name, value in parameters.items()},
        **(document.get("Environment") or {}),
    }


def _value(text: str) -> Any:
    """A hyperparameter's value: the SDKs write them as JSON, people as plain text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _metrics(algorithm: Document, lines: list[str]) -> list[Document]:
    """The last value of each metric whose regular expression matches the log."""
    log = "\n".join(lines)
    found = []
    for metric in algorithm.get("MetricDefinitions") or []:
        values = re.findall(metric["Regex"], log)
        try:
            found.append({"MetricName": metric["Name"], "Value": float(values[-1]), "Timestamp": now()})
        except (IndexError, TypeError, ValueError):
            continue  # Not printed, or not a number: SageMaker leaves it out too.
    return found


def _save_output(job: Job) -> None:
    data = job.container.path("/opt/ml/output/data")
    if any(data.iterdir()):
        key = job.document["OutputDataConfig"].get("KmsKeyId")
        job.storage.pack(data, f"{_output(job)}/output.tar.gz", key)


def _output(job: Job) -> str:
    return f"{job.document['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job.name}/output"


def _go_on(job: Job, status: str, message: str) -> None:
    """Enter the next phase; the transitions before it get their end."""
    if job.container.stopping:
        return
    transitions = [*job.document["SecondaryStatusTransitions"]]
    transitions[-1] = {**transitions[-1], "EndTime": now()}
    transitions.append({"Status": status, "StartTime": now(), "StatusMessage": message})
    job.update(SecondaryStatus=status, SecondaryStatusTransitions=transitions)
    lifecycle.announce(job)
