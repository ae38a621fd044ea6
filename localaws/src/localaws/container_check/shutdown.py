"""What holds of `serve` when it is to end."""

import threading
import time
from contextlib import ExitStack
from functools import partial

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.connection import Answer, run_parallel
from localaws.container_check.endpoint import endpoint
from localaws.container_check.errors import Broken
from localaws.container_check.rows import body_for, line_type

WORK_SECONDS = 2.0
BEGIN_SECONDS = 0.5  # until the container has surely begun to read what was sent
REQUESTS = 2


@clause(
    "shutdown.sigterm",
    "Answers what is under way after SIGTERM, and ends with 0 within 30 s",
    "Let `serve` itself get the signal (exec, no shell around it), stop listening, finish, exit.",
)
def drains(bench: Bench) -> str:
    """Every deployment ends a server that is at work."""
    server = endpoint(bench)
    body, headers = body_for(bench, server, WORK_SECONDS), {"Content-Type": line_type(bench)}
    answers: list[Answer | Broken] = []
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connection(bench.limits.answer)) for _ in range(REQUESTS)]
        for connection in connections:  # once it was answered, it has surely been accepted
            connection.ask("/invocations", bench.sample.rows()[0], headers)
        for connection in connections:
            connection.send("/invocations", body, headers)
        receive = [partial(connection.receive, "/invocations") for connection in connections]
        work = threading.Thread(target=lambda: answers.extend(run_parallel(receive)))
        work.start()
        time.sleep(BEGIN_SECONDS)
        code, seconds = server.stop(bench.limits.serving_stop)
        work.join()
    if seconds >= bench.limits.serving_stop:
        raise Broken(f"it went on for {bench.limits.serving_stop:g} s, and was killed")
    for answer in answers:
        if isinstance(answer, Broken):
            raise Broken(f"a request under way was lost: {answer}")
        if answer.status != 200:
            raise Broken(f"a request under way was answered {answer.summary}")
    if code != 0:
        raise Broken(f"it ended with exit code {code}")
    return f"after {seconds:.1f} s"


CLAUSES = (drains,)
