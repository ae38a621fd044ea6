import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson
import pytest
import uvloop
from numpy.typing import NDArray

from tests.unit.containers.toolkit.toolkit_server import Obedient, Server, obedient
from toolkit.application import Application
from toolkit.connection import Connection
from toolkit.metrics import Metrics
from toolkit.settings import Settings
from toolkit.worker import Worker

PATIENCE = 120.0  # seconds
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = obedient(tmp_path_factory.mktemp("serve"), SAGEMAKER_MAX_PAYLOAD_IN_MB="1")
    yield server
    server.kill()


@pytest.fixture
def client(server: Server) -> Iterator[socket.socket]:
    with server.connect() as client:
        yield client


def post(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def received(client: socket.socket, ends: bytes = b"") -> bytes:
    """All that comes, up to the connection's end or these bytes."""
    content = b""
    while not ends or not content.endswith(ends):
        part = client.recv(65536)
        if not part:
            return content
        content += part
    return content


class Talk:
    """A connection to a worker of this process; the server's side sends through a buffer of so many bytes."""

    def __init__(self, server: Settings | Worker, sent_bytes: int = 0, clock: "Clock | None" = None) -> None:
        self.server = server
        self.sent_bytes = sent_bytes
        self.clock = clock

    async def __aenter__(self) -> Self:
        server = self.server
        self.worker = (
            server
            if isinstance(server, Worker)
            else Worker(Application(Obedient(), Metrics(), server), server, None)
        )
        self.client, side = socket.socketpair()
        self.client.setblocking(False)
        if self.sent_bytes:
            side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.sent_bytes)
        self.loop = asyncio.get_running_loop()
        timed: Any = self.clock or self.loop
        self.connection = Connection(self.worker, timed)
        await self.loop.connect_accepted_socket(lambda: self.connection, side)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.close()

    async def say(self, content: bytes) -> None:
        """Send all of it."""
        await self.loop.sock_sendall(self.client, content)

    async def trickle(self, content: bytes, pause: float) -> None:
        """Send a byte, wait so many seconds, send the next."""
        for byte in content:
            await self.say(bytes([byte]))
            await asyncio.sleep(pause)

    async def heard(self, ends: bytes = b"") -> bytes:
        """All that comes, up to the connection's end or these bytes."""
        content = b""
        async with asyncio.timeout(PATIENCE):
            while not ends or not content.endswith(ends):
                if not (part := await self.loop.sock_recv(self.client, 65536)):
                    break
                content += part
        return content


class Clock:
    """A loop's, for connections that look at it when the test makes them."""

    now = 0.0

    def time(self) -> float:
        """In seconds."""
        return self.now

    def call_later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """The test calls."""
        return asyncio.get_running_loop().call_later(3600, call)


class Noting(Obedient):
    """Records its texts; `wait` takes until it may go on."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.may_go_on = threading.Event()

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the probabilities, of shape (texts, labels)."""
        self.texts += texts
        if "wait" in texts:
            self.may_go_on.wait(PATIENCE)
        return super().predict(texts)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_connection_is_kept_for_the_next_request(client: socket.socket) -> None:
    for _ in range(3):
        client.sendall(post(b"good\n"))
        answer = received(client, b"pos,0.731059\n")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Connection: close" not in answer


def test_requests_sent_without_waiting_are_answered_in_order(client: socket.socket) -> None:
    client.sendall(
        post(b"sleep 0.3\n") + post(b"good\n") + b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n" + post(b"bad\n")
    )
    answers = received(client, b"neg,0.731059\n")
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in answers.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b"neg,0.5\n", b"pos,0.731059\n", b"", b"neg,0.731059\n"]


def test_a_head_may_come_in_one_piece_with_a_large_body(tmp_path: Path) -> None:
    async def answered() -> bytes:
        async with Talk(Settings(tmp_path)) as talk:
            following = post(b"good\n")
            await talk.say(post(b"x" * 100_000) + following[:20])
            await talk.heard(b"\n")
            await talk.say(following[20:])
            return await talk.heard(b"\n")

    assert uvloop.run(answered()).endswith(b"pos,0.731059\n")


def test_headers_after_the_last_chunk_do_not_count(client: socket.socket) -> None:
    chunks = b"4\r\ngood\r\n0\r\nContent-Type: image/png\r\nX-Request-Id: late\r\n\r\n"
    client.sendall(HEAD + b"X-Request-Id: early\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert b"X-Request-Id: early\r\n" in received(client, b"pos,0.731059\n")


def test_an_answer_to_head_has_no_body(client: socket.socket) -> None:
    client.sendall(b"HEAD /ping HTTP/1.1\r\nHost: x\r\n\r\n" + post(b"good\n"))
    first, second, _ = received(client, b"pos,0.731059\n").split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 405 ")
    assert second.startswith(b"HTTP/1.1 200 ")


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize(
    "body",
    [b"Content-Length: 5\r\n\r\ngood\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\ngood\n\r\n0\r\n\r\n"],
    ids=["length", "chunks"],
)
def test_a_request_that_offers_another_protocol_keeps_its_body(
    client: socket.socket, body: bytes, pieces: int
) -> None:
    """As Java's HttpClient sends its first request: the answer was "the request holds no row"."""
    request = HEAD + OFFER + body
    size = -(-len(request) // pieces)
    for start in range(0, len(request), size):
        client.sendall(request[start : start + size])
    first = received(client, b"pos,0.731059\n")
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    client.sendall(post(b"good\n"))
    assert received(client, b"pos,0.731059\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_ping_that_offers_another_protocol_is_answered_in_http_1(client: socket.socket) -> None:
    client.sendall(
        b"GET /ping HTTP/1.1\r\nHost: x\r\n" + OFFER.replace(b"Upgrade,", b"close, Upgrade,") + b"\r\n"
    )
    answer = received(client)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in answer


def test_a_client_that_never_reads_its_last_answer_is_closed(tmp_path: Path) -> None:
    async def run() -> None:
        clock = Clock()
        async with Talk(Settings(tmp_path, stalled_seconds=10), 4096, clock) as talk:
            # The answer repeats it: more than the socket takes, less than pauses writing.
            await talk.say(b"GET /%b HTTP/1.1\r\nConnection: close\r\n\r\n" % (b"x" * 40_000))
            await until(lambda: talk.connection.transport.is_closing())
            clock.now = 9
            talk.connection.check()
            await asyncio.sleep(0.05)
            assert talk.worker.connections
            clock.now = 11
            talk.connection.check()
            await until(lambda: not talk.worker.connections)

    uvloop.run(run())


@pytest.mark.parametrize(
    ("stalled", "whole", "pause", "sent", "reason"),
    [
        (0.2, 60, 1.0, post(b"good\n"), "the request stalled for 0.2 s"),
        (60, 0.2, 0.02, post(b"x" * 500), "the request did not arrive within 0.2 s"),
        (60, 0.2, 0.02, b"POST " + b"/" * 500, "the request did not arrive within 0.2 s"),
    ],
)
def test_a_request_that_does_not_arrive_in_time_is_refused_and_closed(
    tmp_path: Path, stalled: float, whole: float, pause: float, sent: bytes, reason: str
) -> None:
    async def answer() -> tuple[bytes, int]:
        settings = Settings(tmp_path, stalled_seconds=stalled, request_seconds=whole)
        async with Talk(settings) as talk:
            trickle = asyncio.ensure_future(talk.trickle(sent, pause))
            answer = await talk.heard()
            trickle.cancel()
            return answer, talk.worker.admission.in_work

    answered, inside = uvloop.run(answer())
    assert answered.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert answered.endswith(b"Connection: close\r\n\r\n" + orjson.dumps({"error": reason}))
    assert inside == 0


def test_a_request_that_waits_for_the_answer_before_it_is_not_late(tmp_path: Path) -> None:
    async def answered() -> bytes:
        clock, model = Clock(), Noting()
        settings = Settings(tmp_path, stalled_seconds=10, request_seconds=10)
        worker = Worker(Application(model, Metrics(), settings), settings, None)
        async with Talk(worker, clock=clock) as talk:
            following = post(b"good\n")
            await talk.say(post(b"wait\n") + following[:20])
            await until(lambda: "wait" in model.texts)
            clock.now += 60
            talk.connection.check()
            model.may_go_on.set()
            await talk.heard(b"neg,0.5\n")
            clock.now += 9
            talk.connection.check()
            await talk.say(following[20:])
            return await talk.heard(b"\n")

    assert uvloop.run(answered()).endswith(b"pos,0.731059\n")


def test_a_request_is_not_late_while_the_answer_before_it_is_being_taken(tmp_path: Path) -> None:
    async def answered() -> bytes:
        clock = Clock()
        settings = Settings(tmp_path, stalled_seconds=60, request_seconds=10)
        async with Talk(settings, 4096, clock) as talk:
            following = post(b"good\n")
            await talk.say(post(b"good\n" * 9_999 + b"bad\n") + following[:20])
            await until(lambda: talk.connection.write_blocked)
            clock.now += 50
            talk.connection.check()
            await talk.heard(b"neg,0.731059\n")
            await until(lambda: not talk.connection.write_blocked)
            clock.now += 9
            talk.connection.check()
            await talk.say(following[20:])
            return await talk.heard(b"\n")

    assert uvloop.run(answered()).endswith(b"pos,0.731059\n")


def test_a_client_that_sends_empty_lines_only_is_idle(tmp_path: Path) -> None:
    async def heard() -> bytes:
        async with Talk(Settings(tmp_path, stalled_seconds=0.2, idle_seconds=0.2)) as talk:
            trickle = asyncio.ensure_future(talk.trickle(b"\r\n" * 500, 0.02))
            try:
                return await talk.heard()
            except ConnectionResetError:  # closed on a line that was under way
                return b""
            finally:
                trickle.cancel()

    assert uvloop.run(heard()) == b""


def test_a_request_may_come_byte_by_byte(client: socket.socket) -> None:
    for byte in post(b"good\n"):
        client.sendall(bytes([byte]))
    assert received(client, b"\n").endswith(b"pos,0.731059\n")


def test_connection_close_is_honoured(client: socket.socket) -> None:
    client.sendall(HEAD + b"Connection: close\r\nContent-Length: 4\r\n\r\ngood")
    answer = received(client)
    assert answer.endswith(b"pos,0.731059\n")
    assert b"Connection: close\r\n" in answer


@pytest.mark.parametrize("ends", [socket.socket.close, lambda client: client.shutdown(socket.SHUT_WR)])
def test_what_waits_for_a_client_that_is_gone_is_never_computed(
    tmp_path: Path, ends: Callable[[socket.socket], None]
) -> None:
    async def run() -> tuple[list[str], int]:
        model = Noting()
        settings = Settings(tmp_path, requests=4)
        worker = Worker(Application(model, Metrics(), settings), settings, None)
        async with AsyncExitStack() as stack:
            first, second, third, last = [await stack.enter_async_context(Talk(worker)) for _ in range(4)]
            await first.say(post(b"wait\n"))
            await until(lambda: model.texts == ["wait"])
            for talk in (second, third):
                await talk.say(post(b"never\n"))
            await until(lambda: worker.admission.in_work == 3)
            for talk in (first, second, third):
                ends(talk.client)
            await until(lambda: worker.admission.in_work == 0)
            model.may_go_on.set()
            await last.say(post(b"good\n"))
            await last.heard(b"pos,0.731059\n")
            return model.texts, worker.admission.in_work

    assert uvloop.run(run()) == (["wait", "good"], 0)


def test_a_client_may_disconnect_before_it_reads_its_last_answer(tmp_path: Path) -> None:
    async def run() -> tuple[list[str], bytes]:
        model = Noting()
        settings = Settings(tmp_path)
        application = Application(model, Metrics(), settings)
        worker = Worker(application, settings, None)
        async with Talk(worker) as other, Talk(worker, sent_bytes=4096) as talk:
            await talk.say(post(b"good\n" * 2_000))
            await until(lambda: bool(model.texts) and worker.admission.in_work == 0)
            model.texts.clear()
            application.seconds_per_byte = float("inf")  # requests take long from now on
            await other.say(post(b"wait\n"))
            await until(lambda: model.texts == ["wait"])
            await talk.say(post(b"never\n"))
            await until(lambda: worker.admission.in_work == 2)
            talk.client.shutdown(socket.SHUT_WR)
            await until(lambda: worker.admission.in_work == 1)
            model.may_go_on.set()
            await other.heard(b"neg,0.5\n")
            return model.texts, await talk.heard()

    texts, answer = uvloop.run(run())
    assert texts == ["wait"]
    assert answer.count(b"pos,0.731059\n") == 2_000


def test_a_client_that_was_just_taken_does_not_keep_the_worker(tmp_path: Path) -> None:
    async def run() -> bool:
        model = Noting()
        settings = Settings(tmp_path, drain_seconds=1)
        worker = Worker(Application(model, Metrics(), settings), settings, None)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            running = asyncio.ensure_future(worker.run(listening))
            async with Talk(worker) as busy:
                await busy.say(post(b"wait\n"))
                await until(lambda: model.texts == ["wait"])
                with socket.create_connection(listening.getsockname()):
                    worker.accept(listening)
                    worker.stop.set()
                    await until(lambda: len(worker.connections) == 2 or not worker.connecting)
                    model.may_go_on.set()
                    return await running

    assert uvloop.run(run())


def test_expect_100_continue_is_answered(client: socket.socket) -> None:
    client.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert received(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(b"good")
    assert received(client, b"\n").endswith(b"pos,0.731059\n")


def test_expect_100_continue_is_refused_early(client: socket.socket) -> None:
    client.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n")
    assert received(client).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /ping HTTP/1.1\r\nX: " + b"x" * 70_000, b"431"),
        (HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"400"),
        (HEAD + b"Content-Length: -1\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n", b"400"),
    ],
)
def test_what_is_not_http_is_refused_and_closed(
    server: Server, client: socket.socket, sent: bytes, status: bytes
) -> None:
    client.sendall(sent)
    assert received(client).startswith(b"HTTP/1.1 " + status)
    assert server.metric("serve_requests_in_work") == 0


def test_what_follows_the_last_chunk_has_an_end(server: Server, client: socket.socket) -> None:
    client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\nX: ")
    while server.metric("serve_requests_in_work") != 1:
        pass
    client.sendall(b"x" * 70_000)
    assert received(client).startswith(b"HTTP/1.1 431 ")


def test_a_body_that_is_too_large_is_taken_in_and_refused(server: Server, client: socket.socket) -> None:
    client.sendall(post(b"x" * 2_000_000))
    assert received(client, b'"}').startswith(b"HTTP/1.1 413 ")
    client.sendall(post(b"good\n"))
    assert received(client, b"\n").endswith(b"pos,0.731059\n")


def test_a_client_that_disconnects_releases_everything(server: Server) -> None:
    with server.connect() as gone:
        gone.sendall(HEAD + b"Content-Length: 100000\r\n\r\nhalf")
        while server.metric("serve_requests_in_work") != 1:
            pass
    with server.connect() as gone:
        gone.sendall(post(b"sleep 0.2\n"))
    while server.metric("serve_requests_in_work") != 0:
        pass
    assert server.classify("good").status == 200
