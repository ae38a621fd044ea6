"""The offline store: what was written, some time later, as Parquet in S3."""

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

FLUSH_ROWS = 8192  # of one file at most: a text each, all in memory for a moment
FLUSH_SECONDS = (0.1, 1.0)  # between two flushes, for a short lag and for a long one
RETRY_SECONDS = 5.0
REASON_CHARACTERS = 1024  # what a BlockedReason holds

logger = logging.getLogger("localaws.sagemaker.featurestore")


@dataclass(frozen=True)
class Destination:
    """Where a group's records go.

    Attributes:
        name: the group's, for people.
        role_arn: as whom they are written.
        location: the folder of the partitions.
        schema: the features, as they are now.
    """

    name: str
    role_arn: str
    location: S3Uri
    schema: Schema


class OfflineStore:
    """Appends every write to its group's Parquet files; what fails is tried again until it is done.

    Of a group that is deleted, nothing is tried again: its bucket or its role may be gone for ever.
    """

    def __init__(self, records: RecordStore, sessions: Sessions, folder: Path, lag: float) -> None:
        """Start.

        Args:
            records: keeps what is to be written.
            sessions: makes the roles' clients.
            folder: for files on their way.
            lag: for how many seconds a record is not to be seen, at least.
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
        """Take a group's records from now on."""
        self._destinations[group] = destination

    def delete(self, group: int) -> None:
        """Write what is still due of a group, if it can be: what fails is not tried again."""
        self._deleted.add(group)

    def widen(self, group: int, schema: Schema) -> None:
        """Write a group's records with the features that it has now."""
        self._destinations[group] = replace(self._destinations[group], schema=schema)

    def status(self, group: int) -> Document:
        """The group's OfflineStoreStatus: blocked while its last write has failed."""
        if group in self._blocked:
            return {"Status": "Blocked", "BlockedReason": self._blocked[group]}
        return {"Status": "Active"}

    def wake(self) -> None:
        """Something was written."""
        self._written.set()

    def close(self) -> None:
        """Stop; what is not written yet is forgotten with the service."""
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
        # In this order: no record that came until then has features that the destination does not know.
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
        # What S3 and IAM say is for the account's owner; anything else is this program's fault.
        expected = isinstance(error, JobFailure | SageMakerError)
        gone = group in self._deleted
        message = "of %s, which is deleted, gets no more" if gone else "of %s is blocked, and tried again"
        logger.error(f"The offline store {message}: %s", destination.name, error, exc_info=not expected)
        if gone:
            self._records.abandon(group)
            return
        self._blocked[group] = str(error)[:REASON_CHARACTERS]
        self._retry_at[group] = time.monotonic() + RETRY_SECONDS

    def _write(self, group: int, destination: Destination, until: int) -> bool:
        """Write what came until a moment (microseconds), a file an hour of event time; whether any did."""
        folder = Path(tempfile.mkdtemp(prefix="flush-", dir=self._folder))
        try:
            batch = parquet.collect(self._records.due(group, until, FLUSH_ROWS), folder)
            if batch is None:
                return False
            storage = Storage(self._sessions, destination.role_arn)
            types, now = destination.schema.types, time.time_ns() // 1000
            for file in parquet.convert(self._engine, batch, types, now, folder / "data"):
                storage.upload_file(file.path, destination.location / file.name)
                # Of each file alone, so that a failure of the next one doubles nothing.
                self._records.forget(group, batch.last, until, file.hour, file.hour + parquet.HOUR)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return True
