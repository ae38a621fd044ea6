"""Start a model's serving container, wait until it is healthy, send requests to it and stop it."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from localaws.runtimes.container import Container, ContainerSpec, ImageError
from localaws.sagemaker.api.errors import HostingError, PingHealthCheckFailed, SageMakerError
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.platform.archives import fetch_archive
from localaws.sagemaker.platform.platform import Platform
from localaws.settings import HOST

# Below the kernel's range of ephemeral ports: an outgoing connection could otherwise take a chosen port.
PORTS = range(20_000, 32_000)
HEALTHY_SECONDS = 480.0  # how long SageMaker waits for the first 200 from GET /ping
PING_TIMEOUT_SECONDS = 2.0
PING_INTERVAL_SECONDS = 0.1
GRACE_SECONDS = 30.0  # between SIGTERM and SIGKILL
IDLE_SECONDS = 2.0  # reuse limit: most servers keep an idle connection open for longer


@dataclass(frozen=True)
class ContainerAnswer:
    """A container's HTTP response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connections:
    """A pool of persistent connections to one container, each used by one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._idle: list[tuple[HTTPConnection, float]] = []
        self._closed = False

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> ContainerAnswer:
        """Send a request and read the complete response.

        Raises:
            TimeoutError: the container sent nothing for `timeout` seconds.
            ConnectionRefusedError: the container does not accept connections.
            ConnectionError: the container closed the connection before the end of the response.
        """
        kept = self._take()
        connection = kept or HTTPConnection(HOST, self._port)
        try:
            try:
                response = _send(connection, method, path, headers, body, timeout)
            except ConnectionResetError as error:
                if kept is None:
                    raise
                # Most likely the container closed the idle connection at the moment of its reuse.
                connection.close()
                connection = HTTPConnection(HOST, self._port)
                try:
                    response = _send(connection, method, path, headers, body, timeout)
                except ConnectionRefusedError:
                    raise error from None  # the process has ended, possibly because of this request
            result = ContainerAnswer(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        except BaseException as error:
            connection.close()
            if isinstance(error, HTTPException) and not isinstance(error, OSError):
                raise ConnectionError(f"The container sent an incomplete response: {error!r}") from error
            raise
        self._keep(connection, response)
        return result

    def close(self) -> None:
        """Close the idle connections now and the connections in use when their requests end."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _take(self) -> HTTPConnection | None:
        with self._lock:
            if not self._idle:
                return None
            connection, since = self._idle.pop()
            if time.monotonic() - since < IDLE_SECONDS:
                return connection
            # The most recently used connection is too old, and so are all others.
            stale, self._idle = [connection, *(other for other, _ in self._idle)], []
        for connection in stale:
            connection.close()
        return None

    def _keep(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        with self._lock:
            if not (self._closed or response.will_close):
                self._idle.append((connection, time.monotonic()))
                return
        connection.close()


def _send(
    connection: HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: float,
) -> HTTPResponse:
    connection.timeout = timeout
    if connection.sock is not None:
        connection.sock.settimeout(timeout)
    else:
        _connect(connection)
    # A server that rejects a body without reading it sends its response first and then closes.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, path, body, dict(headers))
    return connection.getresponse()


def _connect(connection: HTTPConnection) -> None:
    try:
        connection.connect()
    except ConnectionResetError as error:  # the process is ending and did not accept the connection
        raise ConnectionRefusedError(str(error)) from error


@dataclass
class _Ports:
    """Allocate free loopback ports, each to one container at a time."""

    _taken: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> int:
        with self._lock:
            while True:
                port = random.choice(PORTS)  # noqa: S311
                if port not in self._taken and _is_free(port):
                    self._taken.add(port)
                    return port

    def release(self, port: int) -> None:
        with self._lock:
            self._taken.discard(port)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


# Shared by all servers: with two containers on one port, each would pass the other's health check.
_ports = _Ports()


class ModelServer:
    """A container that serves a model.

    Args:
        platform: the runtime, folders and sessions.
        model: a record of `Models.get`.
        kind: the kind of work, such as "endpoint"; the name of the parent of the container's folder.
        on_line: called with each line of the container's output.
    """

    def __init__(
        self, platform: Platform, model: Document, kind: str, on_line: Callable[[str], None]
    ) -> None:
        self.model = model
        self._platform = platform
        self._on_line = on_line
        self._lock = threading.Lock()
        self._container: Container | None = None
        self._stopped = False
        self._base_dir = platform.new_base_dir(kind, model["ModelName"])
        self._port = _ports.take()
        self._connections = Connections(self._port)

    def start(self) -> None:
        """Prepare the image, download the model and start the container, without waiting for its health.

        Raises:
            HostingError: the image or the model is not available, or `stop` was called before.
        """
        container = self.model["_Container"]
        try:
            self._platform.runtime.prepare(container["Image"])
            self._fetch_model(self._base_dir / "model")
            spec = ContainerSpec(
                container["Image"], ("serve",), self._base_dir, self._environment(), self._on_line
            )
            with self._lock:
                if self._stopped:
                    raise HostingError("The container was stopped before it started")
                self._container = self._platform.runtime.start(spec)
        except ImageError as error:
            raise HostingError(f"The image {container['Image']} cannot be run: {error}") from error
        except SageMakerError as error:
            raise HostingError(error.message) from error
        except OSError as error:
            raise HostingError(f"The container's folder cannot be created: {error}") from error

    def wait_healthy(self, timeout: float = HEALTHY_SECONDS) -> None:
        """Wait until GET /ping returns 200.

        Raises:
            PingHealthCheckFailed: it did not within `timeout` seconds, or the container exited.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            healthy = self._ping()
            code = self._started.wait(0 if healthy else PING_INTERVAL_SECONDS)
            if code is not None:
                raise PingHealthCheckFailed(f"The container exited with code {code}")
            if healthy:
                return
        raise PingHealthCheckFailed(f"GET /ping did not return 200 within {timeout:g} seconds")

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until the container exits; return its exit code, or None after `timeout` seconds."""
        return self._started.wait(timeout)

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> ContainerAnswer:
        """Send a request to the container and return its response.

        Raises:
            TimeoutError: the container sent nothing for `timeout` seconds.
            ConnectionRefusedError: the container does not accept connections.
            ConnectionError: the container closed the connection before the end of the response.
        """
        return self._connections.request(method, path, headers, body, timeout)

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Stop the container and remove its folder; safe to call at any time and repeatedly."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        if self._container is not None:
            self._container.stop(grace)
        self._connections.close()
        _ports.release(self._port)
        self._platform.discard(self._base_dir)

    @property
    def _started(self) -> Container:
        if self._container is None:
            raise HostingError("The container was not started")
        return self._container

    def _ping(self) -> bool:
        try:
            return self.request("GET", "/ping", {}, None, PING_TIMEOUT_SECONDS).status == 200
        except OSError:
            return False

    def _fetch_model(self, folder: Path) -> None:
        folder.mkdir()
        uri = self.model["_Container"].get("ModelDataUrl")
        if uri is None:
            return
        try:
            fetch_archive(self._platform.sessions.client("s3", self.model["ExecutionRoleArn"]), uri, folder)
        except (ClientError, BotoCoreError, Boto3Error) as error:
            raise HostingError(f"Failed to download model data from {uri}: {error}") from error

    def _environment(self) -> dict[str, str]:
        return {
            **self._platform.sessions.environment(self.model["ExecutionRoleArn"]),
            **self.model["_Container"].get("Environment", {}),
            "SAGEMAKER_BIND_TO_HOST": HOST,
            "SAGEMAKER_BIND_TO_PORT": str(self._port),
        }
