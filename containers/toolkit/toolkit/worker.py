"""Run one worker process of the server: its connections and its shutdown."""

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
ACCEPT_PAUSE_SECONDS = 1.0  # when no file descriptor is left


class Worker:
    """The state that the connections of a worker share."""

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
        """Serve until SIGTERM, SIGINT or the end of the parent; return whether all requests were answered.

        Args:
            parent_pipe: A pipe that closes when the parent process ends.
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
        """Start accepting clients."""
        if not self.stop.is_set():
            asyncio.get_running_loop().add_reader(listening, self.accept, listening)

    def accept(self, listening: socket.socket) -> None:
        """Accept one client, so that the other workers get theirs."""
        try:
            client, _ = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            print(
                f"accepting no clients for {ACCEPT_PAUSE_SECONDS:g} s: {error}", file=sys.stderr, flush=True
            )
            loop = asyncio.get_running_loop()
            loop.remove_reader(listening)
            loop.call_later(ACCEPT_PAUSE_SECONDS, self.listen, listening)
            return
        client.setblocking(False)
        task = asyncio.ensure_future(self.connect(client))
        self.connecting.add(task)
        task.add_done_callback(self.connecting.discard)

    async def connect(self, client: socket.socket) -> None:
        """Start a connection."""
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            await loop.connect_accepted_socket(lambda: Connection(self, loop), client)

    async def drain(self) -> bool:
        """Answer the open requests, and accept no new ones."""
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
        """Flush the access log at intervals."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self.log:
                self.log.flush()

    def opened(self, connection: Connection) -> bool:
        """Register a connection; return whether the limit allows it."""
        self.connections.add(connection)
        return len(self.connections) <= self.settings.connections

    def closed(self, connection: Connection) -> None:
        """Unregister a connection."""
        self.connections.discard(connection)

    def admit(self, request: Request) -> Response | None:
        """Apply admission control to invocations only; other paths are cheap."""
        if request.path != INVOCATIONS:
            return None
        refused = self.admission.admit(request)
        self.application.metrics.set_in_work(self.admission.in_work)
        return refused

    def reserve(self, request: Request, size: int) -> Response | None:
        """Reserve memory for a part of a body, or return the refusal."""
        return self.admission.reserve(request, size)

    def discard(self, request: Request) -> None:
        """Discard a body."""
        self.admission.discard(request)

    def respond(self, request: Request) -> "Response | Future[Response]":
        """Answer a request, directly or with a future."""
        return self.application.respond(request)

    def complete(self, request: Request, response: Response, seconds: float) -> dict[str, str]:
        """Record and log a response; return the headers to send with it."""
        self.release(request)
        invoked = request.path == INVOCATIONS
        if invoked:
            self.application.metrics.record_response(response.status, seconds, response.rows)
        identity = request.identity()
        if self.log and (invoked or response.status != 200):
            self.log.add(request, response, identity, seconds)
        return {"Date": self.http_date(), "X-Request-Id": identity}

    def release(self, request: Request) -> None:
        """Release a request."""
        self.admission.release(request)
        self.application.metrics.set_in_work(self.admission.in_work)

    def http_date(self) -> str:
        """Return the time in HTTP's format, formatted once per second."""
        second = int(time())
        if second != self.date[0]:
            self.date = (second, formatdate(second, usegmt=True))
        return self.date[1]
