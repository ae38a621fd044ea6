"""The registry: versions that count up, approvals that change, over HTTP."""

from typing import Any

import pytest

from tests.local.conftest import Laptop

SPECIFICATION = {
    "Containers": [{"Image": "tiny:latest", "ModelDataUrl": "s3://bucket/model.tar.gz"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


def register(sagemaker: Any, group: str, **members: Any) -> str:
    arn: str = sagemaker.create_model_package(
        ModelPackageGroupName=group, InferenceSpecification=SPECIFICATION, **members
    )["ModelPackageArn"]
    return arn


def test_versions_count_up_and_are_never_used_again(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    group_arn = sagemaker.create_model_package_group(ModelPackageGroupName="Films")["ModelPackageGroupArn"]
    first, second = register(sagemaker, "Films"), register(sagemaker, group_arn)
    assert (first[-8:], second[-8:]) == ("/films/1", "/films/2")
    sagemaker.delete_model_package(ModelPackageName=second)
    assert register(sagemaker, "Films").endswith("/films/3")

    described = sagemaker.describe_model_package(ModelPackageName=first)
    assert described["ModelPackageVersion"] == 1
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert described["InferenceSpecification"] == SPECIFICATION


def test_an_approval_changes_with_its_reason(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="Approvals")
    properties = {"dataset": "abc"}
    arn = register(sagemaker, "Approvals", CustomerMetadataProperties=properties)
    sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Rejected",
        ApprovalDescription="accuracy 0.5 is below 0.8",
        CustomerMetadataProperties={"reason": "low"},
    )
    described = sagemaker.describe_model_package(ModelPackageName=arn)
    assert described["ApprovalDescription"] == "accuracy 0.5 is below 0.8"
    assert described["CustomerMetadataProperties"] == {"dataset": "abc", "reason": "low"}
    rejected = sagemaker.list_model_packages(
        ModelPackageGroupName="Approvals", ModelApprovalStatus="Rejected"
    )["ModelPackageSummaryList"]
    assert [package["ModelPackageArn"] for package in rejected] == [arn]
    approved = sagemaker.list_model_packages(
        ModelPackageGroupName="Approvals", ModelApprovalStatus="Approved"
    )
    assert approved["ModelPackageSummaryList"] == []


def test_a_group_with_models_stays(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="Full")
    arn = register(sagemaker, "Full")
    with pytest.raises(sagemaker.exceptions.ConflictException, match="Full"):
        sagemaker.delete_model_package_group(ModelPackageGroupName="Full")
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName="Full")
    with pytest.raises(sagemaker.exceptions.ClientError, match="Model Package Group Full does not exist"):
        register(sagemaker, "Full")


def test_tags_stay_with_their_resource(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    tags = [{"Key": "team", "Value": "films"}]
    arn = sagemaker.create_model_package_group(ModelPackageGroupName="Tagged", Tags=tags)[
        "ModelPackageGroupArn"
    ]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "1"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "cost", "Value": "1"}]
