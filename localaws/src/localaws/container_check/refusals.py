"""What holds of `serve` when a request cannot be answered."""

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.endpoint import endpoint
from localaws.container_check.errors import Broken, Noted, Unchecked
from localaws.container_check.invocations import UNKNOWN_TYPE
from localaws.container_check.limits import MB
from localaws.container_check.rows import body_of, count_in, line_type
from localaws.container_check.server import Server

NOT_UTF8 = b"\xff\xfe\x00 no text\n"
HALF = {"application/jsonlines": b'{"half": ', "application/json": b'{"half": '}
REMEDY = "Answer 400 with a sentence that names the line and what is wrong with it."


@clause("refusal.empty", "Refuses an empty body: 4xx and a message", REMEDY)
def refuses_empty(bench: Bench) -> str:
    """No row to answer."""
    return _refuses(bench, {"an empty body": (next(iter(_types(bench))), b"")})


@clause(
    "refusal.malformed", "Refuses a body that is not what its Content-Type says: 4xx and a message", REMEDY
)
def refuses_malformed(bench: Bench) -> str:
    """Half an object, bytes that are no text, and the sample's own."""
    types = _types(bench)
    bodies = {f"half an object as {name}": (name, HALF[name]) for name in types if name in HALF}
    bodies |= {f"no UTF-8 as {name}": (name, NOT_UTF8) for name in types}
    return _refuses(bench, {**bodies, **bench.sample.refused})


@clause(
    "refusal.content-type",
    "Refuses a Content-Type that it does not know: 4xx and a message",
    "Answer 415 with the types that are known.",
)
def refuses_content_type(bench: Bench) -> str:
    """Guessing would answer with nonsense."""
    body = next(iter(_types(bench).values()))
    return _refuses(bench, {UNKNOWN_TYPE: (UNKNOWN_TYPE, body)})


@clause(
    "refusal.too-large",
    "Refuses a body larger than SageMaker would pass on: 4xx and a message",
    "Stop reading at the limit, and answer 413 with it.",
)
def refuses_too_large(bench: Bench) -> str:
    """One client's mistake must not take the memory of all."""
    rows, size = bench.sample.rows(), (bench.limits.request_mb + 1) * MB
    content_type = line_type(bench)
    return _refuses(
        bench,
        {f"{size // MB} MB": (content_type, body_of(rows, count_in(rows, size)))},
        unless=f"{size // MB} MB were answered; an endpoint passes on at most {bench.limits.request_mb}",
    )


CLAUSES = (refuses_empty, refuses_malformed, refuses_content_type, refuses_too_large)


def _types(bench: Bench) -> dict[str, bytes]:
    if not bench.sample.requests:
        raise Unchecked("the sample has no request.*")
    return dict(bench.sample.requests)


def _refuses(bench: Bench, bodies: dict[str, tuple[str, bytes]], unless: str = "") -> str:
    """The status and the message of the last refusal.

    Raises:
        Broken: one is not refused, without a message, or the server does not live on.
        Noted: one is answered, and it may be: `unless`.
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
    """The status and the message that a body is refused with.

    Raises:
        Broken: it is not refused, or without a message.
        Noted: it is answered, and it may be: `unless`.
    """
    answer = server.ask("/invocations", body, content_type, timeout=timeout)
    if answer.status == 200 and unless:
        raise Noted(unless)
    if not 400 <= answer.status < 500:
        raise Broken(f"{what} was answered {answer.summary}")
    if not answer.body.strip():
        raise Broken(f"{what} was answered {answer.status} without a message")
    return answer.summary


def _check_still_serving(bench: Bench, server: Server, after: str) -> None:
    content_type, body = next(iter(bench.sample.requests.items()))
    try:
        server.invoke(body, content_type)
    except Broken as finding:
        raise Broken(f"after {after} a good request is no longer answered: {finding}") from finding
