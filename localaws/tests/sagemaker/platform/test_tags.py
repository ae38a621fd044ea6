"""Tags: only on existing resources."""

import uuid

import pytest

from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.tags import HANDLED, Tags
from localaws.testing import Laptop
from localaws_tests.membership import check_members


def test_tags_are_set_listed_and_deleted(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    tags = [{"Key": "team", "Value": "films"}]
    arn = sagemaker.create_model_package_group(ModelPackageGroupName="Tagged", Tags=tags)[
        "ModelPackageGroupArn"
    ]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "1"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "cost", "Value": "1"}]


def test_a_resource_that_does_not_exist_has_no_tags(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    tags = [{"Key": "team", "Value": "films"}]
    arn = sagemaker.create_model_package_group(ModelPackageGroupName="Shortlived", Tags=tags)[
        "ModelPackageGroupArn"
    ]
    sagemaker.delete_model_package_group(ModelPackageGroupName="Shortlived")
    rejected = pytest.raises(sagemaker.exceptions.ClientError, match=f"{arn} does not exist")
    with rejected:
        sagemaker.list_tags(ResourceArn=arn)
    with rejected:
        sagemaker.add_tags(ResourceArn=arn, Tags=tags)
    with rejected:
        sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])
    sagemaker.create_model_package_group(ModelPackageGroupName="Shortlived")
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == []


def test_a_repeated_create_keeps_tags_added_since(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="Retried")
    request = {"ModelPackageGroupName": "Retried", "ClientToken": uuid.uuid4().hex}
    arn = sagemaker.create_model_package(**request)["ModelPackageArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "1"}])
    sagemaker.create_model_package(**request)
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "cost", "Value": "1"}]


def test_tags_are_listed_in_pages(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    tags = [{"Key": f"key-{number}", "Value": "x"} for number in range(60)]
    arn = sagemaker.create_model_package_group(ModelPackageGroupName="Paged")["ModelPackageGroupArn"]
    for part in (tags[:30], tags[30:]):
        sagemaker.add_tags(ResourceArn=arn, Tags=part)
    pages = list(sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn))
    assert [len(page["Tags"]) for page in pages] == [50, 10]
    assert [tag for page in pages for tag in page["Tags"]] == tags


@pytest.mark.parametrize("operation", HANDLED)
def test_every_member_is_handled(platform: Platform, operation: str) -> None:
    operations = Tags(platform).operations()
    assert set(HANDLED) == set(operations)
    check_members(operations[operation], operation, HANDLED[operation])
