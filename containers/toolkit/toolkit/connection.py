"""HTTP/1.1: one client connection, whose requests are answered in order.

Parsing is done by httptools (llhttp, the parser of Node.js). This module decides when to read on, what to
refuse before it has arrived, and when to close.
"""

import asyncio
from asyncio import Future
from http import HTTPStatus
from time import perf_counter
from typing import Protocol, cast

import httptools

from toolkit.messages import Request, Response, refusal

HEAD_BYTES = 64 << 10
# A client that is still sending does not read the answer. So a body that is too large is read up to this
# multiple of the limit, and discarded.
DISCARDED_BODY_LIMITS = 4
LINGERING_SECONDS = 2.0  # before closing: closing with unread bytes would lose the answer
OFFER_HEADERS = (b"connection", b"upgrade", b"http2-settings")
CHECKS_PER_TIMEOUT = 4  # per shortest timeout
HEADS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


class Server(Protocol):
    """What the connections of a worker share."""

    body_bytes: int
    stalled_seconds: float
    request_seconds: float
    idle_seconds: float
    draining: bool

    def opened(self, connection: "Connection") -> bool:
        """Register a connection; return whether the limit allows it."""

    def closed(self, connection: "Connection") -> None:
        """Unregister a connection."""

    def admit(self, request: Request) -> Response | None:
        """Admit a request by its head, or return the refusal."""

    def reserve(self, request: Request, size: int) -> Response | None:
        """Reserve memory for a part of the body, or return the refusal."""

    def discard(self, request: Request) -> None:
        """Discard the body and free its memory."""

    def respond(self, request: Request) -> "Response | Future[Response]":
        """Answer the request, directly or with a future."""

    def complete(self, request: Request, response: Response, seconds: float) -> dict[str, str]:
        """Record the response of a request; return the headers to send with it."""

    def release(self, request: Request) -> None:
        """Release a request whose client has disconnected."""


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.loop = loop
        self.parser = httptools.HttpRequestParser(self)
        self.reading: Request | None = None
        self.working: Request | None = None
        self.pending: Future[Response] | None = None
        self.queue: list[Request] = []  # complete requests that wait for the answers before them
        self.closing = False  # no further request is read
        self.write_blocked = False  # the client does not read its answer
        self.header_bytes = 0  # since the last body: a head, or the trailer of a chunked body
        self.last_activity = loop.time()  # time of the client's last activity
        self.request_start = self.last_activity  # time of the request's first byte, or of the last answer
        self.check_interval = min(server.stalled_seconds, server.request_seconds) / CHECKS_PER_TIMEOUT

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the timer; refuse the connection if there are too many."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class
        self.timer = self.loop.call_later(self.check_interval, self.check)
        if not self.server.opened(self):
            self.reject(refusal(503, "too busy: too many connections; try again", Retry_After="1"))

    def connection_lost(self, error: Exception | None) -> None:
        """Abandon all requests of a client that has disconnected.

        A client that only shut down its sending side looks the same, and is treated the same.
        """
        self.timer.cancel()
        self.abandon()
        self.server.closed(self)

    def eof_received(self) -> bool:
        """Abandon the requests; data that is already being sent may still arrive."""
        self.abandon()
        return False

    def abandon(self) -> None:
        """Abandon the requests of this connection."""
        self.closing = True
        if self.pending:
            self.pending.cancel()
        for request in (self.reading, self.working, *self.queue):
            if request:
                self.server.release(request)
        self.reading = self.working = None
        self.queue.clear()

    def pause_writing(self) -> None:
        """Stop reading while the client does not read its answer."""
        self.write_blocked, self.last_activity = True, self.loop.time()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Resume once the client has read its answer."""
        self.write_blocked = False
        self.last_activity = self.request_start = self.loop.time()
        self.process_queue()

    def data_received(self, data: bytes) -> None:
        """Parse the data; the parser calls the methods below."""
        self.last_activity = self.loop.time()
        if self.closing:
            return
        self.header_bytes += len(data)
        try:
            self.parser.feed_data(data)
            if self.header_bytes > HEAD_BYTES and not self.closing:  # the parser buffers an incomplete header
                self.reject(refusal(431, f"the request's head is larger than {HEAD_BYTES:,} bytes"))
        except httptools.HttpParserUpgrade as upgrade:
            self.stay_in_http_1(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if not self.closing:
                self.reject(refusal(400, f"not HTTP/1.1: {error}"))
        if self.has_backlog():
            self.transport.pause_reading()

    def stay_in_http_1(self, rest: bytes) -> None:
        """Parse a request again without its offer of another protocol: the parser ends it before its body.

        Args:
            rest: the data after the request's head.
        """
        request = self.reading
        if request is None:  # CONNECT, which is refused: what follows is not HTTP
            self.closing = True
            return
        close = b"close" in request.headers.get(b"connection", b"").lower()
        headers = {name: value for name, value in request.headers.items() if name not in OFFER_HEADERS}
        headers |= {b"connection": b"close"} if close else {}
        lines = b"".join(b"%b: %b\r\n" % header for header in headers.items())
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%b %b HTTP/1.1\r\n%b\r\n%b" % (request.method, request.target, lines, rest))

    def on_message_begin(self) -> None:
        """Start a request at its first byte."""
        if not self.closing:
            self.reading = Request()
            self.request_start = self.last_activity

    def on_url(self, part: bytes) -> None:
        """Append a part of the target."""
        if self.reading:
            self.reading.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; ignore trailers."""
        if self.reading and not self.reading.method:
            self.reading.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Refuse a request early, before its body is read."""
        if not (request := self.reading):
            return
        request.method = self.parser.get_method()
        if self.offers_another_protocol():
            return
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

    def offers_another_protocol(self) -> bool:
        """Return whether the parser ends this request before its body, as it does for `Upgrade: h2c`."""
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def on_body(self, part: bytes) -> None:
        """Store a part of the body; discard it if the request is refused."""
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
        """Queue the complete request."""
        self.header_bytes = 0
        if (request := self.reading) and not self.offers_another_protocol():
            self.reading = None
            self.queue.append(request)
            self.process_queue()

    def process_queue(self) -> None:
        """Answer the queued requests, as long as the client reads the answers."""
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
        """Return whether requests wait beyond the one in work.

        Reading is paused only then, because a paused connection does not notice that its client
        disconnects."""
        return bool(self.working and (self.reading or self.queue))

    def answered(self, future: "Future[Response]") -> None:
        """Send a response that was computed in the background."""
        self.pending = None
        if not future.cancelled() and self.working:
            self.send(future.result())
            self.process_queue()

    def send(self, response: Response) -> None:
        """Send the response of the request in work."""
        if request := self.working:
            self.working = None
            self.closing |= self.server.draining or not request.keep_alive
            self.last_activity = self.request_start = self.loop.time()
            self.write(request, response)
            if self.closing:
                self.transport.close()

    def reject(self, response: Response) -> None:
        """Refuse the request being read, and close once the client has read the response."""
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
        """Send head and body in one write."""
        headers = self.server.complete(request, response, perf_counter() - request.started)
        lines = [HEADS[response.status], f"Content-Type: {response.type}\r\n"]
        lines += [f"Content-Length: {len(response.body)}\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in (*headers.items(), *response.headers)]
        lines += ["Connection: close\r\n\r\n" if self.closing else "\r\n"]
        body = b"" if request.method == b"HEAD" else response.body
        self.transport.write("".join(lines).encode("latin-1") + body)

    def drain(self) -> None:
        """Close the connection, now or after the request in work."""
        if not self.working and not self.reading and not self.queue:
            self.transport.close()

    def check(self) -> None:
        """Close the connection if its client is idle or too slow."""
        self.timer = self.loop.call_later(self.check_interval, self.check)
        silent, elapsed = self.loop.time() - self.last_activity, self.loop.time() - self.request_start
        if self.write_blocked or self.transport.is_closing():
            if silent > self.server.stalled_seconds:
                self.transport.abort()  # a close would wait for a client that reads nothing
        elif self.working:
            return
        elif not self.reading:
            if elapsed > self.server.idle_seconds:
                self.transport.close()
        elif silent > self.server.stalled_seconds:
            self.reject(refusal(408, f"the request stalled for {self.server.stalled_seconds:g} s"))
        elif elapsed > self.server.request_seconds:
            self.reject(refusal(408, f"the request did not arrive within {self.server.request_seconds:g} s"))

    def too_large(self) -> Response:
        """Return the refusal of a body that is too large."""
        return refusal(413, f"the request is larger than {self.server.body_bytes:,} bytes")
