"""Ends what containers leave behind, above all when their owner is gone.

As a script it is a process that outlives its owner by one breath. The owner writes "+<process group>" when a
container starts and "-<process group>" when it has ended; when the pipe closes, for whatever reason, the
groups that are left are killed, and everything that carries the owner's mark. Linux could do this with
PR_SET_PDEATHSIG, but that fires when the starting thread ends, knows no grandchildren, and is Linux's only.

The script runs isolated from the owner's paths: it may import the standard library and psutil only.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

import psutil

MARK = "LOCALAWS_CONTAINER"  # the variable that a container's processes inherit from one another
SWEEPS = 20  # those that a process starts while it is being killed need another look
SWEEP_SECONDS = 0.02


def kill_marked(mark: str) -> None:
    """Kill every process whose mark starts so, whatever group or session it went to.

    A process that cleared its environment is not found.
    """
    for _ in range(SWEEPS):
        found = [process for process in psutil.process_iter() if _mark(process).startswith(mark)]
        if not found:
            return
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(SWEEP_SECONDS)


def _mark(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error, OSError):  # such as that it is another user's
        return process.environ().get(MARK, "")
    return ""


def watch(lines: Iterable[str], mark: str) -> None:
    """Follow the owner until it is gone, then kill what it left."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    kill_marked(mark)


if __name__ == "__main__":
    watch(sys.stdin, sys.argv[1])
