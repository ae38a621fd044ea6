"""Write records to the feature store in batches of 25, several in parallel, with retries.

A record that the feature store refuses is returned with its reason, and the others are written.
"""

import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, cast

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from processing.errors import RecordError
from processing.ingestion.refusals import (
    GENERAL_CODES,
    TRANSIENT_CODES,
    Refusal,
    check_share,
    concerns_a_record,
    is_transient,
)
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


class Sent(NamedTuple):
    """The result of a batch: the number of its records, and those of them that are refused."""

    records: int
    refusals: list[Refusal]


class Answer(NamedTuple):
    """The result of a call: what to send again, what is refused, or that the call as a whole is."""

    left: list[Entry]
    refusals: list[Refusal]
    reason: str = ""
    whole: bool = False


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
        self.refused = 0  # records of this job

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all threads: pauses before a retry end, calls in progress complete."""
        self.stopped.set()
        self.pool.shutdown(cancel_futures=True)

    def write(self, rows: Iterable[Row], source: str, event_time: str, total: int) -> list[Refusal]:
        """Write the rows of an object, of which there are `total`; return those that are refused.

        Raises:
            RecordError: The feature store refuses most records or every call, or is unavailable for too long.
        """
        progress = Progress(source, total)
        done = 0
        refusals: list[Refusal] = []
        pending: set[Future[Sent]] = set()
        for batch in batches(record(row, source, event_time) for row in rows):
            pending.add(self.pool.submit(self.send, source, self.entries(batch)))
            while len(pending) >= MAX_PENDING_BATCHES:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                done += collect(finished, refusals)
                progress.report(done)
        while pending:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            done += collect(finished, refusals)
            progress.report(done)
        return refusals

    def entries(self, batch: list[dict[str, str]]) -> list[Entry]:
        """Return the records as entries of BatchWriteRecord."""
        return [
            {
                "FeatureGroupName": self.group,
                "Record": [{"FeatureName": name, "ValueAsString": value} for name, value in values.items()],
            }
            for values in batch
        ]

    def send(self, source: str, entries: list[Entry]) -> Sent:
        """Write a batch, with retries until every record is written or refused."""
        sent, attempt, retried = Sent(len(entries), []), 0, False
        while True:
            answer = self.write_once(source, entries)
            written = 0 if answer.whole else len(entries) - len(answer.left) - len(answer.refusals)
            self.count(written, answer.refusals, retried=retried)
            sent.refusals.extend(answer.refusals)
            if answer.whole:  # find the record that is at fault
                half = len(entries) // 2
                for part in (entries[:half], entries[half:]):
                    sent.refusals.extend(self.send(source, part).refusals)
                return sent
            if not answer.left:
                return sent
            attempt = 0 if written or answer.refusals else attempt + 1
            entries, retried = answer.left, True
            if attempt == MAX_ATTEMPTS:
                raise RecordError(
                    f"the feature group {self.group} did not take record {record_id(entries[0])!r} of "
                    f"{source} in {MAX_ATTEMPTS} attempts: {answer.reason}; start the workflow again once "
                    "it does"
                )
            # Full jitter: throttled writers do not retry at the same time.
            pause = random.uniform(0, min(MAX_PAUSE_S, PAUSE_S * 2**attempt))  # noqa: S311
            if self.stopped.wait(pause):
                raise RecordError("stopped")

    def count(self, written: int, refusals: list[Refusal], *, retried: bool) -> None:
        """Count a call."""
        with self.lock:
            self.counts.calls += 1
            self.counts.records += written
            self.counts.retries += retried
            self.refused += len(refusals)
            check_share(self.group, refusals, self.refused if refusals else 0, self.counts.records)

    def write_once(self, source: str, entries: list[Entry]) -> Answer:
        """Make one call.

        Raises:
            RecordError: The feature store refuses every call.
        """
        try:
            answer = self.client.batch_write_record(Entries=entries)
        except ClientError as error:
            if is_transient(error):
                return Answer(entries, [], str(error))
            if not concerns_a_record(error):
                first, last = record_id(entries[0]), record_id(entries[-1])
                raise RecordError(
                    f"the feature group {self.group} refuses records {first!r} to {last!r} of {source}: "
                    f"{error}"
                ) from error
            if len(entries) > 1:
                return Answer([], [], whole=True)
            return Answer([], [Refusal(record_id(entries[0]), describe(error.response["Error"]))])
        except (ConnectionError, HTTPClientError) as error:
            return Answer(entries, [], str(error))
        left: list[Entry] = list(answer.get("UnprocessedEntries", []))
        reason, refusals = "unprocessed entries", []
        for failed in answer.get("Errors", []):
            code, entry = failed["ErrorCode"], dict(failed["Entry"])
            reason = f"{code}: {failed['ErrorMessage']}"
            if code in GENERAL_CODES:
                raise RecordError(
                    f"the feature group {self.group} refuses record {record_id(entry)!r} of {source}: "
                    f"{reason}"
                )
            if code in TRANSIENT_CODES:
                left.append(entry)
            else:
                refusals.append(Refusal(record_id(entry), reason))
        return Answer(left, refusals, reason)


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


def collect(finished: Iterable[Future[Sent]], refusals: list[Refusal]) -> int:
    """Add the refusals of finished batches, and return the number of their records."""
    results = [future.result() for future in finished]
    refusals.extend(refusal for sent in results for refusal in sent.refusals)
    return sum(sent.records for sent in results)


def record_id(entry: Entry) -> str:
    """Return the identifier of an entry's record."""
    values = {feature["FeatureName"]: feature.get("ValueAsString") for feature in entry["Record"]}
    return str(values.get("record_id"))


def describe(error: Mapping[str, Any]) -> str:
    """Return an error's code and message."""
    return f"{error.get('Code', '')}: {error.get('Message', '')}"
