"""Endpoints serve what was trained, say why they do not, and are refused for the service's reasons."""

from __future__ import annotations

import json
import re

import pytest
from botocore.exceptions import ClientError

TRAIN = """
import os, joblib, pandas, shutil
from sklearn.linear_model import LinearRegression
rows = pandas.read_csv(os.environ["SM_CHANNEL_ROWS"] + "/rows.csv")
joblib.dump(LinearRegression().fit(rows[["x"]].values, rows["y"]), os.environ["SM_MODEL_DIR"] + "/model.joblib")
os.makedirs(os.environ["SM_MODEL_DIR"] + "/code")
open(os.environ["SM_MODEL_DIR"] + "/code/inference.py", "w").write(
    "import joblib\\ndef model_fn(folder): return joblib.load(folder + '/model.joblib')\\n"
)
"""


def test_a_trained_model_predicts(hosting):
    world = hosting.world
    rows = world.put("data/doubles/rows.csv", "x,y\n1,2\n2,4\n3,6\n")
    world.train("doubles", TRAIN, channels={"rows": rows})
    artefact = world.finished("doubles")["ModelArtifacts"]["S3ModelArtifacts"]
    container = {"Image": world.image, "ModelDataUrl": artefact}
    hosting.sagemaker.create_model(ModelName="doubles", ExecutionRoleArn=world.role, PrimaryContainer=container)

    endpoint = hosting.endpoint(hosting.configuration(hosting.variant("doubles")))
    answer = hosting.runtime.invoke_endpoint(EndpointName=endpoint, Body="[[21]]", ContentType="application/json")

    assert json.loads(answer["Body"].read()) == [pytest.approx(42)]


def test_a_failing_model_is_a_model_error_with_the_containers_own_status(hosting):
    endpoint = hosting.serving(before='if body == "bad": raise RuntimeError("broken")')

    with pytest.raises(ClientError, match="broken") as caught:
        hosting.ask(endpoint, "bad")

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert caught.value.response["Error"]["Code"] == "ModelError"
    assert caught.value.response["OriginalStatusCode"] == 500
    assert caught.value.response["OriginalMessage"] == "RuntimeError: broken"


def test_a_response_of_the_script_keeps_its_status(hosting):
    script = """
class Response:
    status, response, mimetype = 400, "column radius is missing", "text/plain"
def model_fn(folder): return None
def transform_fn(model, body, content_type, accept): return Response()
"""
    endpoint = hosting.endpoint(hosting.configuration(hosting.variant(hosting.model(script=script))))

    with pytest.raises(ClientError) as caught:
        hosting.ask(endpoint)

    assert caught.value.response["OriginalStatusCode"] == 400
    assert caught.value.response["OriginalMessage"] == "column radius is missing"


def test_a_model_that_takes_too_long_is_an_error(hosting):
    model = hosting.model(before="import time; time.sleep(30)", SAGEMAKER_MODEL_SERVER_TIMEOUT="1")
    endpoint = hosting.endpoint(hosting.configuration(hosting.variant(model)))

    with pytest.raises(ClientError, match="invocation timed out"):
        hosting.ask(endpoint)


def test_a_server_that_dies_is_replaced(hosting):
    endpoint = hosting.serving(before='import os; os._exit(3) if body == "die" else None')

    with pytest.raises(ClientError):
        hosting.ask(endpoint, "die")

    assert hosting.ask(endpoint)[0] == "old hello"


def test_requests_are_counted_and_timed(hosting):
    endpoint = hosting.serving(before='if body == "bad": raise RuntimeError("broken")')
    for body in ("a", "b", "bad"):
        try:
            hosting.ask(endpoint, body)
        except ClientError:
            assert body == "bad"
    names = ["Invocations", "Invocation5XXErrors", "Invocation4XXErrors", "ModelLatency", "OverheadLatency"]
    sums = {name: hosting.total(endpoint, name) for name in names}

    assert (sums["Invocations"], sums["Invocation5XXErrors"], sums["Invocation4XXErrors"]) == (3, 1, 0)
    # Microseconds: three requests take more than 100 and less than ten million of them.
    assert 100 < sums["ModelLatency"] < 1e7
    assert 0 < sums["OverheadLatency"] < 1e7


def test_variants_share_by_weight_and_are_asked_by_name(hosting):
    both = [
        hosting.variant(hosting.model(word), name, InitialVariantWeight=weight)
        for word, name, weight in (("one", "One", 3.0), ("two", "Two", 1.0))
    ]
    endpoint = hosting.endpoint(hosting.configuration(*both))

    answers = [hosting.ask(endpoint) for _ in range(8)]

    assert answers.count(("one hello", "One")) == 6
    assert answers.count(("two hello", "Two")) == 2
    assert hosting.ask(endpoint, TargetVariant="Two") == ("two hello", "Two")
    with pytest.raises(ClientError, match="Variant Three is not found"):
        hosting.ask(endpoint, TargetVariant="Three")


def test_weights_change_without_a_deployment(hosting):
    both = [hosting.variant(hosting.model(name.lower()), name) for name in ("One", "Two")]
    endpoint = hosting.endpoint(hosting.configuration(*both))

    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=[{"VariantName": "One", "DesiredWeight": 0}]
    )

    assert {hosting.ask(endpoint)[1] for _ in range(4)} == {"Two"}


def test_a_shadow_gets_copies_and_answers_nobody(hosting):
    shadow = hosting.variant(hosting.model("shadow"), "Shadow")
    endpoint = hosting.serving("old", ShadowProductionVariants=[shadow])

    answers = {hosting.ask(endpoint) for _ in range(5)}

    assert answers == {("old hello", "AllTraffic")}
    hosting.world.until(lambda: hosting.total(endpoint, "Invocations", "Shadow"), lambda seen: seen == 5)


def test_requests_and_answers_are_captured(hosting):
    bucket = hosting.world.bucket
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{bucket}/captures",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    endpoint = hosting.serving(DataCaptureConfig=capture)
    hosting.ask(endpoint, "1,2")

    def written():
        prefix = f"captures/{endpoint}/AllTraffic/"
        return hosting.world.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])

    key = hosting.world.until(written, len)[0]["Key"]
    line = json.loads(hosting.world.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    assert re.fullmatch(r"captures/[^/]+/AllTraffic/\d{4}/\d\d/\d\d/\d\d/[^/]+\.jsonl", key)
    assert line["captureData"]["endpointInput"]["data"] == "1,2"
    assert line["captureData"]["endpointInput"]["encoding"] == "CSV"
    assert line["captureData"]["endpointOutput"]["data"] == "old 1,2"


def test_an_endpoint_whose_model_does_not_load_says_why_and_can_only_be_deleted(hosting):
    broken = hosting.model(script="def model_fn(folder): raise OSError('the weights are damaged')")
    name = hosting.name("endpoint")
    hosting.sagemaker.create_endpoint(
        EndpointName=name, EndpointConfigName=hosting.configuration(hosting.variant(broken))
    )

    failed = hosting.settled(name)

    assert failed["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in failed["FailureReason"]
    assert "the weights are damaged" in failed["FailureReason"]
    with pytest.raises(ClientError, match="can only be deleted"):
        hosting.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=hosting.configuration(hosting.variant(hosting.model()))
        )
    hosting.sagemaker.delete_endpoint(EndpointName=name)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        hosting.describe(name)


def test_only_approved_packages_become_models(hosting):
    package = hosting.package("packaged", "PendingManualApproval")

    with pytest.raises(ClientError, match="PendingManualApproval, it has to be Approved"):
        hosting.packaged(package)
    hosting.sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    configuration = hosting.configuration(hosting.variant(hosting.packaged(package)))
    hosting.sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Rejected")
    with pytest.raises(ClientError, match="Rejected, it has to be Approved"):
        hosting.endpoint(configuration)


def test_what_serves_goes_on_when_its_package_is_rejected_and_the_sandbox_starts_again(
    start_sandbox, hosting_in, tmp_path
):
    process, world = start_sandbox(tmp_path)
    first = hosting_in(world)
    package = first.package("kept", "Approved")
    endpoint = first.endpoint(first.configuration(first.variant(first.packaged(package))))
    first.sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Rejected")

    process.terminate()
    process.wait()
    second = hosting_in(start_sandbox(tmp_path)[1])

    assert second.describe(endpoint)["ProductionVariants"][0]["DeployedImages"][0]["SpecifiedImage"] == world.image
    assert second.ask(endpoint)[0] == "kept hello"


def test_a_model_needs_its_artefact(hosting):
    container = {"Image": hosting.world.image, "ModelDataUrl": f"s3://{hosting.world.bucket}/models/none/model.tar.gz"}

    with pytest.raises(ClientError, match="Could not access model data"):
        hosting.sagemaker.create_model(
            ModelName="none", ExecutionRoleArn=hosting.world.role, PrimaryContainer=container
        )


def test_a_configuration_in_use_is_kept(hosting, one_endpoint):
    used = hosting.describe(one_endpoint.name)["EndpointConfigName"]

    with pytest.raises(ClientError, match="it is used by endpoint"):
        hosting.sagemaker.delete_endpoint_config(EndpointConfigName=used)


def serverless(**given):
    return {"InitialInstanceCount": None, "InstanceType": None, "ServerlessConfig": given}


@pytest.mark.parametrize(
    ("variants", "given", "why"),
    [
        ([{}, {}], {}, "Variant names must be unique"),
        ([{"InitialInstanceCount": None}], {}, "InitialInstanceCount are required"),
        ([{"InitialVariantWeight": 0.0}], {}, "greater than 0"),
        ([{"ModelName": "nobodys"}], {}, "Could not find model"),
        ([serverless(MemorySizeInMB=1500, MaxConcurrency=5)], {}, "in steps of 1024"),
        ([serverless(MemorySizeInMB=2048, MaxConcurrency=201)], {}, "less than or equal to 200"),
        ([{"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}], {}, "can not be given together"),
        (
            [serverless(MemorySizeInMB=2048, MaxConcurrency=5)],
            {
                "DataCaptureConfig": {
                    "InitialSamplingPercentage": 1,
                    "DestinationS3Uri": "s3://bucket/x",
                    "CaptureOptions": [{"CaptureMode": "Input"}],
                }
            },
            "DataCaptureConfig is not supported for serverless",
        ),
        ([{}, {"VariantName": "Two"}], {"shadow": {}}, "exactly one production variant and one shadow"),
        ([{"InstanceType": "ml.huge.large"}], {}, "enum value set"),
        ([{"VariantName": "a_b"}], {}, "regular expression pattern"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(hosting, one_endpoint, variants, given, why):
    def variant(changes):
        made = {**hosting.variant(one_endpoint.model), **changes}
        return {name: value for name, value in made.items() if value is not None}

    shadows = {}
    if "shadow" in given:
        shadows["ShadowProductionVariants"] = [hosting.variant(one_endpoint.model, "Shadow")]
    rest = {name: value for name, value in given.items() if name != "shadow"}

    with pytest.raises(ClientError, match=why):
        hosting.configuration(*map(variant, variants), **shadows, **rest)


def test_endpoints_are_listed_by_name_and_state(hosting, one_endpoint):
    listed = hosting.sagemaker.list_endpoints(NameContains=one_endpoint.name, StatusEquals="InService")["Endpoints"]

    assert [each["EndpointName"] for each in listed] == [one_endpoint.name]
    assert hosting.sagemaker.list_endpoints(NameContains=one_endpoint.name, StatusEquals="Failed")["Endpoints"] == []


@pytest.mark.slow
def test_after_a_crash_endpoints_serve_again_and_jobs_have_failed(start_sandbox, hosting_in, tmp_path):
    process, world = start_sandbox(tmp_path)
    endpoint = hosting_in(world).serving("kept")
    world.train("left", "import time\ntime.sleep(600)")
    world.until(lambda: [each for each in world.processes() if "train.py" in each], len)
    saved = world.until(lambda: (tmp_path / "documents.json").read_text(), lambda text: "left" in text)

    process.kill()
    process.wait()
    world.until(world.processes, lambda running: not running)
    second = hosting_in(start_sandbox(tmp_path)[1])
    job = second.world.finished("left")

    assert endpoint in saved
    assert second.ask(endpoint)[0] == "kept hello"
    assert job["TrainingJobStatus"] == "Failed"
    assert "the sandbox stopped while the job ran" in job["FailureReason"]
