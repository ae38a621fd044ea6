"""What holds of `serve` behind an endpoint: when it is ready, and that it stays so."""

import threading
from functools import partial

from localaws.container_check.bench import Bench, last_words
from localaws.container_check.clauses import clause
from localaws.container_check.connection import Answer, run_parallel
from localaws.container_check.errors import Broken, Noted, Unchecked
from localaws.container_check.limits import STARTING_SECONDS
from localaws.container_check.rows import body_for, line_type
from localaws.container_check.server import Server

DEFAULT_PORT = 8080
LOAD_SECONDS = 5.0  # in which two answers in a row can be late
PING_INTERVAL_SECONDS = 0.1


def endpoint(bench: Bench) -> Server:
    """The healthy server that these clauses ask, one after the other."""
    return started(bench).ready()


def started(bench: Bench) -> Server:
    """The same, healthy or not."""
    return bench.once("endpoint", bench.serve)


def request(bench: Bench) -> tuple[bytes, str]:
    """A request that can be answered, and its content type.

    Raises:
        Unchecked: the sample has none.
    """
    if not bench.sample.requests:
        raise Unchecked("the sample has no request.*")
    content_type = bench.sample.line_type or next(iter(bench.sample.requests))
    return bench.sample.requests[content_type], content_type


@clause(
    "endpoint.ready",
    "Answers GET /ping with 200 once it can answer a request, and not before",
    "Load model/ first, then listen on 0.0.0.0 at SAGEMAKER_BIND_TO_PORT (8080 where it is not set).",
)
def becomes_ready(bench: Bench) -> str:
    """The first 200 is when SageMaker sends the first request."""
    server = started(bench)
    if not server.wait_healthy(bench.limits.healthy):
        raise Broken(_not_ready_reason(server, bench))
    seconds = server.seconds
    _good(bench, server)
    return f"after {seconds:.1f} s"


@clause(
    "endpoint.no-model",
    "Does not pretend to be healthy without a model",
    "Let `serve` print what it misses and exit with an error, or answer /ping with 503.",
)
def needs_its_model(bench: Bench) -> str:
    """An endpoint that is never healthy is rolled back; one that only seems so goes live."""
    patience = endpoint(bench).seconds * 2 + STARTING_SECONDS
    server = bench.serve(model=False)
    if server.wait_healthy(patience):
        try:
            _good(bench, server)
        except Broken as finding:
            raise Broken(f"/ping answers 200, and then: {finding}") from finding
        raise Noted("it answers requests without any model")
    code = server.container.wait(0)
    return "stays unhealthy" if code is None else f"exit code {code}: {last_words(server.lines)}"


@clause(
    "endpoint.ping",
    "Answers GET /ping within 2 s, also while it works on requests",
    "Answer /ping from a thread or process of its own, which no long computation keeps waiting.",
)
def pings_under_load(bench: Bench) -> str:
    """A few late answers, and SageMaker replaces the container; a single one may be the machine's doing."""
    server = endpoint(bench)
    body, content_type = body_for(bench, server, LOAD_SECONDS), line_type(bench)
    load = threading.Thread(
        target=run_parallel, args=([partial(server.ask, "/invocations", body, content_type)] * 2,)
    )
    load.start()
    slowest, late = 0.0, 0
    try:
        while load.is_alive():
            try:
                seconds = _ping(bench, server)
            except Broken:
                late, seconds = late + 1, _ping(bench, server)
            slowest = max(slowest, seconds)
            load.join(PING_INTERVAL_SECONDS)
    finally:
        load.join()
    return f"{slowest * 1000:.0f} ms at most" + (f", {late} late and the next in time" if late else "")


CLAUSES = (becomes_ready, needs_its_model, pings_under_load)


def _ping(bench: Bench, server: Server) -> float:
    """The seconds until it was answered.

    Raises:
        Broken: it was not, or late, or not with 200.
    """
    answer = server.ask("/ping", timeout=bench.limits.ping)
    if answer.status != 200 or answer.seconds > bench.limits.ping:
        raise Broken(f"under load it was answered {answer.summary} after {answer.seconds:.1f} s")
    return answer.seconds


def _good(bench: Bench, server: Server) -> Answer:
    body, content_type = request(bench)
    return server.invoke(body, content_type)


def _not_ready_reason(server: Server, bench: Bench) -> str:
    code = server.container.wait(0)
    if code is not None:
        return f"it ended with exit code {code}: {last_words(server.lines)}"
    if server.listens_at(DEFAULT_PORT):
        return f"nothing answers at SAGEMAKER_BIND_TO_PORT ({server.port}); something does at {DEFAULT_PORT}"
    last_ping = server.pings[-1] if server.pings and server.pings[-1] else "nothing"
    return f"GET /ping was answered {last_ping} for {bench.limits.healthy:g} s: {last_words(server.lines)}"
