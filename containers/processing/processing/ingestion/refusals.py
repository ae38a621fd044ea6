"""The feature store's errors: which pass, which concern one record or all, and how many are too many."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, NoReturn

from botocore.exceptions import ClientError

from processing.errors import RecordError

# Errors of a call that one of its records can cause.
RECORD_CODES = ("RequestEntityTooLarge", "ValidationError", "ValidationException")
# Errors of an entry that concern the group or the role, and so every record.
GENERAL_CODES = (
    "AccessDenied",
    "AccessDeniedException",
    "AccessForbidden",
    "ResourceNotFound",
    "ResourceNotFoundException",
)
TRANSIENT_CODES = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
MANY = 250  # records: ten calls
NAMED_FILES = 3


class Refusal(NamedTuple):
    """A record that the feature store refuses, and why."""

    record_id: str
    reason: str


def is_transient(error: ClientError) -> bool:
    """Return whether a retry of the call may succeed."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code", "")
    return status == 429 or status >= 500 or code in TRANSIENT_CODES


def concerns_a_record(error: ClientError) -> bool:
    """Return whether a refused call may succeed without one of its records."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error.response.get("Error", {}).get("Code", "") in RECORD_CODES or status == 413


def check_share(group: str, refusals: Iterable[Refusal], refused: int, written: int) -> None:
    """Fail if the feature store refuses most records: then the group does not fit, not a record.

    Args:
        group: The feature group.
        refusals: The newest refusals; the message has the first of them.
        refused: The number of refusals of this job.
        written: The number of records that it has written.

    Raises:
        RecordError: Many records are refused, and fewer are written.
    """
    if refused < MANY or refused <= written:
        return
    first = next(iter(refusals))
    raise RecordError(
        f"the feature group {group} refuses {refused:,} of {refused + written:,} records, such as "
        f"{first.record_id!r}: {first.reason}. Compare its features with those of the stack's template"
    )


def refuse_group(group: str, keys: Sequence[str], reason: str) -> NoReturn:
    """Fail because no record of the job is written: the group is at fault, or each of these files.

    Raises:
        RecordError: Always.
    """
    more = f" and {len(keys) - NAMED_FILES:,} more" if len(keys) > NAMED_FILES else ""
    raise RecordError(
        f"the feature group {group} refuses all records of this job: {reason}. Compare its features with "
        f"those of the stack's template; if they fit, correct or delete {', '.join(keys[:NAMED_FILES])}{more}"
    )
