"""Clauses on the responses of `serve` to invalid requests."""

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.endpoint import endpoint
from localaws.container_check.errors import Broken, Noted, Unchecked
from localaws.container_check.invocations import UNKNOWN_TYPE
from localaws.container_check.limits import MB
from localaws.container_check.rows import body_of, count_in, line_type
from localaws.container_check.server import Server

NOT_UTF8 = b"\xff\xfe\x00 not text\n"
TRUNCATED = {"application/jsonlines": b'{"half": ', "application/json": b'{"half": '}
REMEDY = "Return 400 with a sentence that names the line and its error."


@clause("refusal.empty", "Rejects an empty body with 4xx and a message", REMEDY)
def refuses_empty(bench: Bench) -> str:
    """Send a request without rows."""
    return _refuses(bench, {"an empty body": (next(iter(_types(bench))), b"")})


@clause(
    "refusal.malformed", "Rejects a body that does not match its Content-Type with 4xx and a message", REMEDY
)
def refuses_malformed(bench: Bench) -> str:
    """Send a truncated object, bytes that are not UTF-8, and the sample's invalid bodies."""
    types = _types(bench)
    bodies = {f"a truncated object as {name}": (name, TRUNCATED[name]) for name in types if name in TRUNCATED}
    bodies |= {f"invalid UTF-8 as {name}": (name, NOT_UTF8) for name in types}
    return _refuses(bench, {**bodies, **bench.sample.refused})


@clause(
    "refusal.content-type",
    "Rejects an unknown Content-Type with 4xx and a message",
    "Return 415 with the supported types.",
)
def refuses_content_type(bench: Bench) -> str:
    """A container that guesses the type would return a meaningless result."""
    body = next(iter(_types(bench).values()))
    return _refuses(bench, {UNKNOWN_TYPE: (UNKNOWN_TYPE, body)})


@clause(
    "refusal.too-large",
    "Rejects a body above SageMaker's size limit with 4xx and a message",
    "Stop reading at the limit and return 413 with the limit.",
)
def refuses_too_large(bench: Bench) -> str:
    """A single request must not exhaust the server's memory."""
    rows, size = bench.sample.rows(), (bench.limits.request_mb + 1) * MB
    content_type = line_type(bench)
    return _refuses(
        bench,
        {f"{size // MB} MB": (content_type, body_of(rows, count_in(rows, size)))},
        unless=f"it accepts {size // MB} MB; an endpoint passes on at most {bench.limits.request_mb} MB",
    )


CLAUSES = (refuses_empty, refuses_malformed, refuses_content_type, refuses_too_large)


def _types(bench: Bench) -> dict[str, bytes]:
    if not bench.sample.requests:
        raise Unchecked("the sample has no request.*")
    return dict(bench.sample.requests)


def _refuses(bench: Bench, bodies: dict[str, tuple[str, bytes]], unless: str = "") -> str:
    """Send invalid bodies, by description, and return the summary of the last rejection.

    Raises:
        Broken: a body is not rejected, or without a message, or the server fails afterwards.
        Noted: a body is accepted and `unless` is not empty; `unless` is the message.
    """
    server = endpoint(bench)
    summary = ""
    for what, (content_type, body) in bodies.items():
        summary = refusal(server, what, body, content_type, unless)
        _check_still_serving(bench, server, what)
    return summary


def refusal(
    server: Server, what: str, body: bytes, content_type: str, unless: str = "", timeout: float | None = None
) -> str:
    """Send an invalid body and return the status and message of its rejection.

    Raises:
        Broken: the body is not rejected, or without a message.
        Noted: the body is accepted and `unless` is not empty; `unless` is the message.
    """
    response = server.request("/invocations", body, content_type, timeout=timeout)
    if response.status == 200 and unless:
        raise Noted(unless)
    if not 400 <= response.status < 500:
        raise Broken(f"the response to {what} was {response.summary}")
    if not response.body.strip():
        raise Broken(f"the response to {what} was {response.status} without a message")
    return response.summary


def _check_still_serving(bench: Bench, server: Server, after: str) -> None:
    content_type, body = next(iter(bench.sample.requests.items()))
    try:
        server.invoke(body, content_type)
    except Broken as finding:
        raise Broken(f"after {after}, a valid request fails: {finding}") from finding
