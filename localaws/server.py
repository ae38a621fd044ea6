"""The one process: ministack, SageMaker and the containers it runs, until a signal ends it."""

import asyncio
import os
import shutil
import signal

from hypercorn.asyncio import serve as serve_asgi
from hypercorn.config import Config

from localaws import gateway
from localaws.runtimes.images import Images
from localaws.runtimes.process import ProcessRuntime
from localaws.sagemaker.logs import Logs
from localaws.sagemaker.platform import Platform
from localaws.sagemaker.service import SageMaker
from localaws.sagemaker.sessions import Sessions
from localaws.settings import ACCOUNT_ID, HOST, ROOT_KEY, ROOT_SECRET, Settings

KEEP_ALIVE_SECONDS = 75.0
GRACE_SECONDS = 3.0


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then stop everything that runs and forget what it held."""
    shutil.rmtree(settings.data_dir, ignore_errors=True)
    settings.data_dir.mkdir(parents=True)
    settings.pid_file.write_text(str(os.getpid()))
    application = gateway.load(settings)
    sagemaker = SageMaker(_platform(settings))
    gateway.install(sagemaker.http, sagemaker.resource_types(), settings.region)
    try:
        asyncio.run(_serve_until_signal(application, settings))
    finally:
        sagemaker.close()
        settings.pid_file.unlink(missing_ok=True)
        shutil.rmtree(settings.data_dir, ignore_errors=True)


def _platform(settings: Settings) -> Platform:
    sessions = Sessions(
        settings.endpoint_url, settings.region, ROOT_KEY, ROOT_SECRET, gateway.assume_sagemaker_role
    )
    return Platform(
        account_id=ACCOUNT_ID,
        region=settings.region,
        workdir=settings.data_dir / "containers",
        runtime=ProcessRuntime(Images(settings.images), settings.workdir / "environments"),
        sessions=sessions,
        logs=Logs(sessions.client("logs")),
    )


async def _serve_until_signal(application: gateway.AsgiApp, settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    config = Config()
    config.bind = [f"{HOST}:{settings.port}"]
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.graceful_timeout = GRACE_SECONDS
    config.loglevel = "WARNING"
    await serve_asgi(application, config, shutdown_trigger=stop.wait)
