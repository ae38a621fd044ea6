"""Feature groups: create, describe, update, delete and list them."""

import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from localaws.sagemaker.api.errors import ResourceInUse, ResourceNotFound, ValidationException
from localaws.sagemaker.api.members import refuse_values, refusing_others
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.featurestore import catalog
from localaws.sagemaker.featurestore.definitions import check, check_definitions
from localaws.sagemaker.featurestore.offline_store import Destination, OfflineStore
from localaws.sagemaker.featurestore.record_store import RecordStore
from localaws.sagemaker.featurestore.schema import Schema
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import Records, list_page, now
from localaws.sagemaker.platform.storage import S3Uri

# The members that each operation applies, or stores and describes; any other member is rejected.
HANDLED = {
    "CreateFeatureGroup": (
        "FeatureGroupName",
        "RecordIdentifierFeatureName",
        "EventTimeFeatureName",
        "FeatureDefinitions.FeatureName",
        "FeatureDefinitions.FeatureType",
        "OnlineStoreConfig.EnableOnlineStore",
        "OnlineStoreConfig.StorageType",
        "OnlineStoreConfig.SecurityConfig",
        "OfflineStoreConfig",
        "ThroughputConfig",
        "RoleArn",
        "Description",
        "Tags",
    ),
    "DescribeFeatureGroup": ("FeatureGroupName", "NextToken"),
    "UpdateFeatureGroup": (
        "FeatureGroupName",
        "FeatureAdditions.FeatureName",
        "FeatureAdditions.FeatureType",
    ),
    "DeleteFeatureGroup": ("FeatureGroupName",),
    "ListFeatureGroups": (
        "NameContains",
        "FeatureGroupStatusEquals",
        "OfflineStoreStatusEquals",
        "CreationTimeAfter",
        "CreationTimeBefore",
        "SortOrder",
        "SortBy",
        "MaxResults",
        "NextToken",
    ),
}
REASON_CHARACTERS = 1024  # maximum length of a FailureReason

logger = logging.getLogger("localaws.sagemaker.featurestore")


@dataclass(frozen=True)
class Stores:
    """The properties of a feature group that reading and writing records needs.

    Attributes:
        number: a unique number, different from that of a deleted group of the same name.
        name: the name in the spelling of its creation.
        schema: the schema of its records.
        online: whether it has an online store.
        offline: whether it has an offline store.
    """

    number: int
    name: str
    schema: Schema
    online: bool
    offline: bool


class FeatureGroups:
    """Feature groups by name."""

    def __init__(self, platform: Platform, records: RecordStore, offline_store: OfflineStore) -> None:
        self._platform = platform
        self._record_store = records
        self._offline_store = offline_store
        self._groups = Records()
        self._stores: dict[str, Stores] = {}
        self._numbers = itertools.count(1)

    def operations(self) -> dict[str, Operation]:
        """Return the handlers of this resource's operations, by operation name."""
        operations: dict[str, Operation] = {
            "CreateFeatureGroup": self.create,
            "DescribeFeatureGroup": self.describe,
            "UpdateFeatureGroup": self.update,
            "DeleteFeatureGroup": self.delete,
            "ListFeatureGroups": self.list,
        }
        return refusing_others(operations, HANDLED, {})

    def stores(self, name_or_arn: str) -> Stores | None:
        """Return a group's stores, or None if the group does not exist or is not Created yet."""
        return self._stores.get(_name(name_or_arn).lower())

    def create(self, request: Document) -> Document:
        """Start to create a group in the background; its status becomes Created or CreateFailed."""
        check(request)
        if role_arn := request.get("RoleArn"):
            self._platform.sessions.check_role(role_arn)
        name = request["FeatureGroupName"]
        arn = self._platform.arn("feature-group", name)
        record = {member: value for member, value in request.items() if member != "Tags"}
        record |= {
            "FeatureGroupArn": arn,
            "CreationTime": now(),
            "FeatureGroupStatus": "Creating",
            "ThroughputConfig": {"ThroughputMode": "OnDemand"},
            "_number": next(self._numbers),
        }
        if "OfflineStoreConfig" in request:
            record["OfflineStoreConfig"] = self._offline_store_config(record)
        self._groups.add(
            name,
            record,
            ResourceInUse(f"Resource Already Exists: FeatureGroup with name {name} already exists."),
        )
        threading.Thread(target=self._provision, args=(record,), name=f"create-{name}", daemon=True).start()
        return {"FeatureGroupArn": arn}

    def describe(self, request: Document) -> Document:
        """Return a group by name or ARN."""
        return self._with_status(self._group(request["FeatureGroupName"]))

    def update(self, request: Document) -> Document:
        """Add features; existing records have no values for them."""
        with self._groups.lock:
            group = self._group(request["FeatureGroupName"])
            name = group["FeatureGroupName"]
            if group["FeatureGroupStatus"] != "Created":
                raise ValidationException(
                    f"The FeatureGroup {name} is {group['FeatureGroupStatus']}: wait until it is Created"
                )
            definitions = [*group["FeatureDefinitions"], *request.get("FeatureAdditions", [])]
            check_definitions(definitions)
            widened = {"FeatureDefinitions": definitions}
            if failure := self._failure_of(lambda: self._widen(group | widened)):
                status = {"Status": "Failed", "FailureReason": failure}
                self._groups.update(name, LastUpdateStatus=status)
            else:
                self._groups.update(name, LastUpdateStatus={"Status": "Successful"}, **widened)
        return {"FeatureGroupArn": group["FeatureGroupArn"]}

    def delete(self, request: Document) -> Document:
        """Delete a group and its online store; its S3 files and Glue table are kept, as on AWS."""
        name = request["FeatureGroupName"]
        with self._groups.lock:  # atomic, since a new group of the same name may be created concurrently
            group = self._groups.remove(name, _missing(name))
            self._stores.pop(name.lower(), None)
        self._record_store.drop(group["_number"])
        self._offline_store.delete(group["_number"])
        return {}

    def list(self, request: Document) -> Document:
        """Return one page of feature groups."""
        refuse_values(request, "SortBy", "OfflineStoreStatus")
        status = request.get("FeatureGroupStatusEquals")
        offline = request.get("OfflineStoreStatusEquals")
        found = (
            group
            for group in map(self._with_status, self._groups)
            if status in (None, group["FeatureGroupStatus"])
            and offline in (None, group.get("OfflineStoreStatus", {}).get("Status"))
        )
        return list_page("ListFeatureGroups", found, request, "FeatureGroup")

    def _group(self, name_or_arn: str) -> Document:
        return self._groups.get(_name(name_or_arn), _missing(name_or_arn))

    def _with_status(self, group: Document) -> Document:
        if "OfflineStoreConfig" not in group or group["FeatureGroupStatus"] != "Created":
            return group
        return group | {"OfflineStoreStatus": self._offline_store.status(group["_number"])}

    def _offline_store_config(self, record: Document) -> Document:
        config: Document = {"DisableGlueTableCreation": False, **record["OfflineStoreConfig"]}
        name, created = record["FeatureGroupName"], int(record["CreationTime"].timestamp())
        account = f"{self._platform.account_id}/sagemaker/{self._platform.region}"
        prefix = S3Uri.parse(config["S3StorageConfig"]["S3Uri"])
        uri = prefix / f"{account}/offline-store/{name}-{created}/data"
        config["S3StorageConfig"] = config["S3StorageConfig"] | {"ResolvedOutputS3Uri": str(uri)}
        if not config["DisableGlueTableCreation"] and "DataCatalogConfig" not in config:
            config["DataCatalogConfig"] = {
                "TableName": catalog.table_name(name, created),
                "Catalog": catalog.CATALOG,
                "Database": catalog.DATABASE,
            }
        return config

    def _provision(self, group: Document) -> None:
        """Create the group's offline store, then accept records."""
        failure = self._failure_of(lambda: self._create_offline_store(group))
        name = group["FeatureGroupName"]
        with self._groups.lock:
            # The group may have been deleted meanwhile, and another of the same name created.
            if name not in self._groups or self._group(name)["_number"] != group["_number"]:
                return
            if failure:
                self._groups.update(name, FeatureGroupStatus="CreateFailed", FailureReason=failure)
                return
            self._stores[name.lower()] = _stores(group)
            self._groups.update(name, FeatureGroupStatus="Created")

    def _create_offline_store(self, group: Document) -> None:
        config = group.get("OfflineStoreConfig")
        if config is None:
            return
        location = S3Uri.parse(config["S3StorageConfig"]["ResolvedOutputS3Uri"])
        sessions, schema = self._platform.sessions, Schema.of(group)
        # Like SageMaker, check the bucket's owner with the group's role before the first write.
        sessions.client("s3", group["RoleArn"]).get_bucket_acl(Bucket=location.bucket)
        if not config["DisableGlueTableCreation"]:
            glue = sessions.client("glue")
            catalog.create_table(glue, config["DataCatalogConfig"], str(location), schema.types)
        destination = Destination(group["FeatureGroupName"], group["RoleArn"], location, schema)
        self._offline_store.open(group["_number"], destination)

    def _widen(self, group: Document) -> None:
        stores = _stores(group)
        if stores.offline:
            config = group["OfflineStoreConfig"]
            if not config["DisableGlueTableCreation"]:
                location = config["S3StorageConfig"]["ResolvedOutputS3Uri"]
                glue = self._platform.sessions.client("glue")
                catalog.update_table(glue, config["DataCatalogConfig"], location, stores.schema.types)
            self._offline_store.widen(stores.number, stores.schema)
        self._stores[stores.name.lower()] = stores

    @staticmethod
    def _failure_of(work: Callable[[], None]) -> str | None:
        try:
            work()
        except (ClientError, BotoCoreError, ValidationException) as error:
            return str(error)[:REASON_CHARACTERS]
        except Exception:
            logger.exception("A feature group could not be created or updated")
            return "An internal error occurred: see the log of localaws"
        return None


def _stores(group: Document) -> Stores:
    return Stores(
        number=group["_number"],
        name=group["FeatureGroupName"],
        schema=Schema.of(group),
        online=group.get("OnlineStoreConfig", {}).get("EnableOnlineStore", False),
        offline="OfflineStoreConfig" in group,
    )


def _name(name_or_arn: str) -> str:
    return name_or_arn.rsplit("/", 1)[-1]


def _missing(name: str) -> ResourceNotFound:
    return ResourceNotFound(
        f"Resource Not Found: Amazon SageMaker can't find a FeatureGroup with name {_name(name)}"
    )
