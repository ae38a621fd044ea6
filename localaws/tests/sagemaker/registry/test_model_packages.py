"""The model registry: versions, approvals, updates and lists."""

import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import Records
from localaws.sagemaker.registry.model_packages import HANDLED, WITHOUT_EFFECT, ModelRegistry
from localaws.testing import Laptop
from localaws_tests.membership import check_members

SPECIFICATION: dict[str, Any] = {
    "Containers": [{"Image": "tiny:latest", "ModelDataUrl": "s3://bucket/model.tar.gz"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


def register(sagemaker: Any, group: str, **members: Any) -> str:
    arn: str = sagemaker.create_model_package(
        ModelPackageGroupName=group, InferenceSpecification=SPECIFICATION, **members
    )["ModelPackageArn"]
    return arn


def test_versions_count_up_and_are_never_reused(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    group_arn = sagemaker.create_model_package_group(ModelPackageGroupName="Films")["ModelPackageGroupArn"]
    first, second = register(sagemaker, "Films"), register(sagemaker, group_arn)
    assert (first[-8:], second[-8:]) == ("/films/1", "/films/2")
    sagemaker.delete_model_package(ModelPackageName=second)
    assert register(sagemaker, "Films").endswith("/films/3")

    described = sagemaker.describe_model_package(ModelPackageName=first)
    assert described["ModelPackageVersion"] == 1
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    [container] = described["InferenceSpecification"]["Containers"]
    assert container.items() >= SPECIFICATION["Containers"][0].items()


def test_a_version_records_the_digest_of_its_image(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="digests")
    digests = []
    for image in ("tiny:latest", "111122223333.dkr.ecr.us-east-1.amazonaws.com/tiny:v1", "elsewhere:latest"):
        container = {"Image": image, "ModelDataUrl": "s3://bucket/model.tar.gz"}
        specification = SPECIFICATION | {"Containers": [container]}
        arn = sagemaker.create_model_package(
            ModelPackageGroupName="digests", InferenceSpecification=specification
        )["ModelPackageArn"]
        described = sagemaker.describe_model_package(ModelPackageName=arn)
        digests.append(described["InferenceSpecification"]["Containers"][0].get("ImageDigest"))
    assert re.fullmatch("sha256:[0-9a-f]{64}", digests[0])
    assert digests == [digests[0], digests[0], None]


def test_an_update_changes_approval_and_description(laptop: Laptop) -> None:
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


def test_a_group_with_model_packages_cannot_be_deleted(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="Full")
    arn = register(sagemaker, "Full")
    with pytest.raises(sagemaker.exceptions.ConflictException, match="Full"):
        sagemaker.delete_model_package_group(ModelPackageGroupName="Full")
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName="Full")
    with pytest.raises(sagemaker.exceptions.ClientError, match="Model Package Group Full does not exist"):
        register(sagemaker, "Full")


def test_the_last_metadata_property_can_be_removed(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="Metadata")
    arn = register(sagemaker, "Metadata", CustomerMetadataProperties={"only": "one"})
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    assert sagemaker.describe_model_package(ModelPackageName=arn)["CustomerMetadataProperties"] == {
        "only": "one"
    }
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["only"])
    assert "CustomerMetadataProperties" not in sagemaker.describe_model_package(ModelPackageName=arn)


def test_concurrent_updates_are_not_lost(platform: Platform) -> None:
    registry = ModelRegistry(platform)
    registry.create_group({"ModelPackageGroupName": "busy"})
    arn = registry.create({"ModelPackageGroupName": "busy"})["ModelPackageArn"]

    def update(number: int) -> None:
        name = f"property-{number}"
        registry.update({"ModelPackageArn": arn, "CustomerMetadataProperties": {name: "x"}})

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(update, range(400)))
    finally:
        sys.setswitchinterval(interval)
    assert len(registry.get(arn)["CustomerMetadataProperties"]) == 400


def test_a_deleted_group_gets_no_version(platform: Platform) -> None:
    registry = ModelRegistry(platform)
    registry.create_group({"ModelPackageGroupName": "going"})
    outcome: list[Any] = []

    def create() -> None:
        try:
            outcome.append(registry.create({"ModelPackageGroupName": "going"}))
        except ValidationException as error:
            outcome.append(error)

    creator = threading.Thread(target=create)

    class Interrupted(Records):
        """Register a package after the first iteration over the packages."""

        def __iter__(self) -> Iterator[dict[str, Any]]:
            found = super().__iter__()
            if not creator.ident:
                creator.start()
                creator.join(0.5)
            return found

    registry._packages = Interrupted()
    registry.delete_group({"ModelPackageGroupName": "going"})
    creator.join(10)
    assert isinstance(outcome[0], ValidationException)


def test_inference_specifications_are_added_up_to_the_quota(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="Additional")
    arn = register(sagemaker, "Additional")
    more = [{"Name": f"more-{number}", "Containers": SPECIFICATION["Containers"]} for number in range(15)]
    for part in (more[:1], more[1:]):
        sagemaker.update_model_package(ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=part)
    described = sagemaker.describe_model_package(ModelPackageName=arn)
    assert described["AdditionalInferenceSpecifications"] == more
    with pytest.raises(sagemaker.exceptions.ClientError, match="at most 15 additional"):
        sagemaker.update_model_package(ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=more[:1])


def test_packages_are_listed_by_their_type(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="Types")
    versioned = register(sagemaker, "Types")
    named = sagemaker.create_model_package(ModelPackageName="types-alone", ModelApprovalStatus="Approved")[
        "ModelPackageArn"
    ]

    def listed(**request: Any) -> set[str]:
        response = sagemaker.list_model_packages(NameContains="types", MaxResults=100, **request)
        return {package["ModelPackageArn"] for package in response["ModelPackageSummaryList"]}

    assert listed() == listed(ModelPackageType="Unversioned") == {named}
    assert listed(ModelPackageType="Versioned") == {versioned}
    assert listed(ModelPackageType="Both") == {named, versioned}
    assert listed(ModelPackageGroupName="Types") == {versioned}


def test_a_repeated_token_returns_the_same_version(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="Once")
    assert register(sagemaker, "Once", ClientToken="a") == register(sagemaker, "Once", ClientToken="a")
    assert register(sagemaker, "Once", ClientToken="b").endswith("/2")
    with pytest.raises(sagemaker.exceptions.ClientError, match="and not both"):
        register(sagemaker, "Once", ModelPackageName="twice")


@pytest.mark.parametrize("operation", HANDLED)
def test_every_member_is_handled_rejected_or_ignored(platform: Platform, operation: str) -> None:
    operations = ModelRegistry(platform).operations()
    assert set(HANDLED) == set(operations)
    check_members(operations[operation], operation, HANDLED[operation], WITHOUT_EFFECT.get(operation, ()))
