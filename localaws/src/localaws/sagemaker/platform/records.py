"""What the account holds: named records, each the answer of its own Describe operation."""

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
    """The present moment, at the resolution of SageMaker's answers (milliseconds)."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Records:
    """A kind's records by name, oldest first; as in SageMaker, case makes no other name.

    A record is the document that Describe answers; members that the service model does not know
    (by custom they start with "_") stay inside. Change one only through `update`.
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
        """Keep a new record.

        Raises:
            SageMakerError: `taken`, when the name is in use.
        """
        with self.lock:
            if name.lower() in self._by_name:
                raise taken
            self._by_name[name.lower()] = dict(record)

    def get(self, name: str, missing: SageMakerError) -> Document:
        """A copy of the record.

        Raises:
            SageMakerError: `missing`, when there is none.
        """
        with self.lock:
            if name.lower() not in self._by_name:
                raise missing
            return dict(self._by_name[name.lower()])

    def update(self, name: str, **members: Any) -> Document:
        """Set members (None removes one) and LastModifiedTime; a record that is gone stays gone."""
        with self.lock:
            record = self._by_name.get(name.lower())
            if record is None:
                return {}
            record.update(members, LastModifiedTime=now())
            for member in [member for member, value in members.items() if value is None]:
                del record[member]
            return dict(record)

    def remove(self, name: str, missing: SageMakerError) -> Document:
        """Forget the record, and give it back.

        Raises:
            SageMakerError: `missing`, when there is none.
        """
        with self.lock:
            if name.lower() not in self._by_name:
                raise missing
            return self._by_name.pop(name.lower())


_SORT_KEYS = ("CreationTime", "StartTime")
# What SageMaker's API reference says of SortOrder's default. All others that are answered here are listed
# in descending order, also those whose default it does not tell (pipelines, their executions and steps).
_ASCENDING = (
    "ListProcessingJobs",
    "ListTrainingJobs",
    "ListModelPackages",
    "ListModelPackageGroups",
)


def list_page(operation: str, records: Iterator[Document], request: Document, kind: str) -> Document:
    """One page of a List operation: filtered, sorted and projected as SageMaker's model describes it.

    Args:
        operation: such as "ListTrainingJobs".
        records: what there is to list.
        request: its filters (NameContains, StatusEquals, CreationTimeAfter …), order and page.
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
    """One page of what there is, as the answer's `member`, with the token of the next page."""
    start = _offset(request.get("NextToken"))
    end = start + request.get("MaxResults", size)
    answer: Document = {member: items[start:end]}
    if end < len(items):
        answer["NextToken"] = base64.urlsafe_b64encode(str(end).encode()).decode()
    return answer


def default_order(operation: str) -> str:
    """In which order a List operation sorts when its request does not say."""
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
