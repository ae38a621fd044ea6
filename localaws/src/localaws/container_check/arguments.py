"""The arguments of `python -m localaws check-container`."""

import argparse
from pathlib import Path

from localaws.settings import DEFAULT_RUNTIME, RUNTIMES


def add_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the command's arguments to the parser and return it."""
    parser.add_argument("folder", type=Path, nargs="?", help="an image's folder, such as containers/linear")
    parser.add_argument("--image", help="the image to run instead of the folder")
    parser.add_argument(
        "--sample",
        type=Path,
        help="data and requests for the check (default: FOLDER/sample, else `sample` next to FOLDER)",
    )
    parser.add_argument("--runtime", choices=RUNTIMES, default=DEFAULT_RUNTIME, help="(default: %(default)s)")
    parser.add_argument(
        "--workdir",
        type=Path,
        default=Path(".localaws"),
        help="folder for virtual environments (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    return parser
