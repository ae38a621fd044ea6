"""Writing records to a feature store: the product's `ingest` against one PutRecord a row.

All write the same rows of one CSV file, one after the other, each to a feature group of its own in the same
localaws. Timed from the start of the process until the last write is acknowledged, and until Athena finds
every record in the offline store. `ingest` also checks every row against the data contract in that time;
its peers do not. The bounds (20 times fewer calls, 5 times faster) are against the plain loop; the sagemaker
SDK's FeatureGroup.ingest is shown beside it, timed without its import.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import command, job, laptop, rows
from benchmarks.containers import ROOT, Containers
from benchmarks.errors import BenchmarkError, CommandError
from benchmarks.laptop import Group, Laptop
from benchmarks.report import Bound, Report, ratio, table
from localaws.testing import allow

PEERS = Path(__file__).parent / "peers"
ROWS = 10_000
SDK_WORKERS = 4
MIN_FEWER_CALLS = 20.0
MIN_TIMES_FASTER = 5.0
LOOK_SECONDS = 0.5
VISIBLE_SECONDS = 1800.0


@dataclass(frozen=True)
class Way:
    """One way of writing the rows: seconds until the last acknowledgement, and until all are visible."""

    name: str
    calls: int
    written: float
    visible: float


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = command.parser("ingestion", __doc__)
    it.add_argument("--rows", type=command.positive, default=ROWS, help="(default: %(default)s)")
    it.add_argument("--no-sdk", dest="sdk", action="store_false", help="leave the sagemaker SDK out")
    return it


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit code."""
    options = parser().parse_args(arguments)
    with laptop.start() as aws:
        file = aws.workdir / "reviews.csv"
        size = rows.write(file, rows.replicate(rows.load(options.data), options.rows))
        kind = "given" if options.data else "generated"
        report = Report("ingestion", f"{options.rows:,} {kind} rows, {size / 1e6:.1f} MB of CSV")
        print(f"localaws is up; {report.data}", flush=True)
        ways = measure(aws, file, options.rows, sdk=options.sdk)
    conclude(report, ways, options.rows)
    return report.conclude(options.json)


def measure(aws: Laptop, file: Path, count: int, *, sdk: bool) -> list[Way]:
    """Write the file in each way."""
    containers = Containers(aws.workdir / "environments")
    containers.prepare("processing")
    role = aws.role("benchmark", allow("*"))
    environment = aws.environment(role)
    names = ["ingest", "put-record", *(["sdk-ingest"] if sdk else [])]
    groups = {name: aws.feature_group(name, role) for name in names}
    ways = [by_ingest(aws, containers, file, groups["ingest"], environment)]
    tell(ways[-1], count)
    ways.append(by_put_record(aws, containers, file, groups["put-record"], environment, count))
    tell(ways[-1], count)
    if sdk:
        ways.append(by_sdk(aws, file, groups["sdk-ingest"], environment, count))
        tell(ways[-1], count)
    for name, group in groups.items():
        if (found := aws.records(group)) != count:
            raise BenchmarkError(f"{name} left {found:,} of {count:,} records in the offline store")
    return ways


def by_ingest(
    aws: Laptop, containers: Containers, file: Path, group: Group, environment: dict[str, str]
) -> Way:
    """The product's container: 25 records a call, several calls side by side."""
    base = aws.workdir / "ingest"
    job.lay_out(base, [file])
    ran = containers.run("processing", ["ingest"], base, environment | job.ingest_environment(group))
    report = job.ingest_report(base)
    # It prints the file's account when its last record is acknowledged, and ends when all are visible.
    return Way("ingest", report["calls"], ran.seconds_until(f"{job.RAW}{file.name}: "), ran.seconds)


def by_put_record(
    aws: Laptop, containers: Containers, file: Path, group: Group, environment: dict[str, str], count: int
) -> Way:
    """A plain loop with one client, in the same environment."""
    started = time.monotonic()
    ran = containers.run(
        "processing",
        ["python", str(PEERS / "put_record.py"), str(file), group.name, job.EVENT_TIME, file.name],
        aws.workdir / "put-record",
        environment,
    )
    at, line = ran.lines[-1]
    visible = wait_visible(aws, group, count) - started
    return Way("PutRecord in a loop", int(line.removeprefix("written: ")), at, visible)


def by_sdk(aws: Laptop, file: Path, group: Group, environment: dict[str, str], count: int) -> Way:
    """The SDK's threads; it makes one call a row."""
    script = [sys.executable, str(PEERS / "sdk_ingest.py"), str(file), group.name]
    done = subprocess.run(
        [*script, job.EVENT_TIME, file.name, str(SDK_WORKERS)],
        cwd=ROOT,
        env={**os.environ, **environment, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CommandError(f"sdk_ingest.py ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    ended = time.monotonic()
    written = float(done.stdout.splitlines()[-1].removeprefix("written: "))
    visible = written + wait_visible(aws, group, count) - ended
    return Way(f"FeatureGroup.ingest, {SDK_WORKERS} threads", count, written, visible)


def wait_visible(aws: Laptop, group: Group, count: int) -> float:
    """When Athena found all records."""
    deadline = time.monotonic() + VISIBLE_SECONDS
    while (found := aws.records(group)) < count:
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{found:,} of {count:,} records are visible after {VISIBLE_SECONDS:g} s")
        time.sleep(LOOK_SECONDS)
    return time.monotonic()


def tell(way: Way, count: int) -> None:
    """Say how one went."""
    rate = count / way.written
    print(f"{way.name}: {way.calls:,} calls, {way.written:.1f} s, {rate:,.0f} records a second", flush=True)


def conclude(report: Report, ways: list[Way], count: int) -> None:
    """Compare all with the first, which is the product's."""
    own, loop = ways[0], ways[1]
    head = ("", "API calls", "s until written", "records/s", "s until visible", "calls", "time")
    lines = [
        (way.name, way.calls, way.written, round(count / way.written), way.visible, *times(way, own))
        for way in ways
    ]
    print(f"\n{table(head, lines)}")
    report.figures = {"rows": count, "ways": [asdict(way) for way in ways]}
    peer = "one PutRecord a row in a loop"
    report.bounds = [
        Bound(f"times fewer calls than {peer}", loop.calls / own.calls, MIN_FEWER_CALLS, at_least=True),
        Bound(f"times faster than {peer}", loop.written / own.written, MIN_TIMES_FASTER, at_least=True),
    ]


def times(way: Way, own: Way) -> tuple[str, str]:
    """How many times the product's calls and its time until all is written."""
    return f"{ratio(way.calls / own.calls)} x", f"{ratio(way.written / own.written)} x"


if __name__ == "__main__":
    command.run(main)
