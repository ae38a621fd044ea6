"""A container that keeps every clause of the container check, and the command that checks it."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "container_check"
HONEST, SAMPLE = FOLDER / "honest", FOLDER / "sample"


def check_container(*arguments: str | Path, workdir: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "localaws", "check-container", *arguments, "--workdir", workdir],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
