"""On PYTHONPATH, make a training that has logged WAIT_AFTER wait until it is interrupted."""

import os
import time

from toolkit.job import Job

_log = Job.log


def log(job: Job, message: str) -> None:
    """Log a message, and wait after the chosen one."""
    _log(job, message)
    if os.environ["WAIT_AFTER"] in message:
        while not job.interrupted.is_set():
            time.sleep(0.02)


Job.log = log  # type: ignore[assignment, method-assign]
