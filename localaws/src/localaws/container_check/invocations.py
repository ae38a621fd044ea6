"""Clauses on the responses of `serve` to valid requests."""

from functools import partial

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.connection import Response, run_parallel
from localaws.container_check.endpoint import endpoint, request
from localaws.container_check.errors import Broken, Noted, Unchecked
from localaws.container_check.rows import equivalent, line_type, lines_of, single_row_responses

UNKNOWN_TYPE = "application/x-unheard-of"
OVERLOADED = (429, 503)  # the statuses of a container that rejects requests under overload
CLIENTS = 8
REQUESTS_PER_CLIENT = 4
HEADERS = {"X-Amzn-SageMaker-Custom-Attributes": "check", "X-Amzn-SageMaker-Inference-Id": "1"}


@clause(
    "endpoint.content-types",
    "Responds to POST /invocations for every content type of the sample",
    "Parse the body according to its Content-Type, and return 200 with a body.",
)
def answers_content_types(bench: Bench) -> str:
    """Send each of the sample's requests."""
    server = endpoint(bench)
    if not bench.sample.requests:
        raise Unchecked("the sample has no request.*")
    for content_type, body in bench.sample.requests.items():
        if not server.invoke(body, content_type).body.strip():
            raise Broken(f"the response to {content_type} is empty")
    return ", ".join(bench.sample.requests)


@clause(
    "endpoint.rows",
    "Returns one result per row of a request, in the order of the rows",
    "Return one line per row, and restore the order if rows were sorted or distributed.",
)
def keeps_order(bench: Bench) -> str:
    """A row's result must not depend on the other rows of the request."""
    server, rows, content_type = endpoint(bench), bench.sample.rows(), line_type(bench)
    expected = single_row_responses(bench, server)
    for order in (1, -1):
        lines = lines_of(server.invoke(b"\n".join(rows[::order]), content_type).body, len(rows))
        for number, (found, single) in enumerate(zip(lines, expected[::order], strict=True), 1):
            if not equivalent(found, single):
                raise Broken(f"row {number} of {len(rows)} has another result than in a request of its own")
    if all(equivalent(expected[0], other) for other in expected[1:]):
        raise Noted("all rows of the sample have the same result, so their order cannot be checked")
    return f"{len(rows)} rows"


@clause(
    "endpoint.accept",
    "Handles an unknown Accept header",
    "Return 406 with the supported types, or respond in the type of the request.",
)
def tolerates_unknown_accept(bench: Bench) -> str:
    """SageMaker passes the caller's Accept header on."""
    response = endpoint(bench).request("/invocations", *request(bench), accept=UNKNOWN_TYPE)
    if response.status not in (200, 406):
        raise Broken(f"the response was {response.summary}")
    return f"{response.status}"


@clause(
    "endpoint.keep-alive",
    "Keeps a connection open for the next request and ignores unknown headers",
    "Use HTTP/1.1, and send each response with a Content-Length or in chunks.",
)
def keeps_connections(bench: Bench) -> None:
    """SageMaker adds its own headers and reuses connections."""
    server, (body, content_type) = endpoint(bench), request(bench)
    with server.connection(bench.limits.invocation) as connection:
        for _ in range(2):
            response = connection.request("/invocations", body, {"Content-Type": content_type, **HEADERS})
            if response.status != 200:
                raise Broken(f"the response was {response.summary}")
            if not connection.open:
                raise Broken("it closes the connection after a response")


@clause(
    "endpoint.chunked",
    "Accepts a chunked request without a Content-Length",
    "Read a body with Transfer-Encoding: chunked to its end.",
)
def takes_chunks(bench: Bench) -> None:
    """Streaming clients send chunked requests."""
    server, (body, content_type) = endpoint(bench), request(bench)
    whole, chunked = server.invoke(body, content_type), server.invoke(body, content_type, chunked=True)
    if not equivalent(whole.body, chunked.body):
        raise Broken(f"the same request has another response if it is chunked: {chunked.summary}")


@clause(
    "endpoint.concurrent",
    f"Serves {CLIENTS} concurrent clients, each with its own response",
    "Store nothing of a request in shared state; reject with 429 or 503 requests that would take too long.",
)
def serves_concurrent_clients(bench: Bench) -> str:
    """No client may receive another client's response or wait without end."""
    server, rows, content_type = endpoint(bench), bench.sample.rows(), line_type(bench)
    expected = single_row_responses(bench, server)
    numbers = [number % len(rows) for number in range(CLIENTS)]
    total, rejected = CLIENTS * REQUESTS_PER_CLIENT, 0
    for _ in range(REQUESTS_PER_CLIENT):
        responses = run_parallel(
            [partial(server.request, "/invocations", rows[n], content_type) for n in numbers]
        )
        rejected += sum(
            _rejected(response, expected[n]) for n, response in zip(numbers, responses, strict=True)
        )
    if rejected == total:
        raise Broken("every request was rejected")
    return f"{rejected} of {total} rejected" if rejected else f"{total} requests"


CLAUSES = (
    answers_content_types,
    keeps_order,
    tolerates_unknown_accept,
    keeps_connections,
    takes_chunks,
    serves_concurrent_clients,
)


def _rejected(response: Response | Broken, expected: bytes) -> bool:
    """Return whether a concurrent request was rejected because of overload.

    Raises:
        Broken: there was no response, or it differs from the response without concurrency.
    """
    if isinstance(response, Broken):
        raise response
    if response.status in OVERLOADED:
        return True
    if response.status != 200 or not equivalent(response.body.rstrip(), expected):
        raise Broken(f"a request has another response under concurrency: {response.summary}")
    return False
