"""Measure the peak memory of a process."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

SAMPLE_SECONDS = 0.05
MB = 1e6  # bytes


def peak(pid: int) -> float:
    """Return the peak memory (MB) of a process from VmHWM, or without /proc its current memory."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return float(psutil.Process(pid).memory_info().rss) / MB
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 / MB if found else 0.0  # a process that is exiting has no VmHWM


class Watch:
    """Sample a process's peak memory until it ends; a peak after the last sample is missed."""

    def __init__(self, pid: int) -> None:
        self.megabytes = 0.0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"memory of {pid}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        while True:
            try:
                self.megabytes = max(self.megabytes, peak(self._pid))
            except (OSError, psutil.Error):
                return
            if self._over.wait(SAMPLE_SECONDS):
                return
