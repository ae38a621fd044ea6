"""A container that meets every clause of the container check, and the command that checks it."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "container_check"
CORRECT, SAMPLE = FOLDER / "correct", FOLDER / "sample"


def check_container(*arguments: str | Path, workdir: Path) -> subprocess.CompletedProcess[str]:
    """Run the check-container command."""
    return subprocess.run(
        [sys.executable, "-m", "localaws", "check-container", *arguments, "--workdir", workdir],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
