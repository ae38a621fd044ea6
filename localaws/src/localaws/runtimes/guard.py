"""Ends what containers leave behind, above all when their owner is gone.

As a script it is a process that outlives its owner by one breath. The owner writes "+<process group>" when a
container starts and "-<process group>" when it has ended; when the pipe closes, for whatever reason, the
groups that are left are killed, and everything that carries the owner's mark. Linux could do this with
PR_SET_PDEATHSIG, but that fires when the starting thread ends, knows no grandchildren, and is Linux's only.
An engine's containers are told by their names instead, and are left to the engine's own command.

The script runs isolated from the owner's paths: it may import the standard library and psutil only.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence

import psutil

MARK = "LOCALAWS_CONTAINER"  # the variable that a container's processes inherit from one another
SWEEPS = 20  # those that a process starts while it is being killed need another look
SWEEP_SECONDS = 0.02


def signal_marked(mark: str, number: signal.Signals) -> bool:
    """Send a signal to every process whose mark starts so; whether there was one."""
    found = [process for process in psutil.process_iter() if _mark(process).startswith(mark)]
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
    return bool(found)


def kill_marked(mark: str) -> None:
    """Kill every process whose mark starts so, whatever group or session it went to.

    A process that cleared its environment is not found.
    """
    for _ in range(SWEEPS):
        if not signal_marked(mark, signal.SIGKILL):
            return
        time.sleep(SWEEP_SECONDS)


def _mark(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error, OSError):  # such as that it is another user's
        return process.environ().get(MARK, "")
    return ""


def watch(lines: Iterable[str], mark: str, discard: Sequence[str] = ()) -> None:
    """Follow the owner until it is gone, then kill what it left; `discard` is the engine's command for it."""
    left: set[str] = set()
    for line in lines:
        if line.startswith("+"):
            left.add(line[1:].strip())
        else:
            left.discard(line[1:].strip())
    for group in filter(str.isdigit, left):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(int(group), signal.SIGKILL)
    kill_marked(mark)
    names = [name for name in left if not name.isdigit()]
    if names and discard:
        subprocess.run([*discard, *names], check=False)


if __name__ == "__main__":
    watch(sys.stdin, sys.argv[1], sys.argv[2:])
