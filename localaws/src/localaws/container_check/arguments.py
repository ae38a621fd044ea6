"""What python -m localaws check-container takes."""

import argparse
from pathlib import Path

from localaws.settings import DEFAULT_RUNTIME, RUNTIMES


def add_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Say what the command takes."""
    parser.add_argument("folder", type=Path, nargs="?", help="an image's folder, such as containers/linear")
    parser.add_argument("--image", help="what runs, where it is not the folder itself")
    parser.add_argument(
        "--sample", type=Path, help="what to try it with (default: FOLDER/sample, else sample beside FOLDER)"
    )
    parser.add_argument("--runtime", choices=RUNTIMES, default=DEFAULT_RUNTIME, help="(default: %(default)s)")
    parser.add_argument(
        "--workdir", type=Path, default=Path(".localaws"), help="for environments (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file too")
    return parser
