"""Measure how time and memory of `ingest` and `create_dataset` grow with the number of rows.

Both commands run with increasing numbers of rows: the data, then copies of it with new IDs and one additional
random word each. Each size runs on a new localaws, to measure its memory too. Memory is the peak of the
process (VmHWM). The time of Athena's UNLOAD for `create_dataset` is reported separately, since it is part of
localaws and not of the command. The peer is the same command with the fewest rows: time must grow about
linearly, and memory hardly at all.
"""

import argparse
import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import monotonic

from benchmarks import command, job, local_aws, rows
from benchmarks.containers import Containers
from benchmarks.definition import dataset_query
from benchmarks.local_aws import LocalAws
from benchmarks.report import Bound, Report, ratio, table
from benchmarks.rows import Row
from localaws.testing import allow

SIZES = (25_000, 100_000, 400_000)
AS_OF = job.EVENT_TIME
MAX_EXPONENT = (
    1.1  # of the time as a function of the rows, from the smallest to the largest size; 1 is linear
)
MAX_MEMORY_GROWTH = 1.5  # from the smallest to the largest size, by default for 16 times the rows
COMMANDS = ("ingest", "create_dataset")


@dataclass(frozen=True)
class Cost:
    """The seconds and the peak memory (MB) of a command."""

    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Step:
    """The measurements for a number of rows."""

    rows: int
    csv_megabytes: float
    ingest: Cost
    unload_seconds: float
    create_dataset: Cost
    localaws_megabytes: float

    def cost(self, name: str) -> Cost:
        """Return the cost of a command."""
        return self.ingest if name == "ingest" else self.create_dataset


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser("growth", __doc__)
    result.add_argument(
        "--rows", type=command.positive, nargs="+", default=SIZES, metavar="N", help="two sizes or more"
    )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    command_line = parser()
    options = command_line.parse_args(arguments)
    sizes = sorted(set(options.rows))
    if len(sizes) < 2:
        command_line.error("--rows takes two sizes or more")
    kind = "real" if options.data else "generated"
    report = Report("growth", f"{' / '.join(f'{size:,}' for size in sizes)} rows, {kind} and copied")
    texts = rows.load(options.data)
    steps = []
    for size in sizes:
        with local_aws.start() as aws:
            steps.append(measure(aws, texts, size))
    conclude(report, steps)
    return report.conclude(options.json)


def measure(aws: LocalAws, texts: list[Row], count: int) -> Step:
    """Ingest `count` rows and create a dataset of them."""
    folder = aws.workdir
    file = folder / "reviews.csv"
    size = rows.write(file, rows.replicate(texts, count))
    print(f"{count:,} rows, {size / 1e6:,.0f} MB of CSV", flush=True)
    containers = Containers(folder / "environments")
    containers.prepare("processing")
    role = aws.role("benchmark", allow("*"))
    environment, group = aws.environment(role), aws.feature_group("records", role)

    base = folder / "ingest"
    job.lay_out(base, [file])
    ingested = containers.run("processing", ["ingest"], base, environment | job.ingest_environment(group))

    base, started = folder / "dataset", monotonic()
    keys = aws.unload(group, dataset_query(group.table, AS_OF), "growth")
    unloaded = monotonic() - started
    aws.download(keys, base / "processing/input/records")
    created = containers.run("processing", ["create_dataset"], base, {"AS_OF": AS_OF})
    return Step(
        count,
        size / 1e6,
        Cost(ingested.seconds, ingested.megabytes),
        unloaded,
        Cost(created.seconds, created.megabytes),
        aws.megabytes,
    )


def exponent(few: tuple[int, float], many: tuple[int, float]) -> float:
    """Return the exponent of the power law through two points (argument, value)."""
    return math.log(many[1] / few[1]) / math.log(many[0] / few[0])


def conclude(report: Report, steps: list[Step]) -> None:
    """Compare the sizes."""
    head = ("rows", "ingest s", "rows/s", "peak MB", "UNLOAD s", "create_dataset s", "rows/s", "peak MB")
    lines = [
        (
            *(f"{step.rows:,}", step.ingest.seconds, round(step.rows / step.ingest.seconds)),
            *(step.ingest.megabytes, step.unload_seconds, step.create_dataset.seconds),
            *(round(step.rows / step.create_dataset.seconds), step.create_dataset.megabytes),
            step.localaws_megabytes,
        )
        for step in steps
    ]
    print(f"\n{table((*head, 'localaws peak MB'), lines)}\n")
    few, many = steps[0], steps[-1]
    for name in COMMANDS:
        for one, other in itertools.pairwise(steps):
            power = grown(name, one, other)
            print(f"{name}: time grows by rows^{power:.2f} from {one.rows:,} to {other.rows:,} rows")
        peer = f"{name} with {few.rows:,} rows"
        last, first = many.cost(name).megabytes, few.cost(name).megabytes
        report.bounds += [
            Bound(
                f"exponent of the time of {name} with {many.rows:,} rows compared with {peer}",
                grown(name, few, many),
                MAX_EXPONENT,
            ),
            Bound(f"memory as a multiple of {peer}", last / first, MAX_MEMORY_GROWTH),
        ]
    peak = max(step.localaws_megabytes for step in steps)
    print(f"localaws: {ratio(peak / few.localaws_megabytes)} times the memory with {many.rows:,} rows")
    report.figures = {"steps": [asdict(step) for step in steps]}


def grown(name: str, few: Step, many: Step) -> float:
    """Return the exponent of a command's time between two sizes."""
    return exponent((few.rows, few.cost(name).seconds), (many.rows, many.cost(name).seconds))


if __name__ == "__main__":
    command.run(main)
