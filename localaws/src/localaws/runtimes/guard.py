"""Kill processes that containers leave running, in particular after their owner has died.

As a script, this is a process that monitors its owner through a pipe. The owner writes "+<process group>"
when a container starts and "-<process group>" when it has exited. When the pipe closes for any reason, the
script kills the remaining process groups and all processes with the owner's mark. Linux's PR_SET_PDEATHSIG
was refused: it fires when the starting thread ends, does not cover grandchildren and exists on Linux only.
An engine's containers are identified by name instead, and removed with the engine's own command.

The script runs isolated from the owner's paths, so it can only import the standard library and psutil.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence

import psutil

MARK = "LOCALAWS_CONTAINER"  # the environment variable that all processes of a container inherit
SWEEPS = 20  # more than one, since a process can start others while it is being killed
SWEEP_SECONDS = 0.02


def signal_marked(mark: str, number: signal.Signals) -> bool:
    """Send a signal to all processes whose mark starts with `mark`; return whether there were any."""
    found = [process for process in psutil.process_iter() if _mark(process).startswith(mark)]
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
    return bool(found)


def kill_marked(mark: str) -> None:
    """Kill all processes whose mark starts with `mark`, in any process group or session.

    A process that cleared its environment is not found.
    """
    for _ in range(SWEEPS):
        if not signal_marked(mark, signal.SIGKILL):
            return
        time.sleep(SWEEP_SECONDS)


def _mark(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error, OSError):  # for example, the process of another user
        return process.environ().get(MARK, "")
    return ""


def watch(lines: Iterable[str], mark: str, discard: Sequence[str] = ()) -> None:
    """Read the owner's messages until the pipe closes, then kill its remaining containers.

    Args:
        lines: the messages, "+<container>" or "-<container>".
        mark: the prefix of the marks of the owner's containers.
        discard: the engine's command to remove containers by name.
    """
    running: set[str] = set()
    for line in lines:
        if line.startswith("+"):
            running.add(line[1:].strip())
        else:
            running.discard(line[1:].strip())
    for group in filter(str.isdigit, running):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(int(group), signal.SIGKILL)
    kill_marked(mark)
    names = [name for name in running if not name.isdigit()]
    if names and discard:
        subprocess.run([*discard, *names], check=False)


if __name__ == "__main__":
    watch(sys.stdin, sys.argv[1], sys.argv[2:])
