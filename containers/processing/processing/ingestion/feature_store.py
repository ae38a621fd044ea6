"""Writes records to the feature store: 25 a call, several calls side by side, each until it is done."""

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

BATCH_RECORDS = 25  # as many as BatchWriteRecord takes
BATCH_BYTES = 4 << 20
THREADS = 8
MAX_PENDING_BATCHES = 2 * THREADS  # read ahead of the calls, so that memory stays bounded
MAX_ATTEMPTS = 12  # in a row without a record written
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
    """What is used of boto3's client, whose published types do not know BatchWriteRecord yet."""

    def batch_write_record(self, *, Entries: list[Entry]) -> dict[str, Any]:  # noqa: N803 - AWS's name
        """Write up to 25 entries."""


def connect() -> Runtime:
    """A client that leaves retrying to RecordWriter, which counts it, and checking to the contract."""
    config = Config(
        max_pool_connections=THREADS,
        retries={"total_max_attempts": 1},
        parameter_validation=False,
        read_timeout=READ_TIMEOUT_S,
        tcp_keepalive=True,
    )
    return cast(Runtime, boto3.client("sagemaker-featurestore-runtime", config=config))


class RecordWriter:
    """Writes rows as records of one feature group, and counts what that takes."""

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
        """End every thread: one that pauses before a retry wakes up, one that calls is waited for."""
        self.stopped.set()
        self.pool.shutdown(cancel_futures=True)

    def write(self, rows: Iterable[Row], source: str, event_time: str, total: int) -> None:
        """Write an object's rows, of which there are `total`.

        Raises:
            RecordError: The feature store refuses one, or does not answer for too long.
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
        """Records as BatchWriteRecord takes them."""
        return [
            {
                "FeatureGroupName": self.group,
                "Record": [{"FeatureName": name, "ValueAsString": value} for name, value in values.items()],
            }
            for values in batch
        ]

    def send(self, source: str, entries: list[Entry]) -> int:
        """Write a batch, again and again until every record is there; return their number."""
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
            # Full jitter: writers that were throttled together do not come back together.
            pause = random.uniform(0, min(MAX_PAUSE_S, PAUSE_S * 2**attempt))  # noqa: S311
            if self.stopped.wait(pause):
                raise RecordError("stopped")

    def write_once(self, source: str, entries: list[Entry]) -> tuple[list[Entry], str]:
        """One call: the entries to write again, and why."""
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
    """A line every few seconds."""

    def __init__(self, source: str, total: int) -> None:
        self.source, self.total = source, total
        self.started = self.reported = time.monotonic()

    def report(self, done: int) -> None:
        """Say how far it is, if that was not said just now."""
        now = time.monotonic()
        if now - self.reported >= PROGRESS_S:
            self.reported = now
            rate = done / (now - self.started)
            print(f"{self.source}: {done:,} of {self.total:,} records, {rate:,.0f} a second", flush=True)


def record(row: Row, source: str, event_time: str) -> dict[str, str]:
    """A row's features by name."""
    features = {
        "record_id": row.id,
        "event_time": event_time,
        "text": row.text,
        "label": row.label,
        "source": source,
    }
    return features | {"split": row.split} if row.split else features


def batches(records: Iterable[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    """Group records by as many as a call holds."""
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
    """The identifier of an entry's record."""
    values = {feature["FeatureName"]: feature.get("ValueAsString") for feature in entry["Record"]}
    return repr(values.get("record_id"))


def is_transient(error: ClientError) -> bool:
    """Whether a call may succeed when it is made again."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code", "")
    return status == 429 or status >= 500 or code in TRANSIENT_CODES
