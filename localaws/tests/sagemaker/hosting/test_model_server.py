import json
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from localaws.sagemaker.api.errors import HostingError, PingHealthCheckFailed
from localaws.sagemaker.hosting import model_server
from localaws.sagemaker.hosting.model_server import Connections, ModelServer
from localaws.testing import wait_until
from localaws_tests.serving import BUCKET, ROLE, Account, small_account

account = pytest.fixture(small_account)


@pytest.fixture
def server(account: Account) -> Iterator[ModelServer]:
    account.create_model("small")
    server = ModelServer(account.platform, account.models.get("small"), "endpoint", lambda line: None)
    yield server
    server.stop(0)


def invoke(server: ModelServer, timeout: float = 10, **request: Any) -> Any:
    body = json.dumps(request).encode()
    answer = server.request("POST", "/invocations", {"Accept": "a/b"}, body, timeout)
    assert answer.status == request.get("status", 200)
    return json.loads(answer.body)


def test_a_server_serves_its_model_under_its_role(account: Account, server: ModelServer) -> None:
    server.start()
    server.wait_healthy(10)
    answer = invoke(server)
    assert answer["version"] == "small"
    assert answer["pid"] == account.runtime.started[0].process.pid
    assert answer["headers"]["Accept"] == "a/b"
    assert answer["environment"]["AWS_ACCESS_KEY_ID"] == f"key of {ROLE}"
    assert answer["environment"]["COLOUR"] == "blue"
    assert ("s3", ROLE) in account.sessions.roles


def test_output_is_passed_on_line_by_line(account: Account) -> None:
    account.create_model("small")
    lines: list[str] = []
    server = ModelServer(account.platform, account.models.get("small"), "endpoint", lines.append)
    server.start()
    wait_until(lambda: lines == ["version small starts"])
    server.stop(0)


def test_wait_healthy_fails_when_the_process_exits(account: Account) -> None:
    account.create_model("broken", exit=7)
    server = ModelServer(account.platform, account.models.get("broken"), "endpoint", lambda line: None)
    server.start()
    began = time.monotonic()
    with pytest.raises(PingHealthCheckFailed, match="exited with code 7"):
        server.wait_healthy(60)
    assert time.monotonic() - began < 20
    server.stop(0)


def test_wait_healthy_times_out(account: Account) -> None:
    account.create_model("unhealthy", ping=500)
    server = ModelServer(account.platform, account.models.get("unhealthy"), "endpoint", lambda line: None)
    server.start()
    with pytest.raises(PingHealthCheckFailed, match=r"did not return 200 within 1\.5 seconds"):
        server.wait_healthy(1.5)
    server.stop(0)


def test_connections_are_reused(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_server, "IDLE_SECONDS", 60)
    server.start()
    server.wait_healthy(10)
    assert [invoke(server)["on_connection"] for _ in range(3)] == [1, 2, 3]


def test_many_concurrent_requests(server: ModelServer, tmp_path: Path) -> None:
    server.start()
    server.wait_healthy(10)
    files = [tmp_path / f"go-{index}" for index in range(16)]
    versions: list[str] = []

    def ask(file: Path) -> None:
        versions.append(invoke(server, timeout=30, file=str(file))["version"])

    threads = [threading.Thread(target=ask, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(Path(f"{file}.awaited").exists() for file in files))
    for file in files:
        file.touch()
    for thread in threads:
        thread.join()
    assert versions == ["small"] * 16


def test_a_connection_that_the_server_closed_is_reopened(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_server, "IDLE_SECONDS", 60)
    account.create_model("short-keep-alive")
    model = account.models.get("short-keep-alive")
    model["_Container"] = {**model["_Container"], "Environment": {"KEEP_ALIVE": "0.2"}}
    server = ModelServer(account.platform, model, "endpoint", lambda line: None)
    server.start()
    server.wait_healthy(10)
    first = invoke(server)
    time.sleep(0.5)
    assert invoke(server)["pid"] == first["pid"]
    server.stop(0)


def test_an_idle_connection_is_not_reused_after_its_limit(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start()
    server.wait_healthy(10)
    monkeypatch.setattr(model_server, "IDLE_SECONDS", 0.1)
    invoke(server)
    time.sleep(0.2)
    assert invoke(server)["on_connection"] == 1


def test_a_response_timeout(server: ModelServer) -> None:
    server.start()
    server.wait_healthy(10)
    with pytest.raises(TimeoutError):
        invoke(server, timeout=0.3, sleep=30)
    assert invoke(server)["version"] == "small"


def test_a_body_that_the_server_rejects_without_reading(server: ModelServer) -> None:
    server.start()
    server.wait_healthy(10)
    answer = server.request("POST", "/invocations", {}, b"x" * 11_000_000, 10)
    assert (answer.status, json.loads(answer.body)) == (413, {"error": "too large"})


def test_a_crash_during_a_request_is_a_connection_error(server: ModelServer) -> None:
    server.start()
    server.wait_healthy(10)
    with pytest.raises(ConnectionError):
        invoke(server, crash=True)
    assert server.wait(10) == 3


def test_a_reset_during_connect_is_a_refused_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reset(connection: HTTPConnection) -> None:
        raise ConnectionResetError("Connection reset by peer")

    monkeypatch.setattr(HTTPConnection, "connect", reset)
    with pytest.raises(ConnectionRefusedError):
        Connections(1).request("POST", "/invocations", {}, b"", 1)


def test_stop_terminates_the_process_and_removes_its_folder(account: Account, server: ModelServer) -> None:
    server.start()
    server.wait_healthy(10)
    folder = account.platform.workdir / "endpoint"
    assert len(list(folder.iterdir())) == 1
    server.stop(5)
    server.stop(5)
    assert server.wait(0) is not None
    assert list(folder.iterdir()) == []


def test_a_stopped_server_does_not_start(account: Account, server: ModelServer) -> None:
    server.stop(0)
    with pytest.raises(HostingError):
        server.start()
    assert account.runtime.started == []


def test_a_missing_image(account: Account) -> None:
    account.create_model("unknown", image="no.such/image:1")
    server = ModelServer(account.platform, account.models.get("unknown"), "endpoint", lambda line: None)
    with pytest.raises(HostingError, match=r"^The image no.such/image:1 cannot be run: there is no image"):
        server.start()
    server.stop(0)


def test_a_missing_or_corrupt_archive(account: Account) -> None:
    account.create_model("small")
    s3 = account.sessions.client("s3")
    s3.put_object(Bucket=BUCKET, Key="small/model.tar.gz", Body=b"no archive")
    broken = ModelServer(account.platform, account.models.get("small"), "endpoint", lambda line: None)
    with pytest.raises(HostingError, match=r"s3://models/small/model.tar.gz cannot be unpacked"):
        broken.start()
    broken.stop(0)
    s3.delete_object(Bucket=BUCKET, Key="small/model.tar.gz")
    gone = ModelServer(account.platform, account.models.get("small"), "endpoint", lambda line: None)
    with pytest.raises(HostingError, match=r"^Failed to download model data from s3://models/small/model"):
        gone.start()
    gone.stop(0)
