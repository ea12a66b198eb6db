"""A stage as a SageMaker training job, composed by the SageMaker Python SDK's ModelTrainer.

Importing the SDK takes four seconds: only `create` does, and `import_ahead` in the background.
"""

import contextlib
import gc
import logging
import os
import threading
import warnings
from typing import Any

import boto3

from mlops import aws
from mlops.compute import container
from mlops.compute.container import JobRequest
from mlops.errors import Failure
from mlops.settings import disks
from mlops.settings.project import Settings

SDK_CONFIGURATION = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
"""Given to the SDK in place of the configuration files of the machine, which would change jobs unseen."""


def import_ahead() -> None:
    """Import the SDK while something else is waited for."""

    def work() -> None:
        with contextlib.suppress(Failure):  # that it is missing is said where it is needed
            sdk()

    threading.Thread(target=work, daemon=True).start()


def sdk() -> Any:
    """The SDK's module with ModelTrainer.

    Raises:
        Failure: it is not installed.
    """
    # It looks the role up in IAM, for which the roles of the workflows have no right; SageMaker checks it anyway.
    os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # It makes thousands of classes: to look for garbage between them takes a fifth of the time.
        gc.disable()
        try:
            from sagemaker.train import model_trainer
        except ImportError as error:
            raise Failure(f"training on SageMaker needs its SDK ({error}): uv sync --group jobs") from error
        finally:
            gc.enable()
    for name in ("sagemaker", "sagemaker.config"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return model_trainer


def create(settings: Settings, session: boto3.Session, request: JobRequest) -> None:
    """Send the code and create the job under exactly the name that is asked for.

    ModelTrainer composes the request; it is sent with our own client, because the SDK adds the time to every job's
    name, and because its client is the first one of the process, whatever session it is given later.

    Raises:
        botocore.exceptions.ClientError: SageMaker refuses it; ResourceInUse when a job has the name.
    """
    aws.client(session, "sagemaker").create_training_job(**parameters(settings, session, request))


def parameters(settings: Settings, session: boto3.Session, request: JobRequest) -> dict[str, Any]:
    """The job as SageMaker's CreateTrainingJob takes it; its code is in S3 by then."""
    trainer = composed(settings, session, request)
    given = trainer._create_training_job_args(boto3=True)
    # boto3 does not take what was not given as None.
    return {name: value for name, value in given.items() if value is not None} | {"TrainingJobName": request.name}


def composed(settings: Settings, session: boto3.Session, request: JobRequest) -> Any:
    """The ModelTrainer of a job."""
    base: Any = sdk().ModelTrainer
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.training import configs

    class Trainer(base):  # type: ignore[misc]
        """A ModelTrainer that puts the code into the environment's bucket without asking IAM who may read it."""

        def _resolve_staging_bucket(self) -> tuple[str, str | None]:
            return request.bucket, None

    stage, key = settings.stages[request.stage], request.kms_key
    trainer = Trainer(
        sagemaker_session=Session(
            boto_session=session,
            sagemaker_client=aws.client(session, "sagemaker"),
            default_bucket=request.bucket,
            sagemaker_config=SDK_CONFIGURATION,
        ),
        role=request.role,
        base_job_name=request.stage,
        training_image=request.image,
        training_input_mode="File",
        source_code=configs.SourceCode(source_dir=str(request.code), entry_script=request.script),
        compute=configs.Compute(
            instance_type=stage.instance_type,
            instance_count=stage.instances,
            volume_size_in_gb=stage.volume_gb,
            volume_kms_key_id=disks.key(key, stage.instance_type),
            enable_managed_spot_training=stage.spot or None,
        ),
        stopping_condition=configs.StoppingCondition(
            max_runtime_in_seconds=stage.max_runtime_seconds,
            # Spot training needs a limit on the wait for capacity and the run together.
            max_wait_time_in_seconds=stage.longest_seconds if stage.spot else None,
        ),
        output_data_config=configs.OutputDataConfig(s3_output_path=request.output, kms_key_id=key),
        # A spot instance that is taken away comes back with what the script has written to /opt/ml/checkpoints.
        checkpoint_config=configs.CheckpointConfig(s3_uri=f"{request.output}{request.name}/checkpoints/")
        if stage.spot
        else None,
        networking=networking(settings, configs),
        hyperparameters=dict(request.arguments),
        environment=container.training_environment(request),
        tags=[configs.Tag(key=name, value=value) for name, value in request.tags.items()] or None,
        input_data_config=[
            configs.InputData(channel_name=channel, data_source=uri) for channel, uri in request.inputs.items()
        ],
        input_s3_key_prefix=f"jobs/{request.name}",
    )
    if stage.metrics:
        trainer.with_metric_definitions(
            [configs.MetricDefinition(name=name, regex=regex) for name, regex in stage.metrics.items()]
        )
    return trainer


def networking(settings: Settings, configs: Any) -> Any:
    """Where the job runs; None when in SageMaker's own network."""
    if settings.network is None:
        return None
    return configs.Networking(
        subnets=list(settings.network.subnets),
        security_group_ids=list(settings.network.security_groups),
        enable_network_isolation=settings.network.isolation,
    )
