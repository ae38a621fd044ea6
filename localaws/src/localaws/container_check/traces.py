"""What `serve` leaves behind once it was asked."""

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.endpoint import endpoint, started
from localaws.container_check.errors import Broken
from localaws.container_check.opt_ml import contents


@clause(
    "endpoint.model-untouched",
    "Leaves model/ as it was, which cannot be written to",
    "Write caches to the system's temporary folder.",
)
def leaves_model(bench: Bench) -> None:
    """An endpoint's instances share nothing, and the model is read only."""
    server = endpoint(bench)
    if contents(server.opt_ml.model) != contents(bench.trained.opt_ml.model):
        raise Broken("model/ has changed since it was trained")
    if unexpected_files := server.opt_ml.unexpected_files():
        raise Broken(f"it wrote {', '.join(unexpected_files)} beside model/")


@clause(
    "endpoint.output",
    "Prints to stdout or stderr",
    "Log to stdout, unbuffered: it is all that CloudWatch gets to see.",
)
def prints(bench: Bench) -> str:
    """What one has when something goes wrong."""
    lines = [line for line in (*bench.trained.lines, *started(bench).lines) if line.strip()]
    if not lines:
        raise Broken("neither `train` nor `serve` has printed a line")
    return f"{len(lines):,} lines"


CLAUSES = (leaves_model, prints)
