"""Ends containers whose owner is gone: a process that outlives its owner by one breath.

The owner writes "+<process group>" when a container starts and "-<process group>" when it has ended;
when the pipe closes, for whatever reason, the groups that are left are killed. Linux could do this with
PR_SET_PDEATHSIG, but that fires when the starting thread ends, knows no grandchildren, and is Linux's only.

It runs as a script, isolated from the owner's packages: it may import the standard library only.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def watch(lines: Iterable[str]) -> None:
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


if __name__ == "__main__":
    watch(sys.stdin)
