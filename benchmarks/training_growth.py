"""How training time and memory of `linear` grow with the rows.

The default preset over the rows to train with, and over copies of them with a word of noise each: 1, 3 and 10
times as many. Time has to grow about as the rows do.
"""

import argparse
import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import command, rows
from benchmarks.classifiers import OWN, Bench, Result, split
from benchmarks.growth import exponent
from benchmarks.report import Bound, Report, table

TIMES = (1, 3, 10)
MAX_EXPONENT = 1.1  # of processor time by rows; 1 is linear
MAX_MEGABYTES = 8_590  # 8 GiB


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = command.parser("training_growth", __doc__)
    it.add_argument(
        "--times", type=command.positive, nargs="+", default=TIMES, metavar="N", help="two factors or more"
    )
    return it


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit code."""
    it = parser()
    options = it.parse_args(arguments)
    times = sorted(set(options.times))
    if len(times) < 2:
        it.error("--times takes two factors or more")
    train, test = split(rows.load(options.data))
    sizes = [len(train) * factor for factor in times]
    kind = "given" if options.data else "generated"
    report = Report("training_growth", f"{' / '.join(f'{size:,}' for size in sizes)} rows, {kind} and copied")
    found: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        bench = Bench(Path(name))
        for size in sizes:
            found.append(bench.run(OWN[1], rows.replicate(train, size), test))
            print(f"    {size:,} rows: {found[-1]}", flush=True)
    head = ("rows", "s", "CPU s", "rows/CPU s", "peak MB", "model MB", "accuracy")
    lines = [
        [
            *(f"{size:,}", it.seconds, it.cpu_seconds, round(size / it.cpu_seconds), it.megabytes),
            *(f"{it.model_megabytes:.1f}", f"{it.accuracy:.4f}"),
        ]
        for size, it in zip(sizes, found, strict=True)
    ]
    print(f"\n{table(head, lines)}\n")
    steps = list(zip(sizes, (it.cpu_seconds for it in found), strict=True))
    for few, many in itertools.pairwise(steps):
        print(f"CPU time grows by rows^{exponent(few, many):.2f} from {few[0]:,} to {many[0]:,} rows")
    report.figures = {str(size): asdict(it) for size, it in zip(sizes, found, strict=True)}
    report.bounds = [
        Bound(
            f"exponent of CPU time over {sizes[-1]:,} rows against {sizes[0]:,}",
            exponent(steps[0], steps[-1]),
            MAX_EXPONENT,
        ),
        Bound(f"MB over {sizes[-1]:,} rows", found[-1].megabytes, MAX_MEGABYTES),
        Bound("MB of its model", found[-1].model_megabytes, 10),
    ]
    return report.conclude(options.json)


if __name__ == "__main__":
    command.run(main)
