"""The server process: ministack, SageMaker and the containers that SageMaker runs."""

import asyncio
import os
import shutil
import signal
import socket

from hypercorn.asyncio import serve as serve_asgi
from hypercorn.config import Config

from localaws import browser_guard, ministack_adapter
from localaws.asgi import AsgiApp
from localaws.runtimes.container import Runtime
from localaws.runtimes.engines import find_engine
from localaws.runtimes.images import Images
from localaws.runtimes.oci import OciRuntime
from localaws.runtimes.process import ProcessRuntime
from localaws.sagemaker.platform.logs import Logs
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.sessions import Sessions
from localaws.sagemaker.service import SageMaker
from localaws.settings import ACCOUNT_ID, HOST, ROOT_KEY, ROOT_SECRET, Settings

KEEP_ALIVE_SECONDS = 75.0
GRACE_SECONDS = 3.0
BACKLOG = 512


class PortInUseError(Exception):
    """Another process has bound the port."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then stop all jobs and endpoints and delete all data.

    Raises:
        PortInUseError: the port is in use; no file was changed.
    """
    settings.workdir.mkdir(parents=True, exist_ok=True)
    with _listen(settings) as listener:
        shutil.rmtree(settings.data_dir, ignore_errors=True)
        settings.data_dir.mkdir(parents=True)
        settings.pid_file.write_text(str(os.getpid()))
        try:
            application = ministack_adapter.load(settings)
            sagemaker = SageMaker(
                _platform(settings), settings.offline_store_lag, settings.spot_interruption_after
            )
            ministack_adapter.install(sagemaker.http, sagemaker.resource_types(), settings.region)
            asyncio.run(_serve_until_signal(browser_guard.guarded(application), sagemaker, listener))
        finally:
            settings.pid_file.unlink(missing_ok=True)
            shutil.rmtree(settings.data_dir, ignore_errors=True)


def _listen(settings: Settings) -> socket.socket:
    """Bind the port, before any change to files that a process on the same port may use."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, settings.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortInUseError(f"{HOST}:{settings.port} is in use: {error.strerror}") from error
    return listener


def _platform(settings: Settings) -> Platform:
    sessions = Sessions(
        settings.endpoint_url, settings.region, ROOT_KEY, ROOT_SECRET, ministack_adapter.assume_sagemaker_role
    )
    return Platform(
        account_id=ACCOUNT_ID,
        region=settings.region,
        workdir=settings.data_dir / "containers",
        runtime=_runtime(settings),
        sessions=sessions,
        logs=Logs(sessions.client("logs")),
    )


def _runtime(settings: Settings) -> Runtime:
    if settings.runtime == "oci":
        return OciRuntime(find_engine())
    return ProcessRuntime(Images(settings.images), settings.workdir / "environments")


async def _serve_until_signal(application: AsgiApp, sagemaker: SageMaker, listener: socket.socket) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def shut_down() -> None:
        await stop.wait()
        # While the API still responds: stopping jobs write their last logs, files and statuses through it.
        await asyncio.to_thread(sagemaker.close)

    config = Config()
    config.bind = [f"fd://{os.dup(listener.fileno())}"]  # duplicated, since hypercorn closes it
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.graceful_timeout = GRACE_SECONDS
    config.loglevel = "WARNING"
    await serve_asgi(application, config, shutdown_trigger=shut_down)
