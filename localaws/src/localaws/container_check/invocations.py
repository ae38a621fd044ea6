"""What holds of `serve` when it is asked."""

from functools import partial

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.connection import Answer, run_parallel
from localaws.container_check.endpoint import endpoint, request
from localaws.container_check.errors import Broken, Noted, Unchecked
from localaws.container_check.rows import alone, line_type, lines_of, same

UNKNOWN_TYPE = "application/x-unheard-of"
BUSY = (429, 503)  # how a container refuses more work than it can do
CLIENTS = 8
REQUESTS_PER_CLIENT = 4  # of each client
HEADERS = {"X-Amzn-SageMaker-Custom-Attributes": "check", "X-Amzn-SageMaker-Inference-Id": "1"}


@clause(
    "endpoint.content-types",
    "Answers POST /invocations in every content type of the sample",
    "Read the body as its Content-Type says, and answer 200 with a body.",
)
def answers_content_types(bench: Bench) -> str:
    """Of the sample's requests."""
    server = endpoint(bench)
    if not bench.sample.requests:
        raise Unchecked("the sample has no request.*")
    for content_type, body in bench.sample.requests.items():
        if not server.invoke(body, content_type).body.strip():
            raise Broken(f"the answer to {content_type} is empty")
    return ", ".join(bench.sample.requests)


@clause(
    "endpoint.rows",
    "Answers every row of a request, in the rows' order",
    "Give one line for each row, and put answers back in order where rows were sorted or spread.",
)
def keeps_order(bench: Bench) -> str:
    """A row's answer among others is the one that it gets alone."""
    server, rows, content_type = endpoint(bench), bench.sample.rows(), line_type(bench)
    expected = alone(bench, server)
    for order in (1, -1):
        lines = lines_of(server.invoke(b"\n".join(rows[::order]), content_type).body, len(rows))
        for number, (found, wanted) in enumerate(zip(lines, expected[::order], strict=True), 1):
            if not same(found, wanted):
                raise Broken(f"row {number} of {len(rows)} is answered otherwise than alone")
    if all(same(expected[0], other) for other in expected[1:]):
        raise Noted("all rows of the sample get the same answer, whatever their order")
    return f"{len(rows)} rows"


@clause(
    "endpoint.accept",
    "Takes an Accept that it does not know",
    "Answer 406 with the types that are known, or answer in the type of the request.",
)
def bears_unknown_accept(bench: Bench) -> str:
    """SageMaker passes on what the caller accepts."""
    answer = endpoint(bench).ask("/invocations", *request(bench), accept=UNKNOWN_TYPE)
    if answer.status not in (200, 406):
        raise Broken(f"it was answered {answer.summary}")
    return f"{answer.status}"


@clause(
    "endpoint.keep-alive",
    "Keeps a connection for the next request, and passes over headers that it does not know",
    "Speak HTTP/1.1, and send a Content-Length or chunks with each answer.",
)
def keeps_connections(bench: Bench) -> None:
    """SageMaker adds headers of its own, and keeps connections."""
    server, (body, content_type) = endpoint(bench), request(bench)
    with server.connection(bench.limits.answer) as connection:
        for _ in range(2):
            answer = connection.ask("/invocations", body, {"Content-Type": content_type, **HEADERS})
            if answer.status != 200:
                raise Broken(f"it was answered {answer.summary}")
            if not connection.open:
                raise Broken("it closes the connection after an answer")


@clause(
    "endpoint.chunked",
    "Takes a request in chunks, without a Content-Length",
    "Read a body with Transfer-Encoding: chunked to its end.",
)
def takes_chunks(bench: Bench) -> None:
    """What a streaming client sends."""
    server, (body, content_type) = endpoint(bench), request(bench)
    whole, chunked = server.invoke(body, content_type), server.invoke(body, content_type, chunked=True)
    if not same(whole.body, chunked.body):
        raise Broken(f"in chunks the same request is answered otherwise: {chunked.summary}")


@clause(
    "endpoint.concurrent",
    f"Answers {CLIENTS} clients at once, each with its own answer",
    "Keep nothing of a request in shared state; refuse with 429 or 503 what cannot be done in time.",
)
def answers_at_once(bench: Bench) -> str:
    """Never another's answer, never a hang."""
    server, rows, content_type = endpoint(bench), bench.sample.rows(), line_type(bench)
    expected = alone(bench, server)
    numbers = [number % len(rows) for number in range(CLIENTS)]
    busy = 0
    for _ in range(REQUESTS_PER_CLIENT):
        answers = run_parallel([partial(server.ask, "/invocations", rows[n], content_type) for n in numbers])
        busy += sum(_refused(answer, expected[n]) for n, answer in zip(numbers, answers, strict=True))
    if busy == CLIENTS * REQUESTS_PER_CLIENT:
        raise Broken("every request was refused")
    return (
        f"{busy} of {CLIENTS * REQUESTS_PER_CLIENT} refused"
        if busy
        else f"{CLIENTS * REQUESTS_PER_CLIENT} requests"
    )


CLAUSES = (
    answers_content_types,
    keeps_order,
    bears_unknown_accept,
    keeps_connections,
    takes_chunks,
    answers_at_once,
)


def _refused(answer: Answer | Broken, expected: bytes) -> bool:
    """Whether a concurrent request was refused for lack of room.

    Raises:
        Broken: it was not answered, or not as it is alone.
    """
    if isinstance(answer, Broken):
        raise answer
    if answer.status in BUSY:
        return True
    if answer.status != 200 or not same(answer.body.rstrip(), expected):
        raise Broken(f"beside others a request is answered otherwise than alone: {answer.summary}")
    return False
