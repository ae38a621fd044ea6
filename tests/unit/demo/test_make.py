"""`make run` checks the data before it starts or deploys anything."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def planned(*arguments: str) -> str:
    """The commands that make would run."""
    command = ["make", "--no-print-directory", "--dry-run", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_data_is_checked_first() -> None:
    commands = planned("run", "DATA=my data.csv")
    steps = ['demo --data "my data.csv" --only-check', "localaws up", "sam deploy", "demo --stack retrain"]
    places = [commands.index(step) for step in steps]
    assert places == sorted(places)


def test_without_data_there_is_nothing_to_check() -> None:
    assert "--only-check" not in planned("run")
