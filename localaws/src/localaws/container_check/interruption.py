"""Clauses on `train` when it is interrupted, as on a spot instance."""

import time
from dataclasses import dataclass

from localaws.container_check.bench import TRAINING_ENVIRONMENT, Bench
from localaws.container_check.clauses import clause
from localaws.container_check.errors import Broken, Noted, Unchecked
from localaws.container_check.limits import STARTING_SECONDS
from localaws.container_check.opt_ml import OptMl, has_files, seal
from localaws.sagemaker.jobs.metrics import Metrics

POLL_SECONDS = 0.02
# The latest time of the interruption, as a multiple of the usual training time:
SHORT_TRAINING_FACTOR = 0.6  # without interrupted.json
LONG_TRAINING_FACTOR = 2.0  # with the longer training of interrupted.json
TOO_SHORT = "the training ended before the interruption: add an interrupted.json with a longer training"


@dataclass(frozen=True)
class Interruption:
    """A training that received SIGTERM.

    Attributes:
        code: its exit code; None if it ended before SIGTERM.
        seconds: the time from SIGTERM to its end.
    """

    opt_ml: OptMl
    code: int | None
    seconds: float


@clause(
    "training.sigterm",
    "Exits within 120 s of SIGTERM",
    "Handle SIGTERM: a container's first process ignores it by default, and a shell does not pass it on.",
)
def ends_on_sigterm(bench: Bench) -> str:
    """SageMaker sends SIGKILL 120 s after SIGTERM."""
    interruption, limit = _interruption(bench), bench.limits.training_stop
    if interruption.code is None:
        raise Noted(TOO_SHORT)
    if interruption.seconds >= limit:
        raise Broken(f"it was still running after {limit:g} s and was killed")
    return f"after {interruption.seconds:.1f} s, exit code {interruption.code}"


@clause(
    "training.resume",
    "Resumes from its checkpoint when it is restarted",
    "Write each checkpoint to a temporary file and rename it, so that none is incomplete.",
)
def finishes_from_checkpoint(bench: Bench) -> str:
    """SageMaker restores only the checkpoints on the next instance."""
    interruption = _interruption(bench)
    if interruption.code is None:
        raise Unchecked(TOO_SHORT)
    if not has_files(interruption.opt_ml.checkpoints):
        raise Unchecked("it writes no checkpoint")
    again = bench.opt_ml(bench.sample.interrupted)
    again.copy_checkpoints(interruption.opt_ml)
    finished = bench.train(again)
    if finished.code != 0:
        raise Broken(f"exit code {finished.code}: {again.failure or finished.last_output}")
    if not has_files(again.model):
        raise Broken("it exited with 0, but model/ is empty")
    return f"{finished.seconds:.1f} s"


CLAUSES = (ends_on_sigterm, finishes_from_checkpoint)


def _interruption(bench: Bench) -> Interruption:
    return bench.cached("interruption", lambda: _interrupt(bench))


def _interrupt(bench: Bench) -> Interruption:
    """Start a training and send SIGTERM at the first checkpoint or metric, or after a time limit."""
    has_long_training = bench.sample.interrupted != bench.sample.hyperparameters
    usual = bench.usual_seconds
    seconds = (
        usual * LONG_TRAINING_FACTOR + STARTING_SECONDS
        if has_long_training
        else usual * SHORT_TRAINING_FACTOR
    )
    opt_ml = bench.opt_ml(bench.sample.interrupted)
    seal(opt_ml.input)
    metrics = Metrics(bench.sample.metrics)
    container = bench.start(opt_ml, "train", TRAINING_ENVIRONMENT, metrics.read)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not (has_files(opt_ml.checkpoints) or metrics.final()):
        if container.wait(POLL_SECONDS) is not None:
            return Interruption(opt_ml, None, 0)
    started = time.monotonic()
    code = container.stop(bench.limits.training_stop)
    return Interruption(opt_ml, code, time.monotonic() - started)
