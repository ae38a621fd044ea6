"""Starting and stopping the process in the background."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from localaws.settings import HOST, Settings

START_SECONDS = 60
STOP_SECONDS = 20
POLL_SECONDS = 0.1
LOG_LINES = 15


class LifecycleError(Exception):
    """It could not be started or stopped; the message says what to do."""


def is_up(settings: Settings) -> bool:
    """Whether it answers on its port."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has another loopback
    try:
        with direct.open(f"{settings.endpoint_url}/_ministack/health", timeout=5):
            return process(settings) is not None
    except (urllib.error.URLError, OSError):
        return False


def process(settings: Settings) -> psutil.Process | None:
    """The process that serves the port, as its file says, if it lives."""
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        found = psutil.Process(int(settings.pid_file.read_text()))
        if "localaws" in found.cmdline():
            return found
    return None


def started_with(settings: Settings) -> tuple[list[str], Path]:
    """The command line's options of the process that is up, and the folder that they were given in.

    Raises:
        LifecycleError: There is no process.
    """
    with contextlib.suppress(psutil.Error):
        if found := process(settings):
            words = found.cmdline()
            return words[words.index("serve") + 1 :], Path(found.cwd())
    raise LifecycleError(f"Nothing serves {HOST}:{settings.port} any more")


def up(settings: Settings, arguments: list[str]) -> bool:
    """Start it in the background and wait until it answers.

    Args:
        settings: where and how.
        arguments: the command line that says the same.

    Returns:
        Whether it was started; False when it was up already.

    Raises:
        LifecycleError: the port is taken, or the process did not come up.
    """
    if is_up(settings):
        return False
    if not settings.images.is_dir():
        raise LifecycleError(f"There is no folder {settings.images}: name the images' folder by --images")
    with socket.socket() as probe:
        if probe.connect_ex((HOST, settings.port)) == 0:
            raise LifecycleError(
                f"{HOST}:{settings.port} is in use by another program: stop it, or choose another port"
            )
    settings.workdir.mkdir(parents=True, exist_ok=True)
    with settings.log_file.open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "localaws", "serve", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not is_up(settings):
        if started.poll() is not None or time.monotonic() > deadline:
            started.kill()
            last = "\n".join(settings.log_file.read_text(errors="replace").splitlines()[-LOG_LINES:])
            raise LifecycleError(f"It did not come up; the end of {settings.log_file}:\n{last}")
        time.sleep(POLL_SECONDS)
    return True


def down(settings: Settings) -> bool:
    """Stop it and all that it runs.

    Returns:
        Whether there was one to stop.
    """
    found = process(settings)
    if found is None:
        return False
    children = found.children(recursive=True)
    found.terminate()
    try:
        found.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        found.kill()
        found.wait()
    for child in children:
        with contextlib.suppress(psutil.Error):
            child.kill()
    # It does so itself, unless it had to be killed.
    settings.pid_file.unlink(missing_ok=True)
    shutil.rmtree(settings.data_dir, ignore_errors=True)
    return True
