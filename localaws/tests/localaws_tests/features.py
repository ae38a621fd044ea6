"""Create feature groups for tests and query their offline stores with Athena."""

import uuid
from collections.abc import Iterator
from typing import Any

from localaws.testing import Laptop, wait_until
from localaws_tests.jobs import Bucket

STRINGS = ("record_id", "event_time", "text", "label")
T1, T2, T3 = "2026-11-23T03:07:15.001Z", "2026-11-23T03:07:15.002Z", "2026-11-23T04:00:00.000Z"


def definitions(**types: str) -> list[dict[str, str]]:
    return [{"FeatureName": name, "FeatureType": kind} for name, kind in types.items()]


def values(**features: str) -> list[dict[str, str]]:
    return [{"FeatureName": name, "ValueAsString": value} for name, value in features.items()]


def features_of(record: list[dict[str, str]]) -> dict[str, str]:
    return {feature["FeatureName"]: feature["ValueAsString"] for feature in record}


def request(name: str, **members: Any) -> dict[str, Any]:
    """Return a CreateFeatureGroup request with only an online store, unless `members` override it."""
    return {
        "FeatureGroupName": name,
        "RecordIdentifierFeatureName": "record_id",
        "EventTimeFeatureName": "event_time",
        "FeatureDefinitions": definitions(**dict.fromkeys(STRINGS, "String")),
        "OnlineStoreConfig": {"EnableOnlineStore": True},
        **members,
    }


def offline(bucket: Bucket, role_arn: str, **config: Any) -> dict[str, Any]:
    """Return the request members that add an offline store."""
    storage = {"S3Uri": bucket.uri("features")}
    return {"OfflineStoreConfig": {"S3StorageConfig": storage, **config}, "RoleArn": role_arn}


def created(laptop: Laptop, **members: Any) -> dict[str, Any]:
    """Create a group and return its description once it is no longer Creating."""
    sagemaker = laptop.client("sagemaker")
    name = members.pop("FeatureGroupName", f"group-{uuid.uuid4().hex[:12]}")
    sagemaker.create_feature_group(**request(name, **members))
    return ended(laptop, name)


def ended(laptop: Laptop, name: str) -> dict[str, Any]:
    """Wait until a group is no longer Creating and return its description."""

    def described() -> dict[str, Any] | None:
        group: dict[str, Any] = laptop.client("sagemaker").describe_feature_group(FeatureGroupName=name)
        return None if group["FeatureGroupStatus"] == "Creating" else group

    found: dict[str, Any] = wait_until(described)
    return found


def rows(laptop: Laptop, bucket: Bucket, group: dict[str, Any], columns: str, rest: str = "") -> list[Any]:
    """Query the group's offline store with Athena; a null is None."""
    table = group["OfflineStoreConfig"]["DataCatalogConfig"]
    athena = laptop.client("athena")
    query = athena.start_query_execution(
        QueryString=f'SELECT {columns} FROM "{table["TableName"]}" {rest}',
        QueryExecutionContext={"Database": table["Database"]},
        ResultConfiguration={"OutputLocation": bucket.uri("athena")},
    )["QueryExecutionId"]

    def status() -> dict[str, str] | None:
        found: dict[str, str] = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        return None if found["State"] in ("QUEUED", "RUNNING") else found

    answer = wait_until(status)
    assert answer["State"] == "SUCCEEDED", answer
    pages = athena.get_paginator("get_query_results").paginate(QueryExecutionId=query)
    return list(_cells(pages))[1:]


def _cells(pages: Any) -> Iterator[list[str | None]]:
    for page in pages:
        for row in page["ResultSet"]["Rows"]:
            yield [cell.get("VarCharValue") for cell in row["Data"]]
