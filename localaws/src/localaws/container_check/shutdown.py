"""The clause on the shutdown of `serve`."""

import threading
import time
from contextlib import ExitStack
from functools import partial

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.connection import Response, run_parallel
from localaws.container_check.endpoint import endpoint
from localaws.container_check.errors import Broken
from localaws.container_check.rows import body_for, line_type

WORK_SECONDS = 2.0
BEGIN_SECONDS = 0.5  # enough for the container to start reading the requests
REQUESTS = 2


@clause(
    "shutdown.sigterm",
    "Completes requests in progress after SIGTERM and exits with 0 within 30 s",
    "Let `serve` itself receive the signal (exec, not a shell), stop listening, complete requests and exit.",
)
def drains(bench: Bench) -> str:
    """Every deployment stops servers while they process requests."""
    server = endpoint(bench)
    body, headers = body_for(bench, server, WORK_SECONDS), {"Content-Type": line_type(bench)}
    responses: list[Response | Broken] = []
    with ExitStack() as stack:
        connections = [
            stack.enter_context(server.connection(bench.limits.invocation)) for _ in range(REQUESTS)
        ]
        for connection in connections:  # a response shows that the server has accepted the connection
            connection.request("/invocations", bench.sample.rows()[0], headers)
        for connection in connections:
            connection.send("/invocations", body, headers)
        receive = [partial(connection.receive, "/invocations") for connection in connections]
        work = threading.Thread(target=lambda: responses.extend(run_parallel(receive)))
        work.start()
        time.sleep(BEGIN_SECONDS)
        code, seconds = server.stop(bench.limits.serving_stop)
        work.join()
    if seconds >= bench.limits.serving_stop:
        raise Broken(f"it was still running after {bench.limits.serving_stop:g} s and was killed")
    for response in responses:
        if isinstance(response, Broken):
            raise Broken(f"a request in progress was lost: {response}")
        if response.status != 200:
            raise Broken(f"the response to a request in progress was {response.summary}")
    if code != 0:
        raise Broken(f"it exited with code {code}")
    return f"after {seconds:.1f} s"


CLAUSES = (drains,)
