"""Select the clauses that apply to a container."""

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
# The shutdown clause must be last: it stops the server that the others use.
SERVING = (
    *endpoint.CLAUSES,
    *invocations.CLAUSES,
    *traces.CLAUSES,
    *refusals.CLAUSES,
    *transform.CLAUSES,
    *shutdown.CLAUSES,
)


def applicable(bench: Bench) -> tuple[Clause, ...]:
    """Return the clauses for the image's folder and commands."""
    found: tuple[Clause, ...] = folder.CLAUSES if bench.folder else ()
    if bench.has("train"):
        found += TRAINING
    if bench.has("serve"):
        found += SERVING
    if not bench.has("train") and not bench.has("serve"):
        found += tuple(map(processing.of, sorted(bench.commands or ())))
    return found
