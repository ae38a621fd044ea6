"""Run a processing job: its base folder, exit status and exit message."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from processing.errors import ProcessingError, error_message
from processing.outputs import write_text


class StopError(BaseException):
    """The job is stopped; a BaseException, so that no handler of Exception catches it."""


def base_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder in which SageMaker mounts inputs and collects outputs."""
    return Path(environment.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def run(task: Callable[[Path], None]) -> None:
    """Run a task; if it fails or is stopped, exit with 1 and a message for SageMaker's ExitMessage."""
    base = base_folder()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        task(base)
    except ProcessingError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        fail(base, error.message())
    except StopError:
        print("stopped", file=sys.stderr, flush=True)
        fail(base, error_message("stopped before the job was complete"))
    except Exception as error:
        traceback.print_exc()
        fail(base, error_message(f"{type(error).__name__}: {error}"))


def stop(number: int, frame: object) -> NoReturn:
    """Handle SIGTERM and SIGINT; SageMaker sends SIGKILL two minutes after SIGTERM."""
    raise StopError(number)


def fail(base: Path, message: str) -> None:
    """Write the exit message and exit."""
    write_text(base / "output/message", message)
    sys.exit(1)
