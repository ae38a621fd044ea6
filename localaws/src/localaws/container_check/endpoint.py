"""Clauses on the health of `serve` behind an endpoint: readiness, and pings under load."""

import threading
from functools import partial

from localaws.container_check.bench import Bench, last_line
from localaws.container_check.clauses import clause
from localaws.container_check.connection import Response, run_parallel
from localaws.container_check.errors import Broken, Noted, Unchecked
from localaws.container_check.limits import STARTING_SECONDS
from localaws.container_check.rows import body_for, line_type
from localaws.container_check.server import Server

DEFAULT_PORT = 8080
LOAD_SECONDS = 5.0  # long enough for two late responses in a row
PING_INTERVAL_SECONDS = 0.1


def endpoint(bench: Bench) -> Server:
    """Return the healthy server that the endpoint clauses share.

    Raises:
        Unchecked: the server is not healthy.
    """
    return started(bench).ready()


def started(bench: Bench) -> Server:
    """Return the server that the endpoint clauses share, healthy or not."""
    return bench.cached("endpoint", bench.serve)


def request(bench: Bench) -> tuple[bytes, str]:
    """Return a valid request body and its content type.

    Raises:
        Unchecked: the sample has no request.
    """
    if not bench.sample.requests:
        raise Unchecked("the sample has no request.*")
    content_type = bench.sample.line_type or next(iter(bench.sample.requests))
    return bench.sample.requests[content_type], content_type


@clause(
    "endpoint.ready",
    "Returns 200 for GET /ping when it can respond to requests, and not before",
    "Load model/ first, then listen on 0.0.0.0 at SAGEMAKER_BIND_TO_PORT (default 8080).",
)
def becomes_ready(bench: Bench) -> str:
    """SageMaker sends the first request immediately after the first 200."""
    server = started(bench)
    if not server.wait_healthy(bench.limits.healthy):
        raise Broken(_not_ready_reason(server, bench))
    seconds = server.seconds
    _invoke(bench, server)
    return f"after {seconds:.1f} s"


@clause(
    "endpoint.no-model",
    "Is not healthy without a model",
    "Let `serve` print what is missing and exit with an error, or return 503 for /ping.",
)
def needs_its_model(bench: Bench) -> str:
    """SageMaker rolls back an unhealthy endpoint, but one that falsely reports health goes live."""
    timeout = endpoint(bench).seconds * 2 + STARTING_SECONDS
    server = bench.serve(model=False)
    if server.wait_healthy(timeout):
        try:
            _invoke(bench, server)
        except Broken as finding:
            raise Broken(f"/ping returns 200, but a request fails: {finding}") from finding
        raise Noted("it responds to requests without a model")
    code = server.container.wait(0)
    return "stays unhealthy" if code is None else f"exit code {code}: {last_line(server.lines)}"


@clause(
    "endpoint.ping",
    "Responds to GET /ping within 2 s, also while it processes requests",
    "Respond to /ping in a separate thread or process that no long computation blocks.",
)
def pings_under_load(bench: Bench) -> str:
    """SageMaker replaces a container after several late responses; a single one may be due to the machine."""
    server = endpoint(bench)
    body, content_type = body_for(bench, server, LOAD_SECONDS), line_type(bench)
    load = threading.Thread(
        target=run_parallel, args=([partial(server.request, "/invocations", body, content_type)] * 2,)
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
    return f"at most {slowest * 1000:.0f} ms" + (
        f", {late} late, each followed by one in time" if late else ""
    )


CLAUSES = (becomes_ready, needs_its_model, pings_under_load)


def _ping(bench: Bench, server: Server) -> float:
    """Return the response time of GET /ping in seconds.

    Raises:
        Broken: there was no response, a late one, or a status other than 200.
    """
    response = server.request("/ping", timeout=bench.limits.ping)
    if response.status != 200 or response.seconds > bench.limits.ping:
        raise Broken(f"under load, GET /ping returned {response.summary} after {response.seconds:.1f} s")
    return response.seconds


def _invoke(bench: Bench, server: Server) -> Response:
    body, content_type = request(bench)
    return server.invoke(body, content_type)


def _not_ready_reason(server: Server, bench: Bench) -> str:
    code = server.container.wait(0)
    if code is not None:
        return f"it exited with code {code}: {last_line(server.lines)}"
    if server.listens_at(DEFAULT_PORT):
        return f"nothing listens on SAGEMAKER_BIND_TO_PORT ({server.port}), but something on {DEFAULT_PORT}"
    last_ping = server.pings[-1] if server.pings and server.pings[-1] else "no response"
    return f"GET /ping returned {last_ping} for {bench.limits.healthy:g} s: {last_line(server.lines)}"
