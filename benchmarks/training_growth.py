"""Measure how training time and memory of `linear` grow with the number of rows.

The default preset is trained on the training rows and on 3 and 10 times as many, with copies that have one
additional random word each. The time must grow about linearly.
"""

import argparse
import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import command, rows
from benchmarks.classifiers import OWN, Bench, Result, split
from benchmarks.growth import exponent
from benchmarks.report import Bound, Report, table

TIMES = (1, 3, 10)
MAX_EXPONENT = 1.1  # of the CPU time as a function of the rows; 1 is linear
MAX_MEGABYTES = 8_590  # 8 GiB
MAX_MODEL_MEGABYTES = 10
WIDTH = 60  # of a bar, in characters


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser("training_growth", __doc__)
    result.add_argument(
        "--times", type=command.positive, nargs="+", default=TIMES, metavar="N", help="two factors or more"
    )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    command_line = parser()
    options = command_line.parse_args(arguments)
    times = sorted(set(options.times))
    if len(times) < 2:
        command_line.error("--times takes two factors or more")
    train, test = split(rows.load(options.data))
    sizes = [len(train) * factor for factor in times]
    kind = "real" if options.data else "generated"
    report = Report("training_growth", f"{' / '.join(f'{size:,}' for size in sizes)} rows, {kind} and copied")
    found: dict[int, Result] = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        bench = Bench(Path(name))
        for size in sizes:
            found[size] = bench.run(OWN[1], rows.replicate(train, size), test)
            print(f"    {size:,} rows: {found[size]}", flush=True)
    conclude(report, found)
    return report.conclude(options.json)


def conclude(report: Report, found: Mapping[int, Result]) -> None:
    """Compare the sizes, which are in ascending order."""
    head = ("rows", "s", "CPU s", "rows/CPU s", "peak MB", "model MB", "accuracy")
    lines = [
        [
            *(f"{size:,}", it.seconds, it.cpu_seconds, round(size / it.cpu_seconds), it.megabytes),
            *(f"{it.model_megabytes:.1f}", f"{it.accuracy:.4f}"),
        ]
        for size, it in found.items()
    ]
    print(f"\n{table(head, lines)}\n\n{curve(found)}\n")
    steps = [(size, it.cpu_seconds) for size, it in found.items()]
    for few, many in itertools.pairwise(steps):
        print(f"CPU time grows by rows^{exponent(few, many):.2f} from {few[0]:,} to {many[0]:,} rows")
    report.figures = {str(size): asdict(it) for size, it in found.items()}
    few, many = steps[0], steps[-1]
    last = found[many[0]]
    report.bounds = [
        Bound(
            f"exponent of the CPU time with {many[0]:,} rows compared with {few[0]:,}",
            exponent(few, many),
            MAX_EXPONENT,
        ),
        Bound(f"peak MB with {many[0]:,} rows", last.megabytes, MAX_MEGABYTES),
        Bound("MB of its model", last.model_megabytes, MAX_MODEL_MEGABYTES),
    ]


def curve(found: Mapping[int, Result]) -> str:
    """Return bars of rows, CPU time and memory per size, relative to the largest size."""
    bars: list[str] = []
    largest = max(found)
    for size, it in found.items():
        shares = (
            ("rows", size / largest),
            ("CPU s", it.cpu_seconds / found[largest].cpu_seconds),
            ("peak MB", it.megabytes / found[largest].megabytes),
        )
        bars += (f"{size:>9,}  {name:7}  {'█' * max(1, round(WIDTH * share))}" for name, share in shares)
    return "\n".join(bars)


if __name__ == "__main__":
    command.run(main)
