"""The SageMaker SDK's ModelTrainer works against the sandbox as it is."""

from __future__ import annotations

import json

import pytest

SCRIPT = """
import json, os, sys
from pathlib import Path
import sklearn.linear_model
rows = Path(os.environ["SM_CHANNEL_ROWS"], "rows.csv").read_text()
Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps([rows, json.loads(os.environ["SM_HPS"])]))
print("score=0.75")
if "--fail" in sys.argv:
    raise ValueError("asked to fail")
"""


def policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def trainer_of(world, tmp_path_factory):
    """Makes trainers whose jobs have the name that they are given."""
    import boto3

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", world.url)
        patch.setenv("AWS_ACCESS_KEY_ID", f"sandbox-{world.account}")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        patch.setenv("AWS_DEFAULT_REGION", world.region)
        configuration = tmp_path_factory.mktemp("sdk") / "config.yaml"
        configuration.write_text(
            "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n"
        )
        patch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(configuration))
        from sagemaker.core.helper.session_helper import Session
        from sagemaker.core.training.configs import Compute, OutputDataConfig, SourceCode, StoppingCondition
        from sagemaker.train import ModelTrainer

        class Trainer(ModelTrainer):
            """The SDK adds a time to the name; the request that it makes may still be given another."""

            def _create_training_job_args(self, *given, **named):
                request = super()._create_training_job_args(*given, **named)
                return {**request, "training_job_name": self.base_job_name}

        # The SDK asks IAM whether the role may do all that any training could need, and refuses a smaller one.
        trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        iam = world.client("iam")
        role = iam.create_role(RoleName="sdk", AssumeRolePolicyDocument=policy(trust))["Role"]
        iam.put_role_policy(RoleName="sdk", PolicyName="all", PolicyDocument=policy(everything))
        code = tmp_path_factory.mktemp("code")
        (code / "train.py").write_text(SCRIPT)

        def make(name, **parameters):
            session = Session(boto3.session.Session(region_name=world.region), default_bucket=world.bucket)
            return Trainer(
                training_image=world.image,
                base_job_name=name,
                role=role["Arn"],
                sagemaker_session=session,
                source_code=SourceCode(source_dir=str(code), entry_script="train.py"),
                compute=Compute(instance_type="ml.m5.large", instance_count=1),
                output_data_config=OutputDataConfig(s3_output_path=f"s3://{world.bucket}/sdk"),
                stopping_condition=StoppingCondition(max_runtime_in_seconds=60),
                hyperparameters=parameters,
            )

        yield make


def test_a_job_of_the_sdk_has_its_exact_name_channels_and_parameters(world, trainer_of):
    from sagemaker.core.training.configs import InputData, MetricDefinition

    rows = world.put("data/sdk/rows.csv", "1,2\n")
    definitions = [MetricDefinition(name="score", regex="score=([0-9.]+)")]
    trainer = trainer_of("sdk-1", C=0.5, solver="liblinear").with_metric_definitions(definitions)

    trainer.train(input_data_config=[InputData(channel_name="rows", data_source=rows)], wait=False, logs=False)
    job = world.finished("sdk-1")

    assert job["TrainingJobStatus"] == "Completed"
    assert [each["Value"] for each in job["FinalMetricDataList"]] == [0.75]
    model = world.unpacked(job["ModelArtifacts"]["S3ModelArtifacts"])
    assert model == {"model.json": b'["1,2\\n", {"C": 0.5, "solver": "liblinear"}]'}


def test_a_failing_script_of_the_sdk_is_a_failed_job(world, trainer_of):
    from sagemaker.core.training.configs import InputData

    rows = world.put("data/sdk/rows.csv", "1,2\n")
    trainer_of("sdk-2", fail="yes").train(
        input_data_config=[InputData(channel_name="rows", data_source=rows)], wait=False, logs=False
    )
    job = world.finished("sdk-2")

    assert job["TrainingJobStatus"] == "Failed"
    assert "exit status 1" in job["FailureReason"]
    assert "ValueError: asked to fail" in "\n".join(world.log("sdk-2"))
