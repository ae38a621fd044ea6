"""The offline store: write records to Parquet files in S3 after a delay."""

import logging
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from localaws.sagemaker.api.errors import JobFailure, SageMakerError
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.featurestore import parquet
from localaws.sagemaker.featurestore.record_store import RecordStore
from localaws.sagemaker.featurestore.schema import Schema
from localaws.sagemaker.platform.sessions import Sessions
from localaws.sagemaker.platform.storage import S3Uri, Storage

FLUSH_ROWS = 8192  # maximum rows per batch, which bounds the memory of the conversion
FLUSH_SECONDS = (0.1, 1.0)  # minimum and maximum interval between two flushes
RETRY_SECONDS = 5.0
REASON_CHARACTERS = 1024  # maximum length of a BlockedReason

logger = logging.getLogger("localaws.sagemaker.featurestore")


@dataclass(frozen=True)
class Destination:
    """Where and how a group's records are written.

    Attributes:
        name: the group's name, for log messages.
        role_arn: the role that writes to S3.
        location: the S3 folder of the partitions.
        schema: the current schema.
    """

    name: str
    role_arn: str
    location: S3Uri
    schema: Schema


class OfflineStore:
    """Append every write to the Parquet files of its group, and retry failed writes until they succeed.

    Failed writes of a deleted group are not retried: its bucket or role may no longer exist.
    """

    def __init__(self, records: RecordStore, sessions: Sessions, folder: Path, lag: float) -> None:
        """Start the writer thread.

        Args:
            records: the store of the pending rows.
            sessions: creates clients that act as a role.
            folder: the folder for temporary files.
            lag: the minimum delay in seconds before a record is written to S3.
        """
        self._records = records
        self._sessions = sessions
        self._folder = folder
        self._lag = lag
        self._destinations: dict[int, Destination] = {}
        self._deleted: set[int] = set()
        self._blocked: dict[int, str] = {}
        self._retry_at: dict[int, float] = {}
        self._engine = parquet.engine()
        self._closing = threading.Event()
        self._written = threading.Event()
        self._writer = threading.Thread(target=self._run, name="offline-store", daemon=True)
        self._writer.start()

    def open(self, group: int, destination: Destination) -> None:
        """Register a group's destination."""
        self._destinations[group] = destination

    def delete(self, group: int) -> None:
        """Write a deleted group's pending rows once; do not retry a failed write."""
        self._deleted.add(group)

    def widen(self, group: int, schema: Schema) -> None:
        """Use a group's extended schema for the following writes."""
        self._destinations[group] = replace(self._destinations[group], schema=schema)

    def status(self, group: int) -> Document:
        """Return the group's OfflineStoreStatus: Blocked if its last write failed, otherwise Active."""
        if group in self._blocked:
            return {"Status": "Blocked", "BlockedReason": self._blocked[group]}
        return {"Status": "Active"}

    def wake(self) -> None:
        """Notify the writer of new pending rows."""
        self._written.set()

    def close(self) -> None:
        """Stop the writer; pending rows are discarded."""
        self._closing.set()
        self._written.set()
        self._writer.join()
        self._engine.close()

    def _run(self) -> None:
        interval = min(max(self._lag, FLUSH_SECONDS[0]), FLUSH_SECONDS[1])
        while not self._closing.is_set():
            self._written.wait()
            self._written.clear()
            while not self._closing.wait(interval) and (groups := self._records.pending_groups()):
                for group in groups:
                    self._flush(group)

    def _flush(self, group: int) -> None:
        if group not in self._deleted and time.monotonic() < self._retry_at.get(group, 0.0):
            return
        # The order matters: a destination read after `until` has all features of the records before it.
        until = int((time.time() - self._lag) * 1e6)
        destination = self._destinations[group]
        try:
            while self._write(group, destination, until) and not self._closing.is_set():
                pass
        except Exception as error:
            self._block(group, destination, error)
        else:
            self._blocked.pop(group, None)
            self._retry_at.pop(group, None)

    def _block(self, group: int, destination: Destination, error: Exception) -> None:
        # Errors of S3 and IAM are the account owner's to fix; any other error is a bug: log its traceback.
        expected = isinstance(error, JobFailure | SageMakerError)
        deleted = group in self._deleted
        consequence = "its pending records are discarded" if deleted else "the write will be retried"
        logger.error(
            "Writing to the offline store of %s failed; %s: %s",
            f"the deleted feature group {destination.name}" if deleted else destination.name,
            consequence,
            error,
            exc_info=not expected,
        )
        if deleted:
            self._records.abandon(group)
            return
        self._blocked[group] = str(error)[:REASON_CHARACTERS]
        self._retry_at[group] = time.monotonic() + RETRY_SECONDS

    def _write(self, group: int, destination: Destination, until: int) -> bool:
        """Write up to FLUSH_ROWS rows received until `until`, one file per hour of event time.

        Args:
            group: the group's number.
            destination: where the files are written.
            until: in microseconds since the epoch.

        Returns:
            Whether there were rows to write.
        """
        folder = Path(tempfile.mkdtemp(prefix="flush-", dir=self._folder))
        try:
            batch = parquet.collect(self._records.due(group, until, FLUSH_ROWS), folder)
            if batch is None:
                return False
            storage = Storage(self._sessions, destination.role_arn)
            types, now = destination.schema.types, time.time_ns() // 1000
            for file in parquet.convert(self._engine, batch, types, now, folder / "data"):
                storage.upload_file(file.path, destination.location / file.name)
                # Per file, so that a failure of the next file does not write these rows twice.
                self._records.forget(group, batch.last, until, file.hour, file.hour + parquet.HOUR)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return True
