"""Training a transformer: the image's `train` against transformers.Trainer with its defaults.

Both fine-tune the same model with weights by chance on the same rows for one epoch, on this machine's device.
Without a GPU only `tiny` is trained, unless other sizes are asked for, and what was not measured is told.
Both train `tiny` in one thread: it is too small to share. Tokens a second are those of the texts: padding is
not counted, loading and evaluating are left out. A share of the peak is the operations that the tokens need
(6 a weight of the layers, and 12 a layer and unit of width for each pair of tokens) against those of a large
product of matrices, measured here in the precision that the image trains in.
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
CPU = "CPU"  # as `prepare` names it
SIZES = {"tiny": (64, 2), "distilbert": (768, 6), "bert-base": (768, 12)}  # width, layers
LARGE = ("distilbert", "bert-base")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
AHEAD = 1.0
OURS = {"epochs": "1", "validation_fraction": "0", "log_steps": "100000"}


@dataclass(frozen=True)
class Found:
    """What one model's trainings did.

    Attributes:
        operations: that one token needs.
        peak: operations a second of the device.
        trainer: tokens a second of transformers.Trainer.
        ours: those of the image.
    """

    device: str
    parameters: int
    operations: float
    peak: float
    trainer: float
    ours: float


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = command.parser("transformer", __doc__)
    it.add_argument("--rows", type=command.positive, default=5000, help="(default: %(default)s)")
    it.add_argument(
        "--sizes",
        nargs="+",
        choices=SIZES,
        default=list(LARGE if GPU.exists() else ("tiny",)),
        help="(default: both large ones where there is a GPU, else tiny)",
    )
    return it


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit code."""
    options = parser().parse_args(arguments)
    texts = rows.load(options.data)[: options.rows]
    report = Report("transformer", f"{len(texts):,} {'given' if options.data else 'generated'} rows")
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
        what = f"{size}: tokens a second of transformers.Trainer's defaults"
        report.bounds.append(Bound(what, found.ours / found.trainer, AHEAD, at_least=True))
    print("\n" + table(["model", "device", "training", "tokens a second", "% of peak"], lines))
    report.figures["not measured"] = missing = unmeasured(report.figures)
    print(*(f"Not measured: {what}" for what in missing), sep="\n")
    return report.conclude(options.json)


def unmeasured(figures: Mapping[str, Mapping[str, object]]) -> list[str]:
    """What the benchmark is for and this machine or command line left out.

    Args:
        figures: What was found, by the model's size.
    """
    left_out = [f"a model of the size of {size}" for size in LARGE if size not in figures]
    if any(found["device"] == CPU for found in figures.values()):
        left_out.append(
            "a GPU's tokens a second and share of its peak, in bfloat16: this ran on a CPU, in float32"
        )
    return left_out


def measure(ours: Containers, peer: Containers, base: Path, size: str, texts: Sequence[Row]) -> Found:
    """Train one model both ways."""
    (base / "input/data/train").mkdir(parents=True)
    (base / "input/config").mkdir(parents=True)
    content = "".join(json.dumps({"text": row.text, "label": row.label}) + "\n" for row in texts)
    (base / "input/data/train/rows.jsonl").write_text(content, "utf-8")
    (base / "input/config/hyperparameters.json").write_text(json.dumps(OURS))
    width, layers = SIZES[size]
    threads = {} if size in LARGE else ONE_THREAD
    made = peer.run("trainer", ("prepare",), base, {"WIDTH": str(width), "LAYERS": str(layers), **threads})
    speeds = [
        float(told(containers.run(name, ("train",), base, threads), "train:tokens_per_second"))
        for containers, name in ((peer, "trainer"), (ours, "transformer"))
    ]
    return Found(
        device=told(made, "device:name"),
        parameters=int(told(made, "model:parameters")),
        operations=float(told(made, "model:operations_per_token")),
        peak=float(told(made, "device:operations_per_second")),
        trainer=speeds[0],
        ours=speeds[1],
    )


def told(ran: Ran, name: str) -> str:
    """The last value of this name that a command printed."""
    found = [match[1] for _, line in ran.lines if (match := re.search(rf"{name}=([^;]+);", line))]
    if not found:
        raise CommandError(f"nothing was printed of {name}")
    return found[-1]


if __name__ == "__main__":
    command.run(main)
