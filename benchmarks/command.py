"""The benchmarks' command line: what they share of it, and how they end."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from benchmarks.errors import BenchmarkError

EPILOG = """\
exit codes:
  0    every bound is held
  1    a bound is missed
  2    nothing was measured, the message says why
  130  interrupted
"""
FAILED = 2
INTERRUPTED = 130


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """The options of every benchmark."""
    it = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    it.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="a CSV file with id, text, label (plain, .gz, .zst), or a folder of such files (default: "
        "generated texts as long as film reviews)",
    )
    it.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return it


def positive(text: str) -> int:
    """A number of things."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not above 0")
    return number


def run(measure: Callable[[], int]) -> NoReturn:
    """Measure, and exit; SIGTERM ends it as Ctrl-C does, with everything that it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = measure()
    except KeyboardInterrupt:
        print("\nInterrupted; nothing is left running.", file=sys.stderr)
        code = INTERRUPTED
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        code = FAILED
    sys.exit(code)
