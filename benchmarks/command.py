"""The common part of the benchmarks' command lines, and their exit codes."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from benchmarks.errors import BenchmarkError

EPILOG = """\
exit codes:
  0    all bounds are held
  1    a bound is missed
  2    the benchmark could not run; the message states the reason
  130  interrupted
"""
FAILED = 2
INTERRUPTED = 130


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the common options of all benchmarks."""
    result = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="a CSV file with id, text, label (plain, .gz, .zst), or a folder of such files (default: "
        "generated texts with the lengths of film reviews)",
    )
    result.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    return result


def positive(text: str) -> int:
    """Parse a positive integer."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def run(measure: Callable[[], int]) -> NoReturn:
    """Run a benchmark and exit with its code; SIGTERM stops it and its processes like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = measure()
    except KeyboardInterrupt:
        print("\nInterrupted. All processes are stopped.", file=sys.stderr)
        code = INTERRUPTED
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        code = FAILED
    sys.exit(code)
