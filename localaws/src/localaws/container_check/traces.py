"""Clauses on the files and the output of `serve` after requests."""

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.endpoint import endpoint, started
from localaws.container_check.errors import Broken
from localaws.container_check.opt_ml import contents


@clause(
    "endpoint.model-untouched",
    "Does not change model/, which is read-only",
    "Write caches to the system's temporary folder.",
)
def leaves_model(bench: Bench) -> None:
    """The instances of an endpoint share nothing, and the model is read-only."""
    server = endpoint(bench)
    if contents(server.opt_ml.model) != contents(bench.trained.opt_ml.model):
        raise Broken("model/ has changed since the training")
    if unexpected_files := server.opt_ml.unexpected_files():
        raise Broken(f"it wrote outside model/: {', '.join(unexpected_files)}")


@clause(
    "endpoint.output",
    "Prints to stdout or stderr",
    "Log to stdout without buffering: CloudWatch receives nothing else.",
)
def prints(bench: Bench) -> str:
    """The output is the only source for finding the cause of a failure."""
    lines = [line for line in (*bench.trained.lines, *started(bench).lines) if line.strip()]
    if not lines:
        raise Broken("neither `train` nor `serve` printed a line")
    return f"{len(lines):,} lines"


CLAUSES = (leaves_model, prints)
