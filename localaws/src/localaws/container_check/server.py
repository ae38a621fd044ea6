"""Start a serving container, ping it, send requests to it and stop it."""

import random
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Self

from localaws.container_check.connection import Connection, Response
from localaws.container_check.errors import Broken, Unchecked
from localaws.container_check.limits import Limits
from localaws.container_check.opt_ml import OptMl
from localaws.runtimes.container import Container
from localaws.sagemaker.hosting.model_server import PORTS
from localaws.settings import HOST

Starter = Callable[[OptMl, str, Mapping[str, str], Callable[[str], None]], Container]
PING_INTERVAL_SECONDS = 0.05


@dataclass
class Server:
    """A serving container on its own port.

    Attributes:
        pings: the status of each GET /ping until the container was healthy; None without a response.
        seconds: the time from its start to its first 200.
        lines: its output so far.
    """

    opt_ml: OptMl
    container: Container
    port: int
    limits: Limits
    lines: list[str]
    started: float = field(default_factory=time.monotonic)
    pings: list[int | None] = field(default_factory=list)
    seconds: float = 0.0

    @classmethod
    def start(cls, opt_ml: OptMl, start: Starter, environment: Mapping[str, str], limits: Limits) -> Self:
        """Start the container without waiting for its health."""
        port, lines = _free_port(), list[str]()
        bound = {"SAGEMAKER_BIND_TO_HOST": HOST, "SAGEMAKER_BIND_TO_PORT": str(port)}
        return cls(
            opt_ml, start(opt_ml, "serve", {**environment, **bound}, lines.append), port, limits, lines
        )

    @property
    def healthy(self) -> bool:
        """Whether the last GET /ping returned 200."""
        return bool(self.pings) and self.pings[-1] == 200

    def wait_healthy(self, timeout: float) -> bool:
        """Wait until GET /ping returns 200; return False if the container exits or `timeout` elapses."""
        while not self.healthy and time.monotonic() - self.started < timeout:
            self.pings.append(self._ping())
            self.seconds = time.monotonic() - self.started
            if not self.healthy and self.container.wait(PING_INTERVAL_SECONDS) is not None:
                return False
        return self.healthy

    def ready(self) -> Self:
        """Wait until the server is healthy and return it.

        Raises:
            Unchecked: the server is not healthy or has exited.
        """
        if not self.wait_healthy(self.limits.healthy) or self.container.wait(0) is not None:
            raise Unchecked("the server is not healthy or has exited")
        return self

    def request(
        self,
        path: str,
        body: bytes | None = None,
        content_type: str = "",
        *,
        accept: str = "",
        timeout: float | None = None,
        chunked: bool = False,
    ) -> Response:
        """Send a request on a new connection: GET without a body, otherwise POST.

        Raises:
            Broken: the container sent no complete response within the timeout.
        """
        headers = {"Content-Type": content_type} if content_type else {}
        headers |= {"Accept": accept} if accept else {}
        with self.connection(self.limits.invocation if timeout is None else timeout) as connection:
            return connection.request(path, body, headers, chunked=chunked)

    def invoke(
        self, body: bytes, content_type: str, *, timeout: float | None = None, chunked: bool = False
    ) -> Response:
        """Send POST /invocations and return the response.

        Raises:
            Broken: there is no complete response within the timeout, or its status is not 200.
        """
        response = self.request("/invocations", body, content_type, timeout=timeout, chunked=chunked)
        if response.status != 200:
            raise Broken(f"the response to POST /invocations with {content_type} was {response.summary}")
        return response

    def connection(self, timeout: float) -> Connection:
        """Open a connection; the caller must close it."""
        return Connection(HTTPConnection(HOST, self.port, timeout=timeout))

    @staticmethod
    def listens_at(port: int) -> bool:
        """Return whether a process listens on a port."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((HOST, port)) == 0

    def stop(self, grace: float) -> tuple[int, float]:
        """Send SIGTERM, and SIGKILL after `grace` seconds; return the exit code and the seconds it took."""
        started = time.monotonic()
        return self.container.stop(grace), time.monotonic() - started

    def _ping(self) -> int | None:
        try:
            return self.request("/ping", timeout=self.limits.ping).status
        except Broken:
            return None


def _free_port() -> int:
    while True:
        port = random.choice(PORTS)  # noqa: S311
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
