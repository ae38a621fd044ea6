"""In-memory records of resources, and pages of List operations."""

import base64
import binascii
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

from botocore.model import ListShape, StructureShape

from localaws.sagemaker.api.errors import SageMakerError, ValidationException
from localaws.sagemaker.api.shapes import Document, operation_model

PAGE_SIZE = 10  # SageMaker's default for MaxResults


def now() -> datetime:
    """Return the current time in UTC, rounded down to milliseconds like in SageMaker's responses."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Records:
    """Thread-safe records of one kind of resource, by case-insensitive name, oldest first.

    A record is the response of Describe. Members that are not in the service model are internal and never
    returned to clients; by convention, their names start with "_". Change a record only with `update`.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, Document] = {}
        self.lock = threading.RLock()

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._by_name

    def __iter__(self) -> Iterator[Document]:
        with self.lock:
            return iter([dict(record) for record in self._by_name.values()])

    def add(self, name: str, record: Document, taken: SageMakerError) -> None:
        """Add a new record.

        Raises:
            SageMakerError: `taken`, if the name is in use.
        """
        with self.lock:
            if name.lower() in self._by_name:
                raise taken
            self._by_name[name.lower()] = dict(record)

    def get(self, name: str, missing: SageMakerError) -> Document:
        """Return a copy of a record.

        Raises:
            SageMakerError: `missing`, if the record does not exist.
        """
        with self.lock:
            if name.lower() not in self._by_name:
                raise missing
            return dict(self._by_name[name.lower()])

    def update(self, name: str, **members: Any) -> Document:
        """Set members (None removes one) and LastModifiedTime; return {} if the record does not exist."""
        with self.lock:
            record = self._by_name.get(name.lower())
            if record is None:
                return {}
            record.update(members, LastModifiedTime=now())
            for member in [member for member, value in members.items() if value is None]:
                del record[member]
            return dict(record)

    def remove(self, name: str, missing: SageMakerError) -> Document:
        """Remove and return a record.

        Raises:
            SageMakerError: `missing`, if the record does not exist.
        """
        with self.lock:
            if name.lower() not in self._by_name:
                raise missing
            return self._by_name.pop(name.lower())


_SORT_KEYS = ("CreationTime", "StartTime")
# Operations whose SortOrder defaults to Ascending by SageMaker's API reference. All others default to
# Descending, including those with an undocumented default (pipelines, their executions and steps).
_ASCENDING = (
    "ListProcessingJobs",
    "ListTrainingJobs",
    "ListModelPackages",
    "ListModelPackageGroups",
)


def list_page(operation: str, records: Iterator[Document], request: Document, kind: str) -> Document:
    """Return one page of a List operation, filtered, sorted and with the members of SageMaker's model.

    Args:
        operation: the operation's name, such as "ListTrainingJobs".
        records: all records of the kind.
        request: the filters (NameContains, StatusEquals, CreationTimeAfter …), order and page.
        kind: the prefix of the kind's members: "TrainingJob" for TrainingJobName and TrainingJobStatus.
    """
    member, summary = _summary_shape(operation)
    found = [record for record in records if _matches(record, request, kind)]
    found.sort(key=lambda record: _sort_key(record, request, kind))
    if request.get("SortOrder", default_order(operation)) == "Descending":
        found.reverse()
    summaries = [{key: record[key] for key in summary.members if key in record} for record in found]
    return page(member, summaries, request)


def page(member: str, items: list[Document], request: Document, size: int = PAGE_SIZE) -> Document:
    """Return a response with one page of the items as `member`, and the NextToken if there are more."""
    start = _offset(request.get("NextToken"))
    end = start + request.get("MaxResults", size)
    response: Document = {member: items[start:end]}
    if end < len(items):
        response["NextToken"] = base64.urlsafe_b64encode(str(end).encode()).decode()
    return response


def default_order(operation: str) -> str:
    """Return the default SortOrder of a List operation."""
    return "Ascending" if operation in _ASCENDING else "Descending"


def _summary_shape(operation: str) -> tuple[str, StructureShape]:
    members = cast(StructureShape, operation_model(operation).output_shape).members
    member, shape = next((name, shape) for name, shape in members.items() if isinstance(shape, ListShape))
    return member, cast(StructureShape, shape.member)


def _sort_key(record: Document, request: Document, kind: str) -> Any:
    by = request.get("SortBy", "CreationTime")
    if by == "Name":
        return record.get(f"{kind}Name", "")
    if by == "Status":
        return record.get(f"{kind}Status", "")
    return next((record[key] for key in (by, *_SORT_KEYS) if key in record), record.get("CreationTime"))


def _matches(record: Document, request: Document, kind: str) -> bool:
    name = record.get(f"{kind}Name", "")
    status = record.get(f"{kind}Status")
    created = record.get("CreationTime") or record.get("StartTime")
    modified = record.get("LastModifiedTime", created)
    return (
        request.get("NameContains", "").lower() in name.lower()
        and request.get("StatusEquals", status) == status
        and _within(created, request.get("CreationTimeAfter"), request.get("CreationTimeBefore"))
        and _within(created, request.get("CreatedAfter"), request.get("CreatedBefore"))
        and _within(modified, request.get("LastModifiedTimeAfter"), request.get("LastModifiedTimeBefore"))
    )


def _within(moment: datetime | None, after: datetime | None, before: datetime | None) -> bool:
    if moment is None:
        return True
    return (after is None or moment > after) and (before is None or moment < before)


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error):
        raise ValidationException(f"Invalid pagination token {token!r}") from None
