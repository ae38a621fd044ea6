"""One process of the server: its connections, and how it ends."""

import asyncio
import signal
import socket
import sys
from asyncio import Future
from contextlib import suppress
from email.utils import formatdate
from time import time

from toolkit.access_log import AccessLog
from toolkit.admission import AdmissionControl
from toolkit.application import INVOCATIONS, Application
from toolkit.connection import Connection
from toolkit.messages import Request, Response
from toolkit.settings import Settings

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
FLUSH_SECONDS = 0.2
ACCEPT_PAUSE_SECONDS = 1.0  # where there is no file descriptor left for a client


class Worker:
    """What the connections of a process share."""

    def __init__(self, application: Application, settings: Settings, log: AccessLog | None) -> None:
        self.application = application
        self.settings = settings
        self.body_bytes = settings.body_bytes
        self.stalled_seconds = settings.stalled_seconds
        self.request_seconds = settings.request_seconds
        self.idle_seconds = settings.idle_seconds
        self.log = log
        self.admission = AdmissionControl(settings.requests, settings.held_bodies * settings.body_bytes)
        self.connections: set[Connection] = set()
        self.connecting: set[asyncio.Task[None]] = set()
        self.draining = False
        self.stop = asyncio.Event()
        self.date = (0, "")

    async def run(self, listening: socket.socket, parent_pipe: int | None = None) -> bool:
        """Answer until SIGTERM or SIGINT, or until the parent process is gone; whether all was answered.

        Args:
            parent_pipe: A pipe that ends with the parent.
        """
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.stop.set)
        if parent_pipe is not None:
            loop.add_reader(parent_pipe, self.stop.set)
        self.listen(listening)
        flushing = asyncio.ensure_future(self.flush_periodically())
        await self.stop.wait()
        loop.remove_reader(listening)
        if parent_pipe is not None:
            loop.remove_reader(parent_pipe)
        listening.close()
        answered = await self.drain()
        flushing.cancel()
        if self.log:
            self.log.flush()
        return answered

    def listen(self, listening: socket.socket) -> None:
        """Take clients from now on."""
        if not self.stop.is_set():
            asyncio.get_running_loop().add_reader(listening, self.accept, listening)

    def accept(self, listening: socket.socket) -> None:
        """Take one client: the other workers take the others."""
        try:
            client, _ = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            print(f"no client is taken for {ACCEPT_PAUSE_SECONDS:g} s: {error}", file=sys.stderr, flush=True)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listening)
            loop.call_later(ACCEPT_PAUSE_SECONDS, self.listen, listening)
            return
        client.setblocking(False)
        task = asyncio.ensure_future(self.connect(client))
        self.connecting.add(task)
        task.add_done_callback(self.connecting.discard)

    async def connect(self, client: socket.socket) -> None:
        """Begin to read."""
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            await loop.connect_accepted_socket(lambda: Connection(self, loop), client)

    async def drain(self) -> bool:
        """Answer what was asked, take nothing new."""
        self.draining = True
        self.application.ready = False
        if self.connecting:
            await asyncio.wait(self.connecting)
        for connection in list(self.connections):
            connection.drain()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.drain_seconds
        while self.connections and loop.time() < deadline:
            await asyncio.sleep(0.02)
        return not self.connections

    async def flush_periodically(self) -> None:
        """Let no line of the log wait for long."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self.log:
                self.log.flush()

    def opened(self, connection: Connection) -> bool:
        """Whether there may be one more."""
        self.connections.add(connection)
        return len(self.connections) <= self.settings.connections

    def closed(self, connection: Connection) -> None:
        """There is one less."""
        self.connections.discard(connection)

    def admit(self, request: Request) -> Response | None:
        """Only what costs something passes the gate."""
        if request.path != INVOCATIONS:
            return None
        refused = self.admission.admit(request)
        self.application.metrics.set_in_work(self.admission.in_work)
        return refused

    def reserve(self, request: Request, size: int) -> Response | None:
        """Make room for some of a body, or refuse it."""
        return self.admission.reserve(request, size)

    def discard(self, request: Request) -> None:
        """Forget a body."""
        self.admission.discard(request)

    def respond(self, request: Request) -> "Response | Future[Response]":
        """Answer it, at once or later."""
        return self.application.respond(request)

    def complete(self, request: Request, response: Response, seconds: float) -> dict[str, str]:
        """Count and log it; the headers of every answer."""
        self.release(request)
        invoked = request.path == INVOCATIONS
        if invoked:
            self.application.metrics.record_response(response.status, seconds, response.rows)
        identity = request.identity()
        if self.log and (invoked or response.status != 200):
            self.log.add(request, response, identity, seconds)
        return {"Date": self.http_date(), "X-Request-Id": identity}

    def release(self, request: Request) -> None:
        """It is no longer in work."""
        self.admission.release(request)
        self.application.metrics.set_in_work(self.admission.in_work)

    def http_date(self) -> str:
        """The time as HTTP writes it, made once a second."""
        second = int(time())
        if second != self.date[0]:
            self.date = (second, formatdate(second, usegmt=True))
        return self.date[1]
