"""A processing job's frame: its base folder, its exit status, its exit message."""

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
    """The job is told to stop; not an Exception, so that nothing takes it for an error to get over."""


def base_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where SageMaker mounts a job's inputs and collects its outputs."""
    return Path(environment.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def run(task: Callable[[Path], None]) -> None:
    """Run a task; exit 1 with a message for SageMaker's ExitMessage when it fails or is stopped."""
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
        fail(base, error_message("stopped before its end"))
    except Exception as error:
        traceback.print_exc()
        fail(base, error_message(f"{type(error).__name__}: {error}"))


def stop(number: int, frame: object) -> NoReturn:
    """What SIGTERM and Ctrl-C do; SageMaker kills the job two minutes after the first."""
    raise StopError(number)


def fail(base: Path, message: str) -> None:
    """Leave the exit message and exit."""
    write_text(base / "output/message", message)
    sys.exit(1)
