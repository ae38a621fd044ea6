"""Run a training function on a job; an error becomes output/failure and exit code 1."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

from toolkit.errors import ContainerError
from toolkit.job import Job, base_dir

FAILURE_CHARACTERS = 1024  # what SageMaker keeps as FailureReason
SIGTERM_EXIT_CODE = 128 + signal.SIGTERM


def main(
    train: Callable[[Job], None], *, resumes: bool = False, environment: Mapping[str, str] = os.environ
) -> None:
    """Run the training of a job.

    Args:
        train: Reads the job's channels and writes its model.
        resumes: Whether `train` checks `job.interrupted`, saves a checkpoint and returns. Otherwise SIGTERM
            ends the process at once, with exit code 143.
        environment: Provides SAGEMAKER_BASE_DIR.
    """
    job = Job(base_dir(environment))

    def stop(number: int, frame: FrameType | None) -> None:
        job.interrupted.set()
        if not resumes:
            sys.exit(SIGTERM_EXIT_CODE)

    # PID 1 of a container ignores a signal that it has no handler for.
    signal.signal(signal.SIGTERM, stop)
    try:
        train(job)
    except ContainerError as error:
        fail(job.base, str(error))
    except MemoryError:
        fail(job.base, "out of memory; choose an instance type with more memory")
    except Exception as error:
        traceback.print_exc()
        fail(job.base, f"{type(error).__name__}: {error}")


def fail(base: Path, reason: str) -> None:
    """Write the failure reason for SageMaker, and exit."""
    print(f"error: {reason}", file=sys.stderr, flush=True)
    file = base / "output/failure"
    file.parent.mkdir(parents=True, exist_ok=True)
    written = reason.encode("utf-8", "backslashreplace").decode()
    file.write_text(written[:FAILURE_CHARACTERS], "utf-8")
    sys.exit(1)
