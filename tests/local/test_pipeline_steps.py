"""docs/pipeline-steps.md is what localaws writes."""

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/pipeline-steps.md"


def test_the_page_is_what_the_command_writes() -> None:
    command = [sys.executable, "-m", "localaws", "step-types"]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert PAGE.read_text() == written, "stale: python -m localaws step-types > docs/pipeline-steps.md"
