"""A container that serves: started, pinged, asked, stopped."""

import random
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Self

from localaws.container_check.connection import Answer, Connection
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
    """A container on a port of its own.

    Attributes:
        pings: the status of each GET /ping until it was healthy; None where nothing answered.
        seconds: from its start to its first 200.
        lines: what it has printed.
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
        """Start it; it is not healthy yet."""
        port, lines = _free_port(), list[str]()
        bound = {"SAGEMAKER_BIND_TO_HOST": HOST, "SAGEMAKER_BIND_TO_PORT": str(port)}
        return cls(
            opt_ml, start(opt_ml, "serve", {**environment, **bound}, lines.append), port, limits, lines
        )

    @property
    def healthy(self) -> bool:
        """Whether it has answered GET /ping with 200."""
        return bool(self.pings) and self.pings[-1] == 200

    def wait_healthy(self, timeout: float) -> bool:
        """Wait for the first 200 from GET /ping; False if it ended or took too long."""
        while not self.healthy and time.monotonic() - self.started < timeout:
            self.pings.append(self._ping())
            self.seconds = time.monotonic() - self.started
            if not self.healthy and self.container.wait(PING_INTERVAL_SECONDS) is not None:
                return False
        return self.healthy

    def ready(self) -> Self:
        """Itself, once it is healthy.

        Raises:
            Unchecked: it is not.
        """
        if not self.wait_healthy(self.limits.healthy) or self.container.wait(0) is not None:
            raise Unchecked("the server is not healthy, or has ended")
        return self

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        content_type: str = "",
        *,
        accept: str = "",
        timeout: float | None = None,
        chunked: bool = False,
    ) -> Answer:
        """Ask on a connection of its own: GET without a body, else POST.

        Raises:
            Broken: no whole answer, or none in time.
        """
        headers = {"Content-Type": content_type} if content_type else {}
        headers |= {"Accept": accept} if accept else {}
        with self.connection(self.limits.answer if timeout is None else timeout) as connection:
            return connection.ask(path, body, headers, chunked=chunked)

    def invoke(
        self, body: bytes, content_type: str, *, timeout: float | None = None, chunked: bool = False
    ) -> Answer:
        """The answer to POST /invocations, which has to be 200.

        Raises:
            Broken: it is another.
        """
        answer = self.ask("/invocations", body, content_type, timeout=timeout, chunked=chunked)
        if answer.status != 200:
            raise Broken(f"POST /invocations with {content_type} was answered {answer.summary}")
        return answer

    def connection(self, timeout: float) -> Connection:
        """A connection, to be closed by the caller."""
        return Connection(HTTPConnection(HOST, self.port, timeout=timeout))

    @staticmethod
    def listens_at(port: int) -> bool:
        """Whether something listens at another port."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((HOST, port)) == 0

    def stop(self, grace: float) -> tuple[int, float]:
        """SIGTERM, and SIGKILL after `grace` seconds; the exit code and the seconds it took."""
        started = time.monotonic()
        return self.container.stop(grace), time.monotonic() - started

    def _ping(self) -> int | None:
        try:
            return self.ask("/ping", timeout=self.limits.ping).status
        except Broken:
            return None


def _free_port() -> int:
    while True:
        port = random.choice(PORTS)  # noqa: S311
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
