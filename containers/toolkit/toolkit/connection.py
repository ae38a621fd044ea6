"""HTTP/1.1: a client's connection, its requests one after the other.

Parsing is httptools' (llhttp, the parser of Node.js). What is here is when to read on, what to refuse before
it has arrived, and when to close.
"""

import asyncio
from asyncio import Future
from http import HTTPStatus
from time import perf_counter
from typing import Protocol, cast

import httptools

from toolkit.messages import Request, Response, refusal

HEAD_BYTES = 64 << 10
# A client that is still sending sees no answer: so much of a body that is too large is taken in.
DISCARDED_BODY_LIMITS = 4
LINGERING_SECONDS = 2.0  # for one that is cut short: a connection closed on unread bytes loses its answer
CHECKS_PER_TIMEOUT = 4  # in the shortest time that a client is given
HEADS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


class Server(Protocol):
    """What the connections of a worker share."""

    body_bytes: int
    stalled_seconds: float
    request_seconds: float
    idle_seconds: float
    draining: bool

    def opened(self, connection: "Connection") -> bool:
        """Whether there may be one more."""

    def closed(self, connection: "Connection") -> None:
        """There is one less."""

    def admit(self, request: Request) -> Response | None:
        """Let a request in by its head, or refuse it."""

    def reserve(self, request: Request, size: int) -> Response | None:
        """Make room for some of its body, or refuse it."""

    def discard(self, request: Request) -> None:
        """Forget its body."""

    def respond(self, request: Request) -> "Response | Future[Response]":
        """Answer it, at once or later."""

    def complete(self, request: Request, response: Response, seconds: float) -> dict[str, str]:
        """It has its answer; the headers to send with it."""

    def release(self, request: Request) -> None:
        """Its client is gone."""


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.loop = loop
        self.parser = httptools.HttpRequestParser(self)
        self.reading: Request | None = None
        self.working: Request | None = None
        self.pending: Future[Response] | None = None
        self.queue: list[Request] = []  # what came before the answer to the one before it
        self.closing = False  # no request after this one
        self.write_blocked = False  # the client does not take its answer
        self.header_bytes = 0  # since the last of a body: of a head, of what follows the last chunk
        self.last_activity = loop.time()  # when the client last did something
        self.request_start = self.last_activity  # its request's first byte, or its last answer
        self.check_interval = min(server.stalled_seconds, server.request_seconds) / CHECKS_PER_TIMEOUT

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class
        self.timer = self.loop.call_later(self.check_interval, self.check)
        if not self.server.opened(self):
            self.reject(refusal(503, "too busy: too many connections; try again", Retry_After="1"))

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone, and with it all that it asked for and that has not begun.

        One that only shut its side looks the same, and is taken for gone too.
        """
        self.timer.cancel()
        self.abandon()
        self.server.closed(self)

    def eof_received(self) -> bool:
        """The client is gone; what is still on its way to it may arrive."""
        self.abandon()
        return False

    def abandon(self) -> None:
        """Forget what the client asked for."""
        self.closing = True
        if self.pending:
            self.pending.cancel()
        for request in (self.reading, self.working, *self.queue):
            if request:
                self.server.release(request)
        self.reading = self.working = None
        self.queue.clear()

    def pause_writing(self) -> None:
        """The client does not take its answer: no more work for it."""
        self.write_blocked, self.last_activity = True, self.loop.time()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It took it; until now nothing was read of its next request."""
        self.write_blocked = False
        self.last_activity = self.request_start = self.loop.time()
        self.process_queue()

    def data_received(self, data: bytes) -> None:
        """Parse; the methods below are called by it."""
        self.last_activity = self.loop.time()
        if self.closing:
            return
        self.header_bytes += len(data)
        try:
            self.parser.feed_data(data)
            if (
                self.header_bytes > HEAD_BYTES and not self.closing
            ):  # the parser keeps what it has of a header
                self.reject(refusal(431, f"the request's head is larger than {HEAD_BYTES:,} bytes"))
        except httptools.HttpParserUpgrade:
            self.closing = True  # the request itself is answered, in HTTP/1.1, and the connection closed
        except httptools.HttpParserError as error:
            if not self.closing:
                self.reject(refusal(400, f"not HTTP/1.1: {error}"))
        if self.has_backlog():
            self.transport.pause_reading()

    def on_message_begin(self) -> None:
        """A request's first byte."""
        if not self.closing:
            self.reading = Request()
            self.request_start = self.last_activity

    def on_url(self, part: bytes) -> None:
        """Some of the target."""
        if self.reading:
            self.reading.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; one that follows the last chunk comes too late to count."""
        if self.reading and not self.reading.method:
            self.reading.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Refuse now what need not be read."""
        if not (request := self.reading):
            return
        request.method = self.parser.get_method()
        request.keep_alive = self.parser.should_keep_alive() and not self.parser.should_upgrade()
        if int(request.headers.get(b"content-length", b"0")) > self.server.body_bytes:
            request.refusal = self.too_large()
        else:
            request.refusal = self.server.admit(request)
        if request.headers.get(b"expect", b"").lower() == b"100-continue":
            if request.refusal:
                self.reject(request.refusal)
            else:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        """Some of the body; of a request that is refused it is thrown away."""
        self.header_bytes = 0
        if not (request := self.reading):
            return
        request.size += len(part)
        if request.refusal:
            if request.size > DISCARDED_BODY_LIMITS * self.server.body_bytes:
                self.reject(request.refusal)
            return
        if request.size > self.server.body_bytes:
            request.refusal = self.too_large()
        else:
            request.refusal = self.server.reserve(request, len(part))
        if request.refusal:
            self.server.discard(request)
        else:
            request.parts.append(part)

    def on_message_complete(self) -> None:
        """Answer it, when those before it are answered."""
        self.header_bytes = 0
        if request := self.reading:
            self.reading = None
            self.queue.append(request)
            self.process_queue()

    def process_queue(self) -> None:
        """Answer what waits, as long as the client takes the answers."""
        while self.queue and not self.working and not self.write_blocked and not self.transport.is_closing():
            self.working = request = self.queue.pop(0)
            answer = request.refusal or self.server.respond(request)
            if isinstance(answer, Response):
                self.send(answer)
            else:
                self.pending = answer
                answer.add_done_callback(self.answered)
        if not self.has_backlog() and not self.write_blocked and not self.transport.is_closing():
            self.transport.resume_reading()

    def has_backlog(self) -> bool:
        """Whether the client has asked for more than is in work: only then it is not heard that it leaves."""
        return bool(self.working and (self.reading or self.queue))

    def answered(self, future: "Future[Response]") -> None:
        """The answer is there."""
        self.pending = None
        if not future.cancelled() and self.working:
            self.send(future.result())
            self.process_queue()

    def send(self, response: Response) -> None:
        """Send an answer to the request in work."""
        if request := self.working:
            self.working = None
            self.closing |= self.server.draining or not request.keep_alive
            self.last_activity = self.request_start = self.loop.time()
            self.write(request, response)
            if self.closing:
                self.transport.close()

    def reject(self, response: Response) -> None:
        """Send an answer to what is being read, and close once the client has seen it, or soon."""
        request, self.reading = self.reading or Request(), None
        self.closing = True
        if not self.working:
            self.write(request, response)
            self.transport.write_eof()
            self.timer.cancel()
            self.timer = self.loop.call_later(LINGERING_SECONDS, self.transport.abort)
        else:
            self.server.release(request)

    def write(self, request: Request, response: Response) -> None:
        """Send the head and the body in one piece."""
        headers = self.server.complete(request, response, perf_counter() - request.started)
        lines = [HEADS[response.status], f"Content-Type: {response.type}\r\n"]
        lines += [f"Content-Length: {len(response.body)}\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in (*headers.items(), *response.headers)]
        lines += ["Connection: close\r\n\r\n" if self.closing else "\r\n"]
        body = b"" if request.method == b"HEAD" else response.body
        self.transport.write("".join(lines).encode("latin-1") + body)

    def drain(self) -> None:
        """Close, now or after the request that has begun."""
        if not self.working and not self.reading and not self.queue:
            self.transport.close()

    def check(self) -> None:
        """Close a connection that its client left, or takes too long over."""
        self.timer = self.loop.call_later(self.check_interval, self.check)
        silent, elapsed = self.loop.time() - self.last_activity, self.loop.time() - self.request_start
        if self.write_blocked or self.transport.is_closing():
            if silent > self.server.stalled_seconds:
                self.transport.abort()  # closing waits for a client that takes nothing
        elif self.working:
            return
        elif not self.reading:
            if elapsed > self.server.idle_seconds:
                self.transport.close()
        elif silent > self.server.stalled_seconds:
            self.reject(refusal(408, f"the request did not go on for {self.server.stalled_seconds:g} s"))
        elif elapsed > self.server.request_seconds:
            self.reject(refusal(408, f"the request did not arrive within {self.server.request_seconds:g} s"))

    def too_large(self) -> Response:
        """Refuse a body."""
        return refusal(413, f"the request is larger than {self.server.body_bytes:,} bytes")
