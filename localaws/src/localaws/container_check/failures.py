"""What holds of `train` when it cannot train."""

from collections.abc import Callable
from pathlib import Path

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.errors import Broken, Noted
from localaws.container_check.opt_ml import OptMl
from localaws.container_check.training import succeeded
from localaws.sagemaker.api.errors import FAILURE_REASON_CHARACTERS

UNKNOWN_HYPERPARAMETER = "no_such_hyperparameter"
NOISE = b"\x00\xff\xfe{not what the channel promised\r\n" * 20
REMEDY = (
    "Catch the error, write its reason to output/failure (the reason first, 1,024 characters at most), "
    "print it, and exit with 1."
)


@clause("training.unknown-hyperparameter", "Refuses a hyperparameter that it does not know", REMEDY)
def refuses_unknown_hyperparameter(bench: Bench) -> str:
    """A misspelt name would otherwise train with the default."""
    return _fails(bench, bench.opt_ml({**bench.sample.hyperparameters, UNKNOWN_HYPERPARAMETER: "1"}))


@clause("training.bad-data", "Fails on data that it cannot read", REMEDY)
def refuses_bad_data(bench: Bench) -> str:
    """Noise in place of every file of a channel."""
    return _fails(bench, _corrupted(bench, lambda path: path.write_bytes(NOISE)))


@clause("training.empty-channel", "Fails on a channel without a row", REMEDY)
def refuses_empty_channel(bench: Bench) -> str:
    """Files without content."""
    return _fails(bench, _corrupted(bench, lambda path: path.write_bytes(b"")))


@clause("training.missing-channel", "Fails without the channel that it learns from", REMEDY)
def refuses_missing_channel(bench: Bench) -> str:
    """A job that names no such channel."""
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
    """The reason that a training fails with.

    Raises:
        Broken: it does not fail, or gives no reason.
        Noted: the reason is there, and hard to see.
    """
    succeeded(bench)
    ended = bench.train(opt_ml)
    if ended.code is None:
        raise Broken(f"it did not end in {bench.limits.training:g} s")
    if ended.code == 0:
        raise Broken("it exited with 0, as if all were well")
    reason = " ".join(ended.opt_ml.failure.split())
    if not reason:
        raise Broken(f"exit code {ended.code}, and output/failure is missing or empty")
    if reason.startswith("Traceback"):
        raise Noted(
            f"output/failure begins with a traceback: of it, {FAILURE_REASON_CHARACTERS} characters are shown"
        )
    return reason
