"""Compare ways of writing records to a feature store: `ingest` with one PutRecord call per row.

All ways write the same rows of a CSV file, one after the other, each to its own feature group in the same
localaws. The times are from the start of the process until the last write is acknowledged, and until Athena
finds all records in the offline store. In this time, only `ingest` also validates every row. The bounds (20
times fewer calls, 5 times faster) are relative to a plain loop. FeatureGroup.ingest of the sagemaker SDK is
shown too, timed without its import.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import command, job, local_aws, rows
from benchmarks.containers import ROOT, Containers
from benchmarks.errors import BenchmarkError, CommandError
from benchmarks.local_aws import Group, LocalAws
from benchmarks.report import Bound, Report, ratio, table
from localaws.testing import allow

PEERS = Path(__file__).parent / "peers"
ROWS = 10_000
SDK_WORKERS = 4
MIN_FEWER_CALLS = 20.0
MIN_TIMES_FASTER = 5.0
POLL_SECONDS = 0.5
VISIBLE_SECONDS = 1800.0


@dataclass(frozen=True)
class Way:
    """A way of writing the rows, with the seconds until all are acknowledged and until all are visible."""

    name: str
    calls: int
    written: float
    visible: float


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser("ingestion", __doc__)
    result.add_argument("--rows", type=command.positive, default=ROWS, help="(default: %(default)s)")
    result.add_argument("--no-sdk", dest="sdk", action="store_false", help="leave the sagemaker SDK out")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    options = parser().parse_args(arguments)
    with local_aws.start() as aws:
        file = aws.workdir / "reviews.csv"
        size = rows.write(file, rows.replicate(rows.load(options.data), options.rows))
        kind = "real" if options.data else "generated"
        report = Report("ingestion", f"{options.rows:,} {kind} rows, {size / 1e6:.1f} MB of CSV")
        print(f"localaws is up; {report.data}", flush=True)
        ways = measure(aws, file, options.rows, sdk=options.sdk)
    conclude(report, ways, options.rows)
    return report.conclude(options.json)


def measure(aws: LocalAws, file: Path, count: int, *, sdk: bool) -> list[Way]:
    """Write the file in all ways and return the measurements."""
    containers = Containers(aws.workdir / "environments")
    containers.prepare("processing")
    role = aws.role("benchmark", allow("*"))
    environment = aws.environment(role)
    names = ["ingest", "put-record", *(["sdk-ingest"] if sdk else [])]
    groups = {name: aws.feature_group(name, role) for name in names}
    ways = [by_ingest(aws, containers, file, groups["ingest"], environment)]
    print_way(ways[-1], count)
    ways.append(by_put_record(aws, containers, file, groups["put-record"], environment, count))
    print_way(ways[-1], count)
    if sdk:
        ways.append(by_sdk(aws, file, groups["sdk-ingest"], environment, count))
        print_way(ways[-1], count)
    for name, group in groups.items():
        if (found := aws.records(group)) != count:
            raise BenchmarkError(f"{name} wrote {found:,} instead of {count:,} records to the offline store")
    return ways


def by_ingest(
    aws: LocalAws, containers: Containers, file: Path, group: Group, environment: dict[str, str]
) -> Way:
    """Write with the container's `ingest`: 25 records per call, with concurrent calls."""
    base = aws.workdir / "ingest"
    job.lay_out(base, [file])
    ran = containers.run("processing", ["ingest"], base, environment | job.ingest_environment(group))
    report = job.ingest_report(base)
    # `ingest` prints the file's summary after the last acknowledgement, and exits when all are visible.
    return Way("ingest", report["calls"], ran.seconds_until(f"{job.RAW}{file.name}: "), ran.seconds)


def by_put_record(
    aws: LocalAws, containers: Containers, file: Path, group: Group, environment: dict[str, str], count: int
) -> Way:
    """Write with a plain loop and one client, in the same environment."""
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


def by_sdk(aws: LocalAws, file: Path, group: Group, environment: dict[str, str], count: int) -> Way:
    """Write with the SDK's threads and one call per row."""
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
        raise CommandError(f"sdk_ingest.py failed with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    ended = time.monotonic()
    written = float(done.stdout.splitlines()[-1].removeprefix("written: "))
    visible = written + wait_visible(aws, group, count) - ended
    return Way(f"FeatureGroup.ingest, {SDK_WORKERS} threads", count, written, visible)


def wait_visible(aws: LocalAws, group: Group, count: int) -> float:
    """Wait until Athena finds all records and return the time of the monotonic clock."""
    deadline = time.monotonic() + VISIBLE_SECONDS
    while (found := aws.records(group)) < count:
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{found:,} of {count:,} records are visible after {VISIBLE_SECONDS:g} s")
        time.sleep(POLL_SECONDS)
    return time.monotonic()


def print_way(way: Way, count: int) -> None:
    """Print the measurements of a way."""
    rate = count / way.written
    print(f"{way.name}: {way.calls:,} calls, {way.written:.1f} s, {rate:,.0f} records per second", flush=True)


def conclude(report: Report, ways: list[Way], count: int) -> None:
    """Compare all ways with the first, which is `ingest`."""
    own, loop = ways[0], ways[1]
    head = ("", "API calls", "s until written", "records/s", "s until visible", "calls", "time")
    lines = [
        (way.name, way.calls, way.written, round(count / way.written), way.visible, *times(way, own))
        for way in ways
    ]
    print(f"\n{table(head, lines)}")
    report.figures = {"rows": count, "ways": [asdict(way) for way in ways]}
    peer = "one PutRecord per row in a loop"
    report.bounds = [
        Bound(f"times fewer calls than {peer}", loop.calls / own.calls, MIN_FEWER_CALLS, at_least=True),
        Bound(f"times faster than {peer}", loop.written / own.written, MIN_TIMES_FASTER, at_least=True),
    ]


def times(way: Way, own: Way) -> tuple[str, str]:
    """Return the calls and the time as multiples of those of `ingest`."""
    return f"{ratio(way.calls / own.calls)} x", f"{ratio(way.written / own.written)} x"


if __name__ == "__main__":
    command.run(main)
