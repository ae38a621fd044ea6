"""Write records to the feature store in batches of 25, several in parallel, with retries."""

import random
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Protocol, Self, cast

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from processing.errors import RecordError
from processing.ingestion.report import WriteCounts
from processing.ingestion.rows import Row

Entry = dict[str, Any]

BATCH_RECORDS = 25  # the limit of BatchWriteRecord
BATCH_BYTES = 4 << 20
THREADS = 8
MAX_PENDING_BATCHES = 2 * THREADS  # bounds the memory of batches read ahead
MAX_ATTEMPTS = 12  # consecutive attempts without a record written
PAUSE_S = 0.2
MAX_PAUSE_S = 20.0
READ_TIMEOUT_S = 60
PROGRESS_S = 5.0
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


class Runtime(Protocol):
    """The part of boto3's client in use; its published types lack BatchWriteRecord."""

    def batch_write_record(self, *, Entries: list[Entry]) -> dict[str, Any]:  # noqa: N803 - AWS's name
        """Write up to 25 entries."""


def connect() -> Runtime:
    """Create a client without boto3's own retries, which RecordWriter counts, and parameter validation."""
    config = Config(
        max_pool_connections=THREADS,
        retries={"total_max_attempts": 1},
        parameter_validation=False,
        read_timeout=READ_TIMEOUT_S,
        tcp_keepalive=True,
    )
    return cast(Runtime, boto3.client("sagemaker-featurestore-runtime", config=config))


class RecordWriter:
    """Write rows as records of one feature group, and count the calls."""

    def __init__(
        self,
        client: Runtime,
        group: str,
        counts: WriteCounts,
    ) -> None:
        self.client, self.group, self.counts = client, group, counts
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.pool = ThreadPoolExecutor(THREADS, "writer")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all threads: pauses before a retry end, calls in progress complete."""
        self.stopped.set()
        self.pool.shutdown(cancel_futures=True)

    def write(self, rows: Iterable[Row], source: str, event_time: str, total: int) -> None:
        """Write the rows of an object, of which there are `total`.

        Raises:
            RecordError: The feature store rejects a record, or is unavailable for too long.
        """
        progress = Progress(source, total)
        done = 0
        pending: set[Future[int]] = set()
        for batch in batches(record(row, source, event_time) for row in rows):
            pending.add(self.pool.submit(self.send, source, self.entries(batch)))
            while len(pending) >= MAX_PENDING_BATCHES:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                done += sum(future.result() for future in finished)
                progress.report(done)
        while pending:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            done += sum(future.result() for future in finished)
            progress.report(done)

    def entries(self, batch: list[dict[str, str]]) -> list[Entry]:
        """Return the records as entries of BatchWriteRecord."""
        return [
            {
                "FeatureGroupName": self.group,
                "Record": [{"FeatureName": name, "ValueAsString": value} for name, value in values.items()],
            }
            for values in batch
        ]

    def send(self, source: str, entries: list[Entry]) -> int:
        """Write a batch, with retries until every record is written; return their number."""
        count, attempt, retried = len(entries), 0, False
        while True:
            left, reason = self.write_once(source, entries)
            written = len(entries) - len(left)
            with self.lock:
                self.counts.calls += 1
                self.counts.records += written
                self.counts.retries += retried
            if not left:
                return count
            entries, retried = left, True
            attempt = 0 if written else attempt + 1
            if attempt == MAX_ATTEMPTS:
                raise RecordError(
                    f"the feature group {self.group} did not take record {record_id(left[0])} of {source} in "
                    f"{MAX_ATTEMPTS} attempts: {reason}; start the workflow again once it does"
                )
            # Full jitter: throttled writers do not retry at the same time.
            pause = random.uniform(0, min(MAX_PAUSE_S, PAUSE_S * 2**attempt))  # noqa: S311
            if self.stopped.wait(pause):
                raise RecordError("stopped")

    def write_once(self, source: str, entries: list[Entry]) -> tuple[list[Entry], str]:
        """Make one call; return the entries to retry, and the reason."""
        try:
            answer = self.client.batch_write_record(Entries=entries)
        except ClientError as error:
            if not is_transient(error):
                first, last = record_id(entries[0]), record_id(entries[-1])
                raise RecordError(
                    f"the feature group {self.group} refuses records {first} to {last} of {source}: {error}"
                ) from error
            return entries, str(error)
        except (ConnectionError, HTTPClientError) as error:
            return entries, str(error)
        left: list[Entry] = list(answer.get("UnprocessedEntries", []))
        reason = "unprocessed entries"
        for failed in answer.get("Errors", []):
            reason = f"{failed['ErrorCode']}: {failed['ErrorMessage']}"
            entry: Entry = dict(failed["Entry"])
            if failed["ErrorCode"] not in TRANSIENT_CODES:
                raise RecordError(
                    f"the feature group {self.group} refuses record {record_id(entry)} of {source}: {reason}"
                )
            left.append(entry)
        return left, reason


class Progress:
    """Print the progress at intervals."""

    def __init__(self, source: str, total: int) -> None:
        self.source, self.total = source, total
        self.started = self.reported = time.monotonic()

    def report(self, done: int) -> None:
        """Print the progress, unless it was printed just before."""
        now = time.monotonic()
        if now - self.reported >= PROGRESS_S:
            self.reported = now
            rate = done / (now - self.started)
            print(f"{self.source}: {done:,} of {self.total:,} records, {rate:,.0f} per second", flush=True)


def record(row: Row, source: str, event_time: str) -> dict[str, str]:
    """Return the features of a row by name."""
    features = {
        "record_id": row.id,
        "event_time": event_time,
        "text": row.text,
        "label": row.label,
        "source": source,
    }
    return features | {"split": row.split} if row.split else features


def batches(records: Iterable[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    """Group records into batches that fit one call."""
    batch: list[dict[str, str]] = []
    size = 0
    for values in records:
        more = len(values["text"].encode())
        if batch and (len(batch) == BATCH_RECORDS or size + more > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(values)
        size += more
    if batch:
        yield batch


def record_id(entry: Entry) -> str:
    """Return the identifier of an entry's record."""
    values = {feature["FeatureName"]: feature.get("ValueAsString") for feature in entry["Record"]}
    return repr(values.get("record_id"))


def is_transient(error: ClientError) -> bool:
    """Return whether a retry of the call may succeed."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code", "")
    return status == 429 or status >= 500 or code in TRANSIENT_CODES
