"""Delete records softly: the online store loses them, and the offline store gets a version `is_deleted`.

There is no batch request for deletions, so that several run in parallel.
"""

import random
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from processing.errors import RecordError
from processing.ingestion.feature_store import MAX_ATTEMPTS, MAX_PAUSE_S, PAUSE_S, THREADS
from processing.ingestion.refusals import is_transient

MAX_PENDING = 64 * THREADS  # bounds the memory of records read ahead


class DeletingRuntime(Protocol):
    """The part of boto3's client that deletes."""

    def delete_record(
        self,
        *,
        FeatureGroupName: str,  # noqa: N803 - AWS's name
        RecordIdentifierValueAsString: str,  # noqa: N803
        EventTime: str,  # noqa: N803
        DeletionMode: str,  # noqa: N803
    ) -> Any:
        """Delete one record."""


class RecordDeleter:
    """Delete records of one feature group, with retries; a deletion that is repeated changes nothing."""

    def __init__(self, client: DeletingRuntime, group: str) -> None:
        self.client, self.group = client, group

    def delete(self, records: Iterable[tuple[str, str]]) -> None:
        """Delete the records of these ids, each at its event time.

        Raises:
            RecordError: The feature store refuses a deletion, or is unavailable for too long.
        """
        with ThreadPoolExecutor(THREADS, "deleter") as pool:
            pending: set[Future[None]] = set()
            try:
                for name, event_time in records:
                    pending.add(pool.submit(self.send, name, event_time))
                    while len(pending) >= MAX_PENDING:
                        pending = completed(pending)
                while pending:
                    pending = completed(pending)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def send(self, name: str, event_time: str) -> None:
        """Delete one record, with retries."""
        for attempt in range(MAX_ATTEMPTS):
            try:
                self.client.delete_record(
                    FeatureGroupName=self.group,
                    RecordIdentifierValueAsString=name,
                    EventTime=event_time,
                    DeletionMode="SoftDelete",
                )
                return
            except ClientError as error:
                if not is_transient(error):
                    raise RecordError(
                        f"the feature group {self.group} refuses the deletion of record {name!r}: {error}"
                    ) from error
                reason = str(error)
            except (ConnectionError, HTTPClientError) as error:
                reason = str(error)
            # Full jitter: throttled requests are not repeated at the same time.
            time.sleep(random.uniform(0, min(MAX_PAUSE_S, PAUSE_S * 2**attempt)))  # noqa: S311
        raise RecordError(
            f"the feature group {self.group} did not delete record {name!r} in {MAX_ATTEMPTS} attempts: "
            f"{reason}; start the workflow again once it does"
        )


def completed(pending: set[Future[None]]) -> set[Future[None]]:
    """Wait for some deletions, raise the error of one that failed, and return the others."""
    finished, left = wait(pending, return_when=FIRST_COMPLETED)
    for future in finished:
        future.result()
    return left
