"""A processing job's frame: its base folder, its exit status, its exit message."""

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from errors import ProcessingError, error_message


def base_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where SageMaker mounts a job's inputs and collects its outputs."""
    return Path(environment.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def run(task: Callable[[Path], None]) -> None:
    """Run a task; exit 1 with a message for SageMaker's ExitMessage when it fails."""
    base = base_folder()
    try:
        task(base)
    except ProcessingError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        fail(base, error.message())
    except Exception as error:
        traceback.print_exc()
        fail(base, error_message(f"{type(error).__name__}: {error}"))


def fail(base: Path, message: str) -> None:
    """Leave the exit message and exit."""
    file = base / "output" / "message"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(message, "utf-8")
    sys.exit(1)
