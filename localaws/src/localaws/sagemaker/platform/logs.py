"""What a container prints, in its CloudWatch Logs group."""

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

BATCH_EVENTS = 1_000  # AWS takes 10,000 events or 1 MiB in one call
EVENT_CHARACTERS = 60_000  # 4 bytes a character at most keeps an event under AWS's 256 KiB
QUEUE_EVENTS = 20_000
FLUSH_SECONDS = 0.5

logger = logging.getLogger("localaws.sagemaker")


class LogStream:
    """One stream of one group: lines go in, a thread sends them in batches, in order.

    Use it as a context manager: leaving it sends what is left. The queue is bounded: who writes faster than
    is sent waits; while nothing can be sent, the oldest lines are lost instead.
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
        """Log a line, at the present moment; an empty one is left out, as CloudWatch refuses it."""
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
                        "%s/%s: the last %d lines are lost: %s", self.group, self.stream, lost, error
                    )
                elif self._sending:
                    logger.warning("%s/%s: cannot be written to now: %s", self.group, self.stream, error)
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
    """Opens the log streams of jobs and endpoints, as the platform."""

    def __init__(self, client: CloudWatchLogsClient) -> None:
        self._client = client

    def open(self, group: str, stream: str) -> LogStream:
        """A stream to write to, such as ("/aws/sagemaker/TrainingJobs", "my-job/algo-1-1700000000")."""
        return LogStream(self._client, group, stream)
