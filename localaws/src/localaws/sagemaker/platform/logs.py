"""Send containers' output to CloudWatch Logs."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:  # stubs, not installed with localaws
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef

BATCH_EVENTS = 1_000  # AWS's limit is 10,000 events or 1 MiB per call
EVENT_CHARACTERS = 60_000  # at most 4 bytes per character, under AWS's limit of 256 KiB per event
QUEUE_EVENTS = 20_000
FLUSH_SECONDS = 0.5

logger = logging.getLogger("localaws.sagemaker")


class LogStream:
    """A log stream; a thread sends its lines in batches and in order.

    Use it as a context manager: on exit it sends the remaining lines. The queue is bounded: `write` blocks
    while it is full. If sending fails, `write` does not block and the oldest lines are dropped.
    """

    def __init__(self, client: CloudWatchLogsClient, group: str, stream: str) -> None:
        self.group = group
        self.stream = stream
        self._client = client
        self._events: deque[InputLogEventTypeDef] = deque(maxlen=QUEUE_EVENTS)
        self._unsent: list[InputLogEventTypeDef] = []
        self._sending = True
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._send_until_closed, name=f"logs {stream}", daemon=True)

    def __enter__(self) -> LogStream:
        with contextlib.suppress(self._client.exceptions.ResourceAlreadyExistsException):
            self._client.create_log_group(logGroupName=self.group)
        with contextlib.suppress(self._client.exceptions.ResourceAlreadyExistsException):
            self._client.create_log_stream(logGroupName=self.group, logStreamName=self.stream)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()

    def write(self, line: str) -> None:
        """Log a line with the current time; empty lines are skipped, since CloudWatch rejects them."""
        with self._changed:
            for start in range(0, len(line), EVENT_CHARACTERS):
                self._changed.wait_for(lambda: not self._sending or len(self._events) < QUEUE_EVENTS)
                self._events.append(
                    {"timestamp": int(time.time() * 1000), "message": line[start : start + EVENT_CHARACTERS]}
                )

    def _send_until_closed(self) -> None:
        try:
            while not self._closing.wait(FLUSH_SECONDS):
                self._send()
            self._send(final=True)
        finally:
            self._notify_writers(sending=False)

    def _send(self, final: bool = False) -> None:
        while batch := self._next_batch():
            try:
                self._client.put_log_events(
                    logGroupName=self.group, logStreamName=self.stream, logEvents=batch
                )
            except (ClientError, BotoCoreError) as error:
                if final:
                    lost = len(batch) + len(self._events)
                    logger.warning(
                        "%s/%s: the last %d lines were lost: %s", self.group, self.stream, lost, error
                    )
                elif self._sending:
                    logger.warning("%s/%s: cannot send, will retry: %s", self.group, self.stream, error)
                self._notify_writers(sending=False)
                return
            self._unsent = []
            self._notify_writers(sending=True)

    def _next_batch(self) -> list[InputLogEventTypeDef]:
        with self._changed:
            while self._events and len(self._unsent) < BATCH_EVENTS:
                self._unsent.append(self._events.popleft())
            return self._unsent

    def _notify_writers(self, sending: bool) -> None:
        with self._changed:
            self._sending = sending
            self._changed.notify_all()


class Logs:
    """Opens the log streams of jobs and endpoints, with the platform's credentials."""

    def __init__(self, client: CloudWatchLogsClient) -> None:
        self._client = client

    def open(self, group: str, stream: str) -> LogStream:
        """Return a log stream, such as ("/aws/sagemaker/TrainingJobs", "my-job/algo-1-1700000000")."""
        return LogStream(self._client, group, stream)
