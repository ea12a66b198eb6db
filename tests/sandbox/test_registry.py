"""The registry keeps SageMaker's rules: names, versions, approval, metadata, idempotency, pages."""

from __future__ import annotations

import json
from typing import Any

import pytest


def test_a_group_is_made_once_and_described_by_name_and_by_arn(sagemaker, group, refused):
    described = sagemaker.describe_model_package_group(ModelPackageGroupName=group)
    by_arn = sagemaker.describe_model_package_group(ModelPackageGroupName=described["ModelPackageGroupArn"])

    assert by_arn["ModelPackageGroupName"] == group
    assert described["ModelPackageGroupStatus"] == "Completed"
    again = refused(sagemaker.create_model_package_group, ModelPackageGroupName=group)
    assert again.startswith("ValidationException: Model Package Group already exists")


@pytest.mark.parametrize("name", ["under_score", "do.t", "-dash", "dash-", "a" * 64])
def test_a_name_that_sagemaker_refuses_is_refused(sagemaker, refused, name):
    answer = refused(sagemaker.create_model_package_group, ModelPackageGroupName=name)
    assert answer.startswith("ValidationException: ")
    assert "at 'modelPackageGroupName' failed to satisfy constraint" in answer


def test_all_problems_of_a_request_are_named_at_once(sagemaker, refused):
    answer = refused(
        sagemaker.create_model_package_group, ModelPackageGroupName="a_b", ModelPackageGroupDescription="x" * 1025
    )
    assert "2 validation errors detected" in answer


def test_versions_count_up_and_a_number_is_not_given_twice(sagemaker, register):
    first, second = register(), register()
    sagemaker.delete_model_package(ModelPackageName=second)
    third = register()
    assert [arn.rpartition("/")[2] for arn in (first, second, third)] == ["1", "2", "3"]


def test_a_new_version_waits_for_approval_and_keeps_all_that_was_given(sagemaker, register):
    card = {"ModelCardStatus": "Draft", "ModelCardContent": json.dumps({"model_overview": {}})}
    arn = register(CustomerMetadataProperties={"fingerprint": "f" * 64, "metric.roc_auc": "0.99"}, ModelCard=card)

    package = sagemaker.describe_model_package(ModelPackageName=arn)

    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["CustomerMetadataProperties"] == {"fingerprint": "f" * 64, "metric.roc_auc": "0.99"}
    assert package["ModelCard"] == card


def test_approval_and_metadata_leave_each_other_alone(sagemaker, register):
    arn = register(CustomerMetadataProperties={"a": "1", "b": "2"})

    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="good")
    sagemaker.update_model_package(
        ModelPackageArn=arn, CustomerMetadataProperties={"c": "3"}, CustomerMetadataPropertiesToRemove=["a"]
    )

    package = sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["ApprovalDescription"] == "good"
    assert package["CustomerMetadataProperties"] == {"b": "2", "c": "3"}


def test_the_same_token_gives_the_same_version_and_with_other_parameters_a_conflict(register, refused):
    token = "11111111-2222-3333-4444-555555555555"
    first = register(ClientToken=token, ModelPackageDescription="one")

    assert register(ClientToken=token, ModelPackageDescription="one") == first
    assert refused(register, ClientToken=token, ModelPackageDescription="two").startswith("ConflictException")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"CustomerMetadataProperties": {"note": "50% off!"}}, "at 'customerMetadataProperties.note"),
        ({"CustomerMetadataProperties": {f"k{n}": "v" for n in range(51)}}, "less than or equal to 50"),
        ({"CustomerMetadataProperties": {"k": "v" * 257}}, "less than or equal to 256"),
        ({"Tags": [{"Key": "a", "Value": "b"}]}, "Tags cannot be specified"),
        ({"SourceUri": "arn:aws:sagemaker:eu-west-1:111111111111:model-package/x/1"}, "Both SourceUri and"),
        ({"ModelApprovalStatus": "Perhaps"}, "satisfy enum value set"),
        ({"ModelPackageGroupName": "nobodys-group"}, "does not exist"),
    ],
)
def test_a_version_that_breaks_a_rule_is_refused(register, refused, given, why):
    assert why in refused(register, **given)


def test_metadata_added_bit_by_bit_meets_the_same_limit(sagemaker, register, refused):
    arn = register(CustomerMetadataProperties={f"k{n}": "v" for n in range(50)})
    answer = refused(sagemaker.update_model_package, ModelPackageArn=arn, CustomerMetadataProperties={"one-more": "v"})
    assert "at most 50" in answer


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("s3://churn-dev-111111111111/models/none/model.tar.gz", "Could not find model data"),
        ("s3://nobodys-bucket-at-all/model.tar.gz", "Could not access model data"),
        ("s3://churn-prod-222222222222/models/one/model.tar.gz", "Could not access model data"),
        ("s3://churn-dev-111111111111/models/one/model.zip", "one .tar.gz"),
    ],
)
def test_model_data_has_to_be_there_and_readable(register, refused, specification, server, uri, why):
    server.client("s3", server.prod).put_object(
        Bucket="churn-prod-222222222222", Key="models/one/model.tar.gz", Body=b"theirs"
    )
    assert why in refused(register, InferenceSpecification=specification(uri))


def test_lists_are_filtered_sorted_and_given_in_pages(sagemaker, group, register):
    arns = [register(ModelPackageDescription=f"number {n}") for n in range(5)]
    sagemaker.update_model_package(ModelPackageArn=arns[2], ModelApprovalStatus="Approved")

    def listed(**given: Any) -> list[str]:
        pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group, **given)
        return [each["ModelPackageArn"] for page in pages for each in page["ModelPackageSummaryList"]]

    assert listed(PaginationConfig={"PageSize": 2}) == arns[::-1]
    assert listed(SortOrder="Ascending", PaginationConfig={"PageSize": 3}) == arns
    assert listed(ModelApprovalStatus="Approved") == [arns[2]]
    one = sagemaker.list_model_packages(ModelPackageGroupName=group, MaxResults=1)["ModelPackageSummaryList"][0]
    assert one["ModelPackageDescription"] == "number 4"
    assert "CustomerMetadataProperties" not in one


def test_a_group_with_versions_is_not_deleted(sagemaker, group, register, refused):
    arn = register()
    assert refused(sagemaker.delete_model_package_group, ModelPackageGroupName=group).startswith("ConflictException")

    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    assert "does not exist" in refused(sagemaker.describe_model_package_group, ModelPackageGroupName=group)


def test_tags_of_a_group_are_kept_and_those_of_a_version_refused(sagemaker, group, register, refused):
    arn = sagemaker.describe_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupArn"]

    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "1"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["cost"])

    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "a"}]
    version = refused(sagemaker.add_tags, ResourceArn=register(), Tags=[{"Key": "a", "Value": "b"}])
    assert "versioned model package" in version


def test_a_policy_speaks_of_its_own_group_only(sagemaker, group, refused):
    arn = sagemaker.describe_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
        "Action": "sagemaker:DescribeModelPackage",
    }

    def put(resource: str) -> None:
        policy = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Resource": resource}]})
        sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy=policy)

    assert "Cannot find" in refused(sagemaker.get_model_package_group_policy, ModelPackageGroupName=group)
    assert "Invalid resource policy" in refused(put, resource="*")
    put(arn)
    kept = sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)["ResourcePolicy"]
    assert json.loads(kept)["Statement"][0]["Resource"] == arn


def test_what_is_not_supported_is_said_in_one_line(sagemaker, refused):
    answer = refused(sagemaker.list_clusters)
    assert "the sandbox does not support ListClusters" in answer
