"""Which clauses apply to a container."""

from localaws.container_check import (
    endpoint,
    failures,
    folder,
    interruption,
    invocations,
    processing,
    refusals,
    shutdown,
    traces,
    training,
    transform,
)
from localaws.container_check.bench import Bench
from localaws.container_check.clauses import Clause

TRAINING = (*training.CLAUSES, *failures.CLAUSES, *interruption.CLAUSES)
# The last of an endpoint's ends the server that the others ask.
SERVING = (
    *endpoint.CLAUSES,
    *invocations.CLAUSES,
    *traces.CLAUSES,
    *refusals.CLAUSES,
    *transform.CLAUSES,
    *shutdown.CLAUSES,
)


def applicable(bench: Bench) -> tuple[Clause, ...]:
    """The clauses for what the image can do."""
    found: tuple[Clause, ...] = folder.CLAUSES if bench.folder else ()
    if bench.has("train"):
        found += TRAINING
    if bench.has("serve"):
        found += SERVING
    if not bench.has("train") and not bench.has("serve"):
        found += tuple(map(processing.of, sorted(bench.commands or ())))
    return found
