"""A stage as a SageMaker processing job."""

from typing import Any

import boto3

from mlops import aws, storage
from mlops.compute import container
from mlops.compute.container import PROCESSING, PROCESSING_CODE, PROCESSING_OUTPUT, JobRequest
from mlops.settings import disks
from mlops.settings.project import Settings


def create(settings: Settings, session: boto3.Session, request: JobRequest) -> None:
    """Send the code and create the job.

    Raises:
        botocore.exceptions.ClientError: SageMaker refuses it; ResourceInUse when a job has the name.
    """
    code = f"s3://{request.bucket}/jobs/{request.name}/code/"
    storage.upload_folder(session, request.code, code, request.kms_key)
    aws.client(session, "sagemaker").create_processing_job(**parameters(settings, request, code))


def parameters(settings: Settings, request: JobRequest, code: str) -> dict[str, Any]:
    """The job as SageMaker's CreateProcessingJob takes it."""
    stage = settings.stages[request.stage]
    cluster: dict[str, Any] = {
        "InstanceCount": stage.instances,
        "InstanceType": stage.instance_type,
        "VolumeSizeInGB": stage.volume_gb,
    }
    outputs: dict[str, Any] = {"Outputs": [output(request)]}
    if request.kms_key:
        outputs["KmsKeyId"] = request.kms_key
    if key := disks.key(request.kms_key, stage.instance_type):
        cluster["VolumeKmsKeyId"] = key
    arguments = container.command_line(request.arguments)
    specification: dict[str, Any] = {
        "ImageUri": request.image,
        "ContainerEntrypoint": ["python3", f"{PROCESSING_CODE}/{request.script}"],
    }
    return {
        "ProcessingJobName": request.name,
        "RoleArn": request.role,
        "AppSpecification": specification | ({"ContainerArguments": arguments} if arguments else {}),
        "Environment": container.processing_environment(request),
        "ProcessingInputs": [
            mounted(channel, uri, f"{PROCESSING}/input/{channel}")
            for channel, uri in {"code": code, **request.inputs}.items()
        ],
        "ProcessingOutputConfig": outputs,
        "ProcessingResources": {"ClusterConfig": cluster},
        "StoppingCondition": {"MaxRuntimeInSeconds": stage.max_runtime_seconds},
        "Tags": [{"Key": key, "Value": value} for key, value in request.tags.items()],
        **network(settings),
    }


def mounted(channel: str, uri: str, folder: str) -> dict[str, Any]:
    """An input: copied from S3 to a folder of every instance before the script starts."""
    source = {
        "S3Uri": uri,
        "LocalPath": folder,
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"InputName": channel, "S3Input": source}


def output(request: JobRequest) -> dict[str, Any]:
    """The output folder: copied to S3 when the script has ended well."""
    target = {"S3Uri": request.output, "LocalPath": PROCESSING_OUTPUT, "S3UploadMode": "EndOfJob"}
    return {"OutputName": "output", "S3Output": target}


def network(settings: Settings) -> dict[str, Any]:
    """Where the job runs; nothing when in SageMaker's own network."""
    if settings.network is None:
        return {}
    places = {
        "SecurityGroupIds": list(settings.network.security_groups),
        "Subnets": list(settings.network.subnets),
    }
    return {"NetworkConfig": {"EnableNetworkIsolation": settings.network.isolation, "VpcConfig": places}}
