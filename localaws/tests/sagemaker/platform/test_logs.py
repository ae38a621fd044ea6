import logging
import threading
from collections.abc import Iterator
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from mypy_boto3_logs import CloudWatchLogsClient

from localaws.sagemaker.platform import logs
from localaws.sagemaker.platform.logs import Logs, LogStream
from localaws.testing import wait_until

THROTTLED = ClientError({"Error": {"Code": "ThrottlingException"}}, "PutLogEvents")
DOWN = EndpointConnectionError(endpoint_url="http://127.0.0.1")


class Failing:
    """A CloudWatch Logs client that raises `failure`, if set, for every put_log_events."""

    def __init__(self, client: CloudWatchLogsClient) -> None:
        self.failure: Exception | None = None
        self.rejected = 0
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_log_events(self, **request: Any) -> Any:
        if (failure := self.failure) is not None:
            self.rejected += 1
            raise failure
        return self._client.put_log_events(**request)

    def lines(self) -> list[str]:
        events = self._client.get_log_events(logGroupName="g", logStreamName="s", startFromHead=True)[
            "events"
        ]
        return [event["message"] for event in events]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Failing]:
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 0.02)
    with mock_aws():
        yield Failing(boto3.client("logs", region_name="us-east-1"))


def stream_all(stream: LogStream, lines: list[str]) -> None:
    for line in lines:
        stream.write(line)


def logs_of(client: Failing) -> Logs:
    return Logs(cast(CloudWatchLogsClient, client))


@pytest.mark.parametrize("failure", [THROTTLED, DOWN])
def test_a_failed_call_is_retried_and_no_line_is_lost(
    client: Failing, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    monkeypatch.setattr(logs, "BATCH_EVENTS", 2)
    client.failure = failure
    with logs_of(client).open("g", "s") as stream:
        for line in "abc":
            stream.write(line)
        wait_until(lambda: client.rejected >= 3)
        stream.write("d")
        client.failure = None
        wait_until(lambda: len(client.lines()) == 4)
        stream.write("e")
    assert client.lines() == ["a", "b", "c", "d", "e"]
    (message,) = caplog.messages
    assert message.startswith("g/s: cannot send, will retry")


def test_closing_does_not_wait_for_failing_logs(
    client: Failing, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 600)
    with logs_of(client).open("g", "s") as stream, caplog.at_level(logging.WARNING):
        stream.write("a")
        stream.write("b")
        client.failure = DOWN
    (message,) = caplog.messages
    assert message.startswith("g/s: the last 2 lines were lost")
    assert client.rejected == 1


def test_while_sending_fails_only_the_newest_lines_are_kept(
    client: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "QUEUE_EVENTS", 5)
    monkeypatch.setattr(logs, "BATCH_EVENTS", 1)
    client.failure = DOWN
    with logs_of(client).open("g", "s") as stream:
        stream.write("first")
        wait_until(lambda: client.rejected >= 2)
        for number in range(100):
            stream.write(str(number))
        client.failure = None
    assert client.lines() == ["first", "95", "96", "97", "98", "99"]


def test_write_blocks_while_the_queue_is_full(client: Failing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "QUEUE_EVENTS", 5)
    lines = [str(number) for number in range(100)]
    with logs_of(client).open("g", "s") as stream:
        writer = threading.Thread(target=lambda: stream_all(stream, lines))
        writer.start()
        writer.join(20)
    assert client.lines() == lines
