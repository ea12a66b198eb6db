"""Nobody does in the sandbox what policies do not allow: roles, accounts, buckets, groups, trust."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config

DEV_BUCKET, PROD_BUCKET = "churn-dev-111111111111", "churn-prod-222222222222"
GITHUB = {
    "iss": "https://token.actions.githubusercontent.com",
    "aud": "sts.amazonaws.com",
    "sub": "repo:acme@1/churn@2:environment:prod",
    "ref": "refs/heads/main",
}


@pytest.fixture(scope="module")
def production(server, specification) -> dict[str, Any]:
    """Production's group, made by its administrator, with one version that waits, made by the role that may: deploy."""
    deploy = server.client_as("prod-deploy", "sagemaker")
    server.client_as("prod-deploy", "s3").put_object(Bucket=PROD_BUCKET, Key="models/one/model.tar.gz", Body=b"one")
    server.client("sagemaker", server.prod).create_model_package_group(ModelPackageGroupName="churn-prod")
    made = deploy.create_model_package(
        ModelPackageGroupName="churn-prod",
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification=specification(f"s3://{PROD_BUCKET}/models/one/model.tar.gz"),
    )
    return {"deploy": deploy, "package": made["ModelPackageArn"]}


def test_a_key_that_nobody_has_is_refused_by_every_service(server, refused):
    for service, deed in [("sagemaker", "list_models"), ("sts", "get_caller_identity"), ("iam", "list_roles")]:
        stranger = server.client(service, aws_access_key_id="AKIAIOSFODNN7EXAMPLE")
        assert refused(getattr(stranger, deed)).startswith("InvalidClientTokenId")
    stranger = server.client("s3", aws_access_key_id="AKIAIOSFODNN7EXAMPLE")
    assert refused(stranger.list_buckets).startswith("InvalidAccessKeyId")


def test_a_session_says_who_it_is(server):
    arn = server.client_as("prod-deploy", "sts").get_caller_identity()["Arn"]
    assert arn == "arn:aws:sts::222222222222:assumed-role/churn-prod-deploy/test"


def test_another_account_does_not_take_on_a_role_that_does_not_trust_it(server, refused):
    role = "arn:aws:iam::222222222222:role/churn-prod-deploy"
    answer = refused(server.client("sts", server.dev).assume_role, RoleArn=role, RoleSessionName="test")
    assert answer.startswith("AccessDenied")


def test_production_deploys_but_does_not_approve(production, refused):
    deploy, package = production["deploy"], production["package"]

    answer = refused(deploy.update_model_package, ModelPackageArn=package, ModelApprovalStatus="Approved")

    assert "not authorized to perform: sagemaker:UpdateModelPackage" in answer
    deploy.update_model_package(ModelPackageArn=package, CustomerMetadataProperties={"gate": "passed"})
    deploy.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Rejected")


def test_production_can_not_register_a_model_as_approved(production, specification, refused):
    answer = refused(
        production["deploy"].create_model_package,
        ModelPackageGroupName="churn-prod",
        ModelApprovalStatus="Approved",
        InferenceSpecification=specification(f"s3://{PROD_BUCKET}/models/one/model.tar.gz"),
    )
    assert "not authorized to perform: sagemaker:CreateModelPackage" in answer


def test_the_approver_approves_and_nothing_else(server, production, refused):
    approve = server.client_as("prod-approve", "sagemaker")

    approve.update_model_package(ModelPackageArn=production["package"], ModelApprovalStatus="Approved")

    approved = approve.describe_model_package(ModelPackageName=production["package"])
    assert approved["ModelApprovalStatus"] == "Approved"
    for deed, given in [
        (approve.delete_model_package, {"ModelPackageName": production["package"]}),
        (approve.create_model_package_group, {"ModelPackageGroupName": "churn-prod-2"}),
        (server.client_as("prod-approve", "s3").list_objects_v2, {"Bucket": PROD_BUCKET}),
    ]:
        assert "AccessDenied" in refused(deed, **given)


def test_a_role_stays_within_its_project(server, refused):
    deploy = server.client_as("dev-deploy", "sagemaker")
    answer = refused(deploy.create_model_package_group, ModelPackageGroupName="somebody-elses")
    assert answer.startswith("AccessDeniedException")


def test_production_reads_models_of_the_environment_before_it_and_writes_none(server, s3, artefact, refused):
    reader = server.client_as("prod-deploy", "s3")
    s3.put_object(Bucket=DEV_BUCKET, Key="dvc/files/md5/aa", Body=b"raw data")

    assert reader.get_object(Bucket=DEV_BUCKET, Key="models/one/model.tar.gz")["Body"].read() == b"a model"
    source = {"Bucket": DEV_BUCKET, "Key": "models/one/model.tar.gz"}
    reader.copy_object(Bucket=PROD_BUCKET, Key="models/copy/model.tar.gz", CopySource=source)
    assert "AccessDenied" in refused(reader.get_object, Bucket=DEV_BUCKET, Key="dvc/files/md5/aa")
    assert "AccessDenied" in refused(reader.put_object, Bucket=DEV_BUCKET, Key="models/one/model.tar.gz", Body=b"x")
    stolen = {"Bucket": DEV_BUCKET, "Key": "dvc/files/md5/aa"}
    assert "AccessDenied" in refused(reader.copy_object, Bucket=PROD_BUCKET, Key="models/stolen", CopySource=stolen)


def test_a_bucket_opens_to_another_account_only_when_both_sides_say_so(server, s3, artefact, refused):
    administrator = server.client("s3", server.prod)
    answer = refused(administrator.get_object, Bucket=DEV_BUCKET, Key="models/one/model.tar.gz")
    assert "no resource-based policy allows" in answer

    bucket = "churn-test-of-a-policy"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": server.region})
    s3.put_object(Bucket=bucket, Key="a", Body=b"shared")
    allow = {"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "s3:GetObject"}
    policy = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": f"arn:aws:s3:::{bucket}/*"}]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

    assert administrator.get_object(Bucket=bucket, Key="a")["Body"].read() == b"shared"
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == policy
    deploy = server.client_as("prod-deploy", "s3")
    assert "no identity-based policy allows" in refused(deploy.get_object, Bucket=bucket, Key="a")
    s3.delete_bucket_policy(Bucket=bucket)
    assert "AccessDenied" in refused(administrator.get_object, Bucket=bucket, Key="a")


def test_versions_of_another_account_open_by_their_groups_policy(server, sagemaker, artefact, specification, refused):
    sagemaker.create_model_package_group(ModelPackageGroupName="churn-dev")
    group = "arn:aws:sagemaker:eu-west-1:111111111111:model-package-group/churn-dev"
    package = sagemaker.create_model_package(
        ModelPackageGroupName="churn-dev", InferenceSpecification=specification(artefact)
    )["ModelPackageArn"]
    deploy = server.client_as("prod-deploy", "sagemaker")
    assert "no resource-based policy allows" in refused(deploy.describe_model_package, ModelPackageName=package)

    reading = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
        "Action": ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"],
        "Resource": group.replace("-group/", "/") + "/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [reading]})
    sagemaker.put_model_package_group_policy(ModelPackageGroupName="churn-dev", ResourcePolicy=policy)

    assert deploy.describe_model_package(ModelPackageName=package)["ModelPackageArn"] == package
    listed = deploy.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    assert [each["ModelPackageArn"] for each in listed] == [package]
    approval = {"ModelPackageArn": package, "ModelApprovalStatus": "Approved"}
    assert "AccessDenied" in refused(deploy.update_model_package, **approval)


def test_a_key_opens_only_to_whom_its_policy_and_their_own_allow(server, s3, refused):
    kms = server.client("kms")
    key = kms.create_key(Description="a key of the test")["KeyMetadata"]["Arn"]
    encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(Bucket=DEV_BUCKET, Key="models/locked/model.tar.gz", Body=b"secret", **encrypted)
    reader = server.client_as("dev-deploy", "s3")

    answer = refused(reader.get_object, Bucket=DEV_BUCKET, Key="models/locked/model.tar.gz")
    assert "not authorized to perform: kms:Decrypt" in answer

    grant = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [grant]})
    server.client("iam").put_role_policy(RoleName="churn-dev-deploy", PolicyName="key", PolicyDocument=policy)
    assert reader.get_object(Bucket=DEV_BUCKET, Key="models/locked/model.tar.gz")["Body"].read() == b"secret"

    # By its alias it is the same key, and a right to the alias is none.
    kms.create_alias(AliasName="alias/locked", TargetKeyId=key)
    alias = f"{key.partition(':key/')[0]}:alias/locked"
    put = {"Bucket": DEV_BUCKET, "Key": "models/locked/another", "Body": b"", "ServerSideEncryption": "aws:kms"}
    for resource, why in [(alias, f"kms:GenerateDataKey on resource: {key}"), (key, None)]:
        use = {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": resource}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [grant, use]})
        server.client("iam").put_role_policy(RoleName="churn-dev-deploy", PolicyName="key", PolicyDocument=policy)
        if why:
            assert why in refused(reader.put_object, **put, SSEKMSKeyId=alias)
        else:
            reader.put_object(**put, SSEKMSKeyId=alias)

    others = {"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "kms:*", "Resource": "*"}
    kms.put_key_policy(
        KeyId=key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [others]})
    )
    answer = refused(reader.get_object, Bucket=DEV_BUCKET, Key="models/locked/model.tar.gz")
    assert "no key policy allows the kms:Decrypt action" in answer


def test_only_the_alarm_that_stops_a_rollout_is_set_by_hand(server, refused):
    cloudwatch = server.client_as("prod-deploy", "cloudwatch")
    told = {"StateValue": "ALARM", "StateReason": "stopped by hand"}

    cloudwatch.set_alarm_state(AlarmName="churn-prod-manual", **told)

    alarms = cloudwatch.describe_alarms(AlarmNames=["churn-prod-manual"])["MetricAlarms"]
    assert alarms[0]["StateValue"] == "ALARM"
    assert "AccessDenied" in refused(cloudwatch.set_alarm_state, AlarmName="churn-prod-errors", **told)


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("arn:aws:iam::111111111111:role/churn-dev-execution", None),
        ("arn:aws:iam::111111111111:role/churn-dev-deploy", "ensure that the role exists and allows principal"),
        ("arn:aws:iam::111111111111:role/nobody", "ensure that the role exists and allows principal"),
        ("arn:aws:iam::222222222222:role/churn-prod-execution", "not authorized to perform: iam:PassRole"),
    ],
)
def test_a_model_runs_under_a_role_that_trusts_sagemaker(
    server, sagemaker, artefact, specification, refused, role, why
):
    container = specification(artefact)["Containers"][0]
    given = {"ModelName": "churn-dev-role", "ExecutionRoleArn": role, "PrimaryContainer": container}
    if why:
        assert why in refused(sagemaker.create_model, **given)
    else:
        sagemaker.create_model(**given)
        sagemaker.delete_model(ModelName="churn-dev-role")


def test_a_role_hands_over_only_the_execution_role(server, artefact, specification, refused):
    deploy = server.client_as("dev-deploy", "sagemaker")
    container = specification(artefact)["Containers"][0]
    other = "arn:aws:iam::111111111111:role/churn-feature-execution"
    answer = refused(deploy.create_model, ModelName="churn-dev-x", ExecutionRoleArn=other, PrimaryContainer=container)
    assert "not authorized to perform: iam:PassRole" in answer


def _token(**claims: str) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


@pytest.mark.parametrize(
    ("changed", "accepted"),
    [
        ({}, True),
        ({"sub": "repo:acme@1/churn@2:environment:dev"}, False),
        ({"sub": "repo:acme@1/churn@2:ref:refs/heads/main"}, False),
        ({"sub": "repo:acme/churn:environment:prod"}, False),
        ({"sub": "repo:acme@9/churn@2:environment:prod"}, False),
        ({"ref": "refs/heads/dev"}, False),
        ({"aud": "https://github.com/acme"}, False),
        ({"iss": "https://tokens.example.com"}, False),
    ],
)
def test_a_workflow_takes_on_a_role_only_from_its_environment(server, refused, changed, accepted):
    sts = server.client("sts", config=Config(signature_version=UNSIGNED))
    role = "arn:aws:iam::222222222222:role/churn-prod-deploy"
    given = {"RoleArn": role, "RoleSessionName": "run-1", "WebIdentityToken": _token(**{**GITHUB, **changed})}
    if not accepted:
        assert refused(sts.assume_role_with_web_identity, **given).split(":")[0] in {
            "AccessDenied",
            "InvalidIdentityToken",
        }
        return
    keys = sts.assume_role_with_web_identity(**given)["Credentials"]
    session = {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }
    assert server.client("sts", **session).get_caller_identity()["Account"] == server.prod


def test_iams_simulation_answers_as_the_policies_do(server):
    answer = server.client("iam").simulate_principal_policy(
        PolicySourceArn="arn:aws:iam::111111111111:role/churn-feature-execution",
        ActionNames=["s3:PutObject", "s3:DeleteBucket"],
        ResourceArns=["arn:aws:s3:::churn-feature-111111111111/jobs/*"],
    )
    decisions = {each["EvalActionName"]: each["EvalDecision"] for each in answer["EvaluationResults"]}
    assert decisions == {"s3:PutObject": "allowed", "s3:DeleteBucket": "implicitDeny"}


def test_large_objects_and_presigned_addresses_pass_through(server, s3, tmp_path):
    from urllib.request import urlopen

    content = os.urandom(12_000_000)
    (tmp_path / "large").write_bytes(content)

    s3.upload_file(str(tmp_path / "large"), DEV_BUCKET, "jobs/large")

    address = s3.generate_presigned_url("get_object", Params={"Bucket": DEV_BUCKET, "Key": "jobs/large"})
    assert urlopen(address, timeout=20).read() == content
    s3.delete_object(Bucket=DEV_BUCKET, Key="jobs/large")


def test_a_bucket_in_the_host_name_is_found_too(server, s3, artefact):
    import http.client

    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    host, port = server.url.removeprefix("http://").split(":")
    virtual = f"{DEV_BUCKET}.localhost:{port}"
    request = AWSRequest("GET", f"http://{virtual}/models/one/model.tar.gz")
    S3SigV4Auth(Credentials("sandbox-111111111111", "any"), "s3", server.region).add_auth(request)
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", "/models/one/model.tar.gz", headers={**dict(request.headers), "Host": virtual})
    assert connection.getresponse().read() == b"a model"
