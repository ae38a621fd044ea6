"""Create, describe, extend and delete feature groups over HTTP and in a stack."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from localaws.sagemaker.featurestore.feature_groups import HANDLED
from localaws.sagemaker.featurestore.feature_store import FeatureStore
from localaws.sagemaker.platform.platform import Platform
from localaws.testing import ACCOUNT, REGION, Laptop, allow, wait_until
from localaws_tests import features
from localaws_tests.jobs import Bucket
from localaws_tests.membership import check_members


def test_a_group_is_described_as_on_aws(laptop: Laptop, bucket: Bucket, role_arn: str) -> None:
    group = features.created(
        laptop,
        FeatureGroupName="Described-Group",
        Description="films",
        Tags=[{"Key": "a", "Value": "b"}],
        **features.offline(bucket, role_arn),
    )
    assert group["FeatureGroupStatus"] == "Created"
    assert group["FeatureGroupArn"] == f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:feature-group/described-group"
    assert group["OnlineStoreConfig"] == {"EnableOnlineStore": True}
    assert group["OfflineStoreStatus"] == {"Status": "Active"}
    assert group["Description"] == "films"
    epoch = int(group["CreationTime"].timestamp())
    assert group["OfflineStoreConfig"] == {
        "S3StorageConfig": {
            "S3Uri": bucket.uri("features"),
            "ResolvedOutputS3Uri": bucket.uri(
                f"features/{ACCOUNT}/sagemaker/{REGION}/offline-store/Described-Group-{epoch}/data"
            ),
        },
        "DisableGlueTableCreation": False,
        "DataCatalogConfig": {
            "TableName": f"described_group_{epoch}",
            "Catalog": "AwsDataCatalog",
            "Database": "sagemaker_featurestore",
        },
    }
    sagemaker = laptop.client("sagemaker")
    assert (
        sagemaker.describe_feature_group(FeatureGroupName=group["FeatureGroupArn"])["Description"] == "films"
    )
    assert sagemaker.list_tags(ResourceArn=group["FeatureGroupArn"])["Tags"] == [{"Key": "a", "Value": "b"}]
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match="already exists"):
        sagemaker.create_feature_group(**features.request("described-group"))


def test_the_glue_table_has_the_features_and_the_added_columns(
    laptop: Laptop, bucket: Bucket, role_arn: str
) -> None:
    types = {"record_id": "Integral", "event_time": "Fractional", "Text": "String"}
    catalog = {"Catalog": "AwsDataCatalog", "Database": "own", "TableName": "own_table"}
    group = features.created(
        laptop,
        FeatureDefinitions=features.definitions(**types),
        **features.offline(bucket, role_arn, DataCatalogConfig=catalog),
    )
    table = laptop.client("glue").get_table(DatabaseName="own", Name="own_table")["Table"]
    columns = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
    assert columns == {
        "record_id": "bigint",
        "event_time": "double",
        "text": "string",
        "write_time": "timestamp",
        "api_invocation_time": "timestamp",
        "is_deleted": "boolean",
    }
    assert [key["Name"] for key in table["PartitionKeys"]] == ["year", "month", "day", "hour"]
    location = group["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"]
    assert table["StorageDescriptor"]["Location"] == location


def test_glue_table_creation_can_be_disabled(laptop: Laptop, bucket: Bucket, role_arn: str) -> None:
    group = features.created(laptop, **features.offline(bucket, role_arn, DisableGlueTableCreation=True))
    assert group["FeatureGroupStatus"] == "Created"
    assert "DataCatalogConfig" not in group["OfflineStoreConfig"]


KEYS = features.definitions(record_id="String", event_time="String")
INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "no such identifier": ({"RecordIdentifierFeatureName": "nobody"}, "nobody is not among the FeatureDef"),
    "no such event time": ({"EventTimeFeatureName": "nobody"}, "nobody is not among the FeatureDefinitions"),
    "an integral event time": (
        {"FeatureDefinitions": features.definitions(record_id="String", event_time="Integral")},
        "must be String or Fractional",
    ),
    "a reserved name": (
        {
            "FeatureDefinitions": features.definitions(
                record_id="String", event_time="String", Write_Time="String"
            )
        },
        "The feature name Write_Time is reserved",
    ),
    "a duplicate name": (
        {
            "FeatureDefinitions": features.definitions(
                record_id="String", event_time="String", Record_ID="String"
            )
        },
        "is defined more than once",
    ),
    "no store": ({"OnlineStoreConfig": {"EnableOnlineStore": False}}, "needs an OnlineStoreConfig"),
    "no role": ({"OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://b/c"}}}, "needs a RoleArn"),
    "a missing role": ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/nobody"}, "Could not assume role"),
    "in memory": (
        {"OnlineStoreConfig": {"EnableOnlineStore": True, "StorageType": "InMemory"}},
        "InMemory of OnlineStoreConfig.StorageType is not supported locally",
    ),
    "expiry": (
        {"OnlineStoreConfig": {"EnableOnlineStore": True, "TtlDuration": {"Unit": "Days", "Value": 1}}},
        "OnlineStoreConfig.TtlDuration is not supported locally",
    ),
    "provisioned": (
        {"ThroughputConfig": {"ThroughputMode": "Provisioned"}},
        "Provisioned of ThroughputConfig.ThroughputMode is not supported locally",
    ),
    "a model's constraint": ({"FeatureGroupName": "-"}, "1 validation error detected: Value '-' at"),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_groups_are_rejected(laptop: Laptop, case: str) -> None:
    members, message = INVALID[case]
    sagemaker = laptop.client("sagemaker")
    with pytest.raises(sagemaker.exceptions.ClientError, match=message) as rejected:
        sagemaker.create_feature_group(**features.request("rejected") | members)
    assert rejected.value.response["Error"]["Code"] == "ValidationException"
    assert not sagemaker.list_feature_groups(NameContains="rejected")["FeatureGroupSummaries"]


def test_iceberg_is_rejected(laptop: Laptop, bucket: Bucket, role_arn: str) -> None:
    sagemaker = laptop.client("sagemaker")
    iceberg = features.offline(bucket, role_arn, TableFormat="Iceberg")
    with pytest.raises(sagemaker.exceptions.ClientError, match=r"Iceberg of OfflineStoreConfig\.TableFormat"):
        sagemaker.create_feature_group(**features.request("iceberg", **iceberg))


def test_a_bucket_that_the_role_cannot_access_fails_the_group(laptop: Laptop, bucket: Bucket) -> None:
    role = laptop.role("features-nothing", allow("s3:GetBucketAcl", resource="arn:aws:s3:::another"))
    group = features.created(laptop, **features.offline(bucket, role))
    assert group["FeatureGroupStatus"] == "CreateFailed"
    assert "(AccessDenied) when calling the GetBucketAcl operation" in group["FailureReason"]
    runtime = laptop.client("sagemaker-featurestore-runtime")
    with pytest.raises(runtime.exceptions.ResourceNotFound):
        runtime.get_record(FeatureGroupName=group["FeatureGroupName"], RecordIdentifierValueAsString="a")


def test_groups_are_listed_by_name_and_status(laptop: Laptop) -> None:
    for name in ("listed-b", "listed-a"):
        features.created(laptop, FeatureGroupName=name)
    sagemaker = laptop.client("sagemaker")

    def listed(**members: Any) -> list[str]:
        answer = sagemaker.list_feature_groups(NameContains="listed", **members)["FeatureGroupSummaries"]
        return [group["FeatureGroupName"] for group in answer]

    assert listed(SortBy="Name", SortOrder="Ascending") == ["listed-a", "listed-b"]
    assert sorted(listed(FeatureGroupStatusEquals="Created")) == ["listed-a", "listed-b"]
    assert listed(FeatureGroupStatusEquals="CreateFailed") == []
    assert listed(OfflineStoreStatusEquals="Active") == []


def test_features_are_added(laptop: Laptop, bucket: Bucket, role_arn: str) -> None:
    sagemaker, runtime = laptop.client("sagemaker"), laptop.client("sagemaker-featurestore-runtime")
    group = features.created(laptop, **features.offline(bucket, role_arn))
    name = group["FeatureGroupName"]
    runtime.put_record(
        FeatureGroupName=name, Record=features.values(record_id="old", event_time=features.T1, text="a")
    )
    sagemaker.update_feature_group(
        FeatureGroupName=name, FeatureAdditions=features.definitions(stars="Integral")
    )
    described = sagemaker.describe_feature_group(FeatureGroupName=name)
    assert described["FeatureDefinitions"][-1] == {"FeatureName": "stars", "FeatureType": "Integral"}
    assert described["LastUpdateStatus"] == {"Status": "Successful"}
    runtime.put_record(
        FeatureGroupName=name, Record=features.values(record_id="new", event_time=features.T1, stars="5")
    )
    wait_until(lambda: len(features.rows(laptop, bucket, group, "record_id")) == 2)
    found = features.rows(laptop, bucket, group, "record_id, text, stars", "ORDER BY record_id DESC")
    assert found == [["old", "a", None], ["new", None, "5"]]
    with pytest.raises(sagemaker.exceptions.ClientError, match="OnlineStoreConfig is not supported locally"):
        sagemaker.update_feature_group(
            FeatureGroupName=name, OnlineStoreConfig={"TtlDuration": {"Unit": "Days", "Value": 1}}
        )


def test_features_that_could_not_be_added_can_be_added_later(
    laptop: Laptop, bucket: Bucket, role_arn: str
) -> None:
    sagemaker, glue = laptop.client("sagemaker"), laptop.client("glue")
    group = features.created(laptop, **features.offline(bucket, role_arn))
    name, table = group["FeatureGroupName"], group["OfflineStoreConfig"]["DataCatalogConfig"]
    about = {"DatabaseName": table["Database"], "Name": table["TableName"]}
    made = glue.get_table(**about)["Table"]
    glue.delete_table(**about)
    additions = features.definitions(stars="Integral")

    def added() -> dict[str, Any]:
        sagemaker.update_feature_group(FeatureGroupName=name, FeatureAdditions=additions)
        found: dict[str, Any] = sagemaker.describe_feature_group(FeatureGroupName=name)
        return found

    described = added()
    assert described["LastUpdateStatus"]["Status"] == "Failed"
    assert "EntityNotFoundException" in described["LastUpdateStatus"]["FailureReason"]
    assert described["FeatureDefinitions"] == group["FeatureDefinitions"]
    members = ("Name", "StorageDescriptor", "PartitionKeys", "TableType")
    again = {member: made[member] for member in members}
    glue.create_table(DatabaseName=table["Database"], TableInput=again)
    described = added()
    assert described["LastUpdateStatus"] == {"Status": "Successful"}
    assert described["FeatureDefinitions"] == [*group["FeatureDefinitions"], *additions]


def test_a_deleted_group_keeps_its_files_and_its_table(laptop: Laptop, bucket: Bucket, role_arn: str) -> None:
    sagemaker, runtime = laptop.client("sagemaker"), laptop.client("sagemaker-featurestore-runtime")
    group = features.created(laptop, **features.offline(bucket, role_arn))
    name = group["FeatureGroupName"]
    runtime.put_record(FeatureGroupName=name, Record=features.values(record_id="a", event_time=features.T1))
    sagemaker.delete_feature_group(FeatureGroupName=name)
    for missing in (sagemaker.describe_feature_group, sagemaker.delete_feature_group):
        with pytest.raises(sagemaker.exceptions.ResourceNotFound, match=f"FeatureGroup with name {name}"):
            missing(FeatureGroupName=name)
    with pytest.raises(sagemaker.exceptions.ClientError, match="does not exist"):
        sagemaker.list_tags(ResourceArn=group["FeatureGroupArn"])
    # This includes the record that was still pending when the group was deleted.
    wait_until(lambda: features.rows(laptop, bucket, group, "record_id") == [["a"]])


def template(role: str, bucket: Bucket, *names: str, description: str = "first", **tags: str) -> str:
    properties = features.request(
        "stacked-features",
        Description=description,
        FeatureDefinitions=features.definitions(**dict.fromkeys(names, "String")),
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        **features.offline(bucket, role),
    )
    attributes = {
        name: {"Value": {"Fn::GetAtt": ["G", name]}} for name in ("CreationTime", "FeatureGroupStatus")
    }
    return json.dumps(
        {
            "Resources": {"G": {"Type": "AWS::SageMaker::FeatureGroup", "Properties": properties}},
            "Outputs": {"Name": {"Value": {"Ref": "G"}}, **attributes},
        }
    )


def test_a_stack_creates_extends_and_deletes_a_group(laptop: Laptop, bucket: Bucket, role_arn: str) -> None:
    cloudformation, sagemaker = laptop.client("cloudformation"), laptop.client("sagemaker")
    stack = {"StackName": "stacked-features"}
    body = template(role_arn, bucket, "record_id", "event_time", old="1")
    cloudformation.create_stack(TemplateBody=body, **stack)
    cloudformation.get_waiter("stack_create_complete").wait(WaiterConfig={"Delay": 1}, **stack)
    described = cloudformation.describe_stacks(**stack)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    group = sagemaker.describe_feature_group(FeatureGroupName="stacked-features")
    assert (outputs["Name"], outputs["FeatureGroupStatus"]) == ("stacked-features", "Created")
    assert datetime.fromisoformat(outputs["CreationTime"]) == group["CreationTime"]

    body = template(role_arn, bucket, "record_id", "event_time", "text", new="2")
    cloudformation.update_stack(TemplateBody=body, **stack)
    cloudformation.get_waiter("stack_update_complete").wait(WaiterConfig={"Delay": 1}, **stack)
    group = sagemaker.describe_feature_group(FeatureGroupName="stacked-features")
    assert [feature["FeatureName"] for feature in group["FeatureDefinitions"]] == [
        "record_id",
        "event_time",
        "text",
    ]
    tags = sagemaker.list_tags(ResourceArn=group["FeatureGroupArn"])["Tags"]
    assert tags == [{"Key": "new", "Value": "2"}]

    cloudformation.delete_stack(**stack)
    cloudformation.get_waiter("stack_delete_complete").wait(WaiterConfig={"Delay": 1}, **stack)
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.describe_feature_group(FeatureGroupName="stacked-features")


def test_a_group_that_cannot_be_created_fails_its_stack(laptop: Laptop, bucket: Bucket) -> None:
    cloudformation = laptop.client("cloudformation")
    role = laptop.role("features-stack-nothing")
    body = template(role, bucket, "record_id", "event_time")
    cloudformation.create_stack(StackName="failed-features", TemplateBody=body, OnFailure="ROLLBACK")
    with pytest.raises(Exception, match=r"ROLLBACK|FAILED"):
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName="failed-features", WaiterConfig={"Delay": 1}
        )
    events = cloudformation.describe_stack_events(StackName="failed-features")["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    assert any("stacked-features could not be created" in reason for reason in reasons)


@pytest.fixture
def store(platform: Platform) -> Iterator[FeatureStore]:
    store = FeatureStore(platform)
    yield store
    store.close()


@pytest.mark.parametrize("operation", HANDLED)
def test_every_member_is_handled_or_rejected(store: FeatureStore, operation: str) -> None:
    operations = store.groups.operations()
    assert set(HANDLED) == set(operations)
    check_members(operations[operation], operation, HANDLED[operation])
