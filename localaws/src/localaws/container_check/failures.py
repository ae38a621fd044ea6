"""Clauses on `train` with invalid input."""

from collections.abc import Callable
from pathlib import Path

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.errors import Broken, Noted
from localaws.container_check.opt_ml import OptMl
from localaws.container_check.training import succeeded
from localaws.sagemaker.api.errors import FAILURE_REASON_CHARACTERS

UNKNOWN_HYPERPARAMETER = "no_such_hyperparameter"
NOISE = b"\x00\xff\xfe{not a valid row\r\n" * 20
REMEDY = (
    "Catch the error, write the reason to output/failure (reason first, at most 1,024 characters), "
    "print it and exit with 1."
)


@clause("training.unknown-hyperparameter", "Rejects an unknown hyperparameter", REMEDY)
def refuses_unknown_hyperparameter(bench: Bench) -> str:
    """Otherwise, a misspelled name would train with the default value."""
    return _fails(bench, bench.opt_ml({**bench.sample.hyperparameters, UNKNOWN_HYPERPARAMETER: "1"}))


@clause("training.bad-data", "Fails on unreadable data", REMEDY)
def refuses_bad_data(bench: Bench) -> str:
    """Replace the content of every file of a channel by noise."""
    return _fails(bench, _corrupted(bench, lambda path: path.write_bytes(NOISE)))


@clause("training.empty-channel", "Fails on a channel without rows", REMEDY)
def refuses_empty_channel(bench: Bench) -> str:
    """Replace every file of a channel by an empty one."""
    return _fails(bench, _corrupted(bench, lambda path: path.write_bytes(b"")))


@clause("training.missing-channel", "Fails without its training channel", REMEDY)
def refuses_missing_channel(bench: Bench) -> str:
    """Run a job without the channel."""
    sample = bench.sample
    others = {name: folder for name, folder in sample.channels.items() if name != sample.corrupted_channel}
    return _fails(bench, bench.opt_ml(channels=others))


CLAUSES = (
    refuses_unknown_hyperparameter,
    refuses_bad_data,
    refuses_empty_channel,
    refuses_missing_channel,
)


def _corrupted(bench: Bench, corrupt: Callable[[Path], object]) -> OptMl:
    opt_ml = bench.opt_ml()
    for path in (opt_ml.input / "data" / bench.sample.corrupted_channel).rglob("*"):
        if path.is_file():
            corrupt(path)
    return opt_ml


def _fails(bench: Bench, opt_ml: OptMl) -> str:
    """Run a training that must fail and return the reason in output/failure.

    Raises:
        Broken: the training does not fail, or writes no reason.
        Noted: the reason begins with a traceback.
    """
    succeeded(bench)
    ended = bench.train(opt_ml)
    if ended.code is None:
        raise Broken(f"it did not exit within {bench.limits.training:g} s")
    if ended.code == 0:
        raise Broken("it exited with 0, as if it had succeeded")
    reason = " ".join(ended.opt_ml.failure.split())
    if not reason:
        raise Broken(f"exit code {ended.code}, but output/failure is missing or empty")
    if reason.startswith("Traceback"):
        raise Noted(
            "output/failure begins with a traceback, but SageMaker only shows its first "
            f"{FAILURE_REASON_CHARACTERS} characters"
        )
    return reason
