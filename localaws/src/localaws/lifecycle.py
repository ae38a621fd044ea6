"""Start and stop the background process."""

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
    """The process could not be started or is not running; the message states what to do."""


def is_up(settings: Settings) -> bool:
    """Return whether the process responds on its port."""
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with without_proxy.open(f"{settings.endpoint_url}/_ministack/health", timeout=5):
            return process(settings) is not None
    except (urllib.error.URLError, OSError):
        return False


def process(settings: Settings) -> psutil.Process | None:
    """Return the running process of the PID file, or None."""
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        found = psutil.Process(int(settings.pid_file.read_text()))
        if "localaws" in found.cmdline():
            return found
    return None


def started_with(settings: Settings) -> tuple[list[str], Path]:
    """Return the command line options and the working folder of the running process.

    Raises:
        LifecycleError: the process does not run.
    """
    with contextlib.suppress(psutil.Error):
        if found := process(settings):
            arguments = found.cmdline()
            return arguments[arguments.index("serve") + 1 :], Path(found.cwd())
    raise LifecycleError(f"No localaws serves {HOST}:{settings.port} any more")


def up(settings: Settings, arguments: list[str]) -> bool:
    """Start the process in the background and wait until it responds.

    Args:
        settings: the settings.
        arguments: the command line options for the same settings.

    Returns:
        True if the process was started; False if it was already up.

    Raises:
        LifecycleError: the images' folder does not exist, the port is in use, or the process did not start.
    """
    if is_up(settings):
        return False
    if not settings.images.is_dir():
        raise LifecycleError(f"Folder {settings.images} does not exist: set the images' folder with --images")
    with socket.socket() as probe:
        if probe.connect_ex((HOST, settings.port)) == 0:
            raise LifecycleError(
                f"{HOST}:{settings.port} is in use by another program: stop it or choose another --port"
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
            raise LifecycleError(f"localaws did not start. The last lines of {settings.log_file}:\n{last}")
        time.sleep(POLL_SECONDS)
    return True


def down(settings: Settings) -> bool:
    """Stop the process and its child processes, and delete its data.

    Returns:
        True if the process was running.
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
    # The process does this itself unless it had to be killed.
    settings.pid_file.unlink(missing_ok=True)
    shutil.rmtree(settings.data_dir, ignore_errors=True)
    return True
