"""Check the first rows of files by the data contract, before anything is deployed or uploaded.

The reader is the one of the container `processing`. It runs as a process of its own, so that the demo imports
no container's code.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from demo.data import Dataset
from demo.errors import InputError, SetupError

PROCESSING = Path(__file__).parents[1] / "containers/processing"
MODULE = "processing.ingestion.preview"


def check(dataset: Dataset, console: Console) -> Dataset:
    """Return the dataset without the files that would be quarantined whole, and name these.

    Raises:
        InputError: No file is left; the message has the reason for each.
    """
    if not dataset.files:
        return dataset
    reasons = {}
    for file, seen in zip(dataset.files, preview([file.path for file in dataset.files]), strict=True):
        if seen["reason"]:
            reasons[file] = f"{file.path}: {seen['reason']}"
        elif seen["bad"]:
            console.print(
                f"[yellow]{escape(file.name)}[/]: {seen['bad']:,} of the first {seen['rows']:,} rows are bad "
                f"and will be quarantined; the first: {escape(seen['first'])}",
                soft_wrap=True,
            )
    if len(reasons) == len(dataset.files):
        raise InputError(
            f"The data contract accepts none of these files. {'; '.join(reasons.values())}. "
            "See the section `Upload data` of docs/usage.md, and containers/processing/contract.toml."
        )
    for reason in reasons.values():
        console.print(f"[yellow]Left out[/] {escape(reason)}", soft_wrap=True)
    return replace(dataset, files=tuple(file for file in dataset.files if file not in reasons))


def preview(paths: list[Path]) -> list[dict[str, Any]]:
    """Read the first rows of each file."""
    environment = os.environ | {"PYTHONPATH": str(PROCESSING)}
    command = [sys.executable, "-m", MODULE, *map(str, paths)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"The files cannot be checked: {done.stderr.strip().rpartition(chr(10))[2]}")
    return [json.loads(line) for line in done.stdout.splitlines()]
