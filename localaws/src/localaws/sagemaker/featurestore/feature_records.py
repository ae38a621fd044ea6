"""The feature store's runtime API: write, read, delete and list the records of feature groups."""

import base64
import binascii
import json
import time
from collections.abc import Iterable, Sequence

from localaws.sagemaker.api.errors import (
    FeatureGroupNotFound,
    NotSupportedLocally,
    SageMakerError,
    ValidationError,
    ValidationException,
)
from localaws.sagemaker.api.members import refusing_others
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.featurestore.feature_groups import FeatureGroups, Stores
from localaws.sagemaker.featurestore.offline_store import OfflineStore
from localaws.sagemaker.featurestore.record_store import RecordStore, Write

RUNTIME_SERVICE = "sagemaker-featurestore-runtime"  # botocore's name for the API
# The members that each operation applies; any other member is rejected. ExpirationTimeResponse has no
# effect, since records never expire.
HANDLED = {
    "PutRecord": ("FeatureGroupName", "Record", "TargetStores"),
    "BatchWriteRecord": ("Entries",),
    "GetRecord": (
        "FeatureGroupName",
        "RecordIdentifierValueAsString",
        "FeatureNames",
        "ExpirationTimeResponse",
    ),
    "BatchGetRecord": ("Identifiers", "ExpirationTimeResponse"),
    "DeleteRecord": (
        "FeatureGroupName",
        "RecordIdentifierValueAsString",
        "EventTime",
        "TargetStores",
        "DeletionMode",
    ),
    "ListRecords": ("FeatureGroupName", "MaxResults", "NextToken", "IncludeSoftDeletedRecords"),
    "UpdateRecord": ("FeatureGroupName", "RecordIdentifierValueAsString", "Features", "TargetStores"),
}
PAGE_SIZE = 100  # the maximum of ListRecords
MESSAGE_CHARACTERS = 2048


class FeatureRecords:
    """The operations of the runtime API; thread-safe."""

    def __init__(self, groups: FeatureGroups, records: RecordStore, offline_store: OfflineStore) -> None:
        self._groups = groups
        self._records = records
        self._offline_store = offline_store

    def operations(self) -> dict[str, Operation]:
        """Return the handlers of this resource's operations, by operation name."""
        operations: dict[str, Operation] = {
            "PutRecord": self.put,
            "BatchWriteRecord": self.batch_write,
            "GetRecord": self.get,
            "BatchGetRecord": self.batch_get,
            "DeleteRecord": self.delete,
            "ListRecords": self.list,
            "UpdateRecord": self.update,
        }
        return refusing_others(operations, HANDLED, {})

    def put(self, request: Document) -> Document:
        """Write a record."""
        try:
            write = self._write(request)
        except FeatureGroupNotFound as error:
            raise ValidationError(error.message) from error  # PutRecord has no ResourceNotFound error
        self._keep([write])
        return {}

    def batch_write(self, request: Document) -> Document:
        """Write records in order; an invalid record is returned as an error and the others are written."""
        writes: list[Write] = []
        errors: list[Document] = []
        for entry in request["Entries"]:
            try:
                writes.append(self._write(entry))
            except SageMakerError as error:
                errors.append({"Entry": entry, **_error_entry(error)})
        self._keep(writes)
        return {"Errors": errors, "UnprocessedEntries": []}

    def get(self, request: Document) -> Document:
        """Return the newest record of an identifier; the response is empty if it does not exist."""
        stores = self._online(request["FeatureGroupName"])
        record = self._read(stores, request["RecordIdentifierValueAsString"], request.get("FeatureNames"))
        return {"Record": record} if record else {}

    def batch_get(self, request: Document) -> Document:
        """Return the newest records of many identifiers, with one error per identifier that failed."""
        found: list[Document] = []
        errors: list[Document] = []
        for query in request["Identifiers"]:
            name = query["FeatureGroupName"]
            for identifier in query["RecordIdentifiersValueAsString"]:
                about = {"FeatureGroupName": name, "RecordIdentifierValueAsString": identifier}
                try:
                    record = self._read(self._online(name), identifier, query.get("FeatureNames"))
                except SageMakerError as error:
                    errors.append(about | _error_entry(error))
                else:
                    found += [about | {"Record": record}] if record else []
        return {"Records": found, "Errors": errors, "UnprocessedIdentifiers": []}

    def delete(self, request: Document) -> Document:
        """Delete a record that is older than the deletion; the offline store records both."""
        try:
            stores = self._found(request["FeatureGroupName"])
        except FeatureGroupNotFound as error:
            raise ValidationError(error.message) from error  # DeleteRecord has no ResourceNotFound error
        marker = stores.schema.deletion_marker(request["RecordIdentifierValueAsString"], request["EventTime"])
        online, offline = _targets(stores, request)
        write = Write(stores.number, marker, online, offline, deleted=True)
        if request.get("DeletionMode") != "HardDelete":
            self._keep([write])
        elif self._records.remove(write, _now()):
            self._offline_store.wake()
        else:
            raise ValidationException(
                "EventTime: the record in the OnlineStore has the same or a later event time"
            )
        return {}

    def list(self, request: Document) -> Document:
        """Return one page of the record identifiers in the online store."""
        stores = self._online(request["FeatureGroupName"])
        identifiers, position = self._records.identifiers(
            stores.number,
            _position(request.get("NextToken")),
            request.get("MaxResults", PAGE_SIZE),
            request.get("IncludeSoftDeletedRecords", False),
        )
        if position is None:
            return {"RecordIdentifiers": identifiers}
        return {"RecordIdentifiers": identifiers, "NextToken": _token(position)}

    def update(self, request: Document) -> Document:
        """Reject the request, as SageMaker does for all storage types that localaws supports."""
        self._online(request["FeatureGroupName"])
        raise ValidationError(
            "Validation Error: UpdateRecord needs an OnlineStore of the storage type Standard_V2 or "
            "InMemory: use PutRecord"
        )

    def _keep(self, writes: Sequence[Write]) -> None:
        self._records.write(writes, _now())
        if any(write.offline for write in writes):
            self._offline_store.wake()

    def _write(self, entry: Document) -> Write:
        if "TtlDuration" in entry:
            raise NotSupportedLocally("The member TtlDuration")
        stores = self._found(entry["FeatureGroupName"])
        online, offline = _targets(stores, entry)
        return Write(stores.number, stores.schema.record(entry["Record"]), online, offline)

    def _read(self, stores: Stores, identifier: str, names: Iterable[str] | None) -> Sequence[Document]:
        selected = stores.schema.types if names is None else stores.schema.checked(names)
        content = self._records.get(stores.number, identifier)
        if content is None:
            return []
        values = json.loads(content)
        return [{"FeatureName": name, "ValueAsString": values[name]} for name in selected if name in values]

    def _found(self, name_or_arn: str) -> Stores:
        stores = self._groups.stores(name_or_arn)
        if stores is None:
            name = name_or_arn.rsplit("/", 1)[-1]
            raise FeatureGroupNotFound(
                f"Resource Not Found: Amazon SageMaker can't find a FeatureGroup with name {name}"
            )
        return stores

    def _online(self, name_or_arn: str) -> Stores:
        stores = self._found(name_or_arn)
        if not stores.online:
            raise ValidationError(f"Validation Error: The FeatureGroup {stores.name} has no OnlineStore")
        return stores


def _targets(stores: Stores, request: Document) -> tuple[bool, bool]:
    """Return whether a request writes to the online store, and whether to the offline store."""
    has = {"OnlineStore": stores.online, "OfflineStore": stores.offline}
    targets = request.get("TargetStores", [store for store, exists in has.items() if exists])
    for store in targets:
        if not has[store]:
            raise ValidationError(f"Validation Error: The FeatureGroup {stores.name} has no {store}")
    return "OnlineStore" in targets, "OfflineStore" in targets


def _error_entry(error: SageMakerError) -> Document:
    code = error.code or type(error).__name__
    return {"ErrorCode": code, "ErrorMessage": error.message[:MESSAGE_CHARACTERS]}


def _token(position: int) -> str:
    return base64.urlsafe_b64encode(str(position).encode()).decode()


def _position(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error) as error:
        raise ValidationError(f"Validation Error: Invalid pagination token {token[:64]!r}") from error


def _now() -> int:
    return time.time_ns() // 1000
