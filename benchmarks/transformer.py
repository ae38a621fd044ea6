"""Compare the training speed of the transformer image with transformers.Trainer and its defaults.

Both fine-tune the same model with random weights on the same rows for one epoch, on this machine's device.
Without a GPU, only `tiny` is trained unless --sizes is set, and the report lists what was not measured.
`tiny` is trained in one thread, since it is too small for several. Tokens per second count the tokens of the
texts without padding, and exclude loading and evaluation. The share of the peak is the number of operations
that the tokens need (6 per weight of the layers, and 12 per layer, unit of width and pair of tokens) relative
to that of a large matrix product, measured on this machine in the precision of the training.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import command, rows
from benchmarks.containers import Containers, Ran
from benchmarks.errors import CommandError
from benchmarks.report import Bound, Report, table
from benchmarks.rows import Row

PEERS = Path(__file__).parent / "peers"
GPU = Path("/dev/nvidia0")
CPU = "CPU"  # the device name that `prepare` prints
SIZES = {"tiny": (64, 2), "distilbert": (768, 6), "bert-base": (768, 12)}  # width, layers
LARGE = ("distilbert", "bert-base")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
MIN_LEAD = 1.0
OURS = {"epochs": "1", "validation_fraction": "0", "log_steps": "100000"}


@dataclass(frozen=True)
class Found:
    """The measurements of a model's trainings.

    Attributes:
        operations: operations per token.
        peak: the device's peak operations per second.
        trainer: tokens per second of transformers.Trainer.
        ours: tokens per second of the image.
    """

    device: str
    parameters: int
    operations: float
    peak: float
    trainer: float
    ours: float


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser("transformer", __doc__)
    result.add_argument("--rows", type=command.positive, default=5000, help="(default: %(default)s)")
    result.add_argument(
        "--sizes",
        nargs="+",
        choices=SIZES,
        default=list(LARGE if GPU.exists() else ("tiny",)),
        help="(default: both large ones with a GPU, else tiny)",
    )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    options = parser().parse_args(arguments)
    texts = rows.load(options.data)[: options.rows]
    report = Report("transformer", f"{len(texts):,} {'real' if options.data else 'generated'} rows")
    environments = Path(".localaws/environments")
    ours, peer = Containers(environments), Containers(environments, PEERS)
    ours.prepare("transformer")
    peer.prepare("trainer")
    lines = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(ours, peer, Path(folder), size, texts)
        report.figures[size] = asdict(found)
        for name, speed in (("transformer", found.ours), ("transformers.Trainer", found.trainer)):
            share = 100 * speed * found.operations / found.peak
            lines.append([size, found.device, name, round(speed), share])
        what = f"{size}: tokens per second as a multiple of transformers.Trainer's"
        report.bounds.append(Bound(what, found.ours / found.trainer, MIN_LEAD, at_least=True))
    print("\n" + table(["model", "device", "training", "tokens per second", "% of peak"], lines))
    report.figures["not measured"] = missing = unmeasured(report.figures)
    print(*(f"Not measured: {what}" for what in missing), sep="\n")
    return report.conclude(options.json)


def unmeasured(figures: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return what the benchmark could not measure on this machine or with these options.

    Args:
        figures: the measurements by model size.
    """
    left_out = [f"a model of the size of {size}" for size in LARGE if size not in figures]
    if any(found["device"] == CPU for found in figures.values()):
        left_out.append(
            "a GPU's tokens per second and share of its peak in bfloat16: this ran on a CPU in float32"
        )
    return left_out


def measure(ours: Containers, peer: Containers, base: Path, size: str, texts: Sequence[Row]) -> Found:
    """Train a model with both and return the measurements."""
    (base / "input/data/train").mkdir(parents=True)
    (base / "input/config").mkdir(parents=True)
    content = "".join(json.dumps({"text": row.text, "label": row.label}) + "\n" for row in texts)
    (base / "input/data/train/rows.jsonl").write_text(content, "utf-8")
    (base / "input/config/hyperparameters.json").write_text(json.dumps(OURS))
    width, layers = SIZES[size]
    threads = {} if size in LARGE else ONE_THREAD
    prepared = peer.run(
        "trainer", ("prepare",), base, {"WIDTH": str(width), "LAYERS": str(layers), **threads}
    )
    speeds = [
        float(printed(containers.run(name, ("train",), base, threads), "train:tokens_per_second"))
        for containers, name in ((peer, "trainer"), (ours, "transformer"))
    ]
    return Found(
        device=printed(prepared, "device:name"),
        parameters=int(printed(prepared, "model:parameters")),
        operations=float(printed(prepared, "model:operations_per_token")),
        peak=float(printed(prepared, "device:operations_per_second")),
        trainer=speeds[0],
        ours=speeds[1],
    )


def printed(ran: Ran, name: str) -> str:
    """Return the last value of a name in a command's output."""
    found = [match[1] for _, line in ran.lines if (match := re.search(rf"{name}=([^;]+);", line))]
    if not found:
        raise CommandError(f"the output contains no value of {name}")
    return found[-1]


if __name__ == "__main__":
    command.run(main)
