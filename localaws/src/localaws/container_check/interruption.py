"""What holds of `train` when it is interrupted, as a spot instance is."""

import time
from dataclasses import dataclass

from localaws.container_check.bench import TRAINING_ENVIRONMENT, Bench
from localaws.container_check.clauses import clause
from localaws.container_check.errors import Broken, Noted, Unchecked
from localaws.container_check.limits import STARTING_SECONDS
from localaws.container_check.opt_ml import OptMl, has_files, seal
from localaws.sagemaker.jobs.metrics import Metrics

LOOK_SECONDS = 0.02
# Of the time that the ordinary training took: when an interruption comes at the latest.
USUAL_SHARE = 0.6
LONG_TRAINING = 2.0  # where the sample's hyperparameters make it last
TOO_SHORT = "training was over before it could be interrupted: let the sample's interrupted.json make it last"


@dataclass(frozen=True)
class Interruption:
    """A training that got SIGTERM.

    Attributes:
        code: its exit code; None if it had ended before.
        seconds: from SIGTERM to its end.
    """

    opt_ml: OptMl
    code: int | None
    seconds: float


@clause(
    "training.sigterm",
    "Ends within 120 s of SIGTERM",
    "Handle SIGTERM: without a handler it does nothing to a container's first process, nor behind a shell.",
)
def ends_on_sigterm(bench: Bench) -> str:
    """Two minutes are what a spot instance has left."""
    interruption, limit = _interruption(bench), bench.limits.training_stop
    if interruption.code is None:
        raise Noted(TOO_SHORT)
    if interruption.seconds >= limit:
        raise Broken(f"it went on for {limit:g} s, and was killed")
    return f"after {interruption.seconds:.1f} s, with {interruption.code}"


@clause(
    "training.resume",
    "Finishes from its checkpoint when it is started again",
    "Write a checkpoint aside and rename it, so that none is read half-written, and go on from the last.",
)
def finishes_from_checkpoint(bench: Bench) -> str:
    """SageMaker brings the checkpoints to the next machine, and nothing else."""
    interruption = _interruption(bench)
    if interruption.code is None:
        raise Unchecked(TOO_SHORT)
    if not has_files(interruption.opt_ml.checkpoints):
        raise Unchecked("it writes no checkpoint")
    again = bench.opt_ml(bench.sample.interrupted)
    again.take_checkpoints(interruption.opt_ml)
    finished = bench.train(again)
    if finished.code != 0:
        raise Broken(f"exit code {finished.code}: {again.failure or finished.last_output}")
    if not has_files(again.model):
        raise Broken("it exited with 0, and model/ is empty")
    return f"{finished.seconds:.1f} s"


CLAUSES = (ends_on_sigterm, finishes_from_checkpoint)


def _interruption(bench: Bench) -> Interruption:
    return bench.once("interruption", lambda: _interrupt(bench))


def _interrupt(bench: Bench) -> Interruption:
    """Train until there is a checkpoint or a metric, or there should be, or it has ended; then SIGTERM."""
    lasts = bench.sample.interrupted != bench.sample.hyperparameters
    usual = bench.usual_seconds
    seconds = usual * LONG_TRAINING + STARTING_SECONDS if lasts else usual * USUAL_SHARE
    opt_ml = bench.opt_ml(bench.sample.interrupted)
    seal(opt_ml.input)
    metrics = Metrics(bench.sample.metrics)
    container = bench.start(opt_ml, "train", TRAINING_ENVIRONMENT, metrics.read)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not (has_files(opt_ml.checkpoints) or metrics.final()):
        if container.wait(LOOK_SECONDS) is not None:
            return Interruption(opt_ml, None, 0)
    started = time.monotonic()
    code = container.stop(bench.limits.training_stop)
    return Interruption(opt_ml, code, time.monotonic() - started)
