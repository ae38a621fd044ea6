"""The server's settings, from its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ServerError
from toolkit.job import base_dir

MEGABYTE = 1 << 20
# What stands for no limit: the largest body that SageMaker sends anywhere (to an asynchronous endpoint).
LARGEST_MEGABYTES = 1024
REAL_TIME_SECONDS = 60  # until SageMaker gives an invocation up
BATCH_SECONDS = 600  # the same in a batch transform, unless its InvocationsTimeoutInSeconds says otherwise


@dataclass(frozen=True)
class Settings:
    """What may be set, and what it is where it is not.

    Attributes:
        body_bytes: Of a request; the default is SageMaker's own limit for a real-time one.
        requests: In work and waiting at the same time in each worker; more are refused with 503.
        workers: Processes that answer; None for the server to choose.
        held_bodies: How many bodies of the largest size a worker holds at the same time; in a batch transform
            all that come at the same time, as one worker may happen to take them.
        connections: Open at the same time in each worker.
        stalled_seconds: How long a client may take to go on with its request, or with reading its answer.
        request_seconds: How long the whole of a request may take to arrive.
        idle_seconds: How long a connection is kept for the client's next request.
        drain_seconds: SageMaker kills a container 30 s after it asks it to stop.
    """

    model_dir: Path
    host: str = "0.0.0.0"  # noqa: S104 (SageMaker asks from outside)
    port: int = 8080
    workers: int | None = None
    body_bytes: int = 25 * MEGABYTE
    requests: int = 128
    held_bodies: int = 4
    connections: int = 1024
    stalled_seconds: float = 60
    request_seconds: float = REAL_TIME_SECONDS
    idle_seconds: float = 120
    drain_seconds: float = 25
    access_log: bool = True


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the variables that SageMaker and its toolkits define, and the server's own: SERVE_….

    Raises:
        ServerError: A value cannot be used.
    """

    def number(name: str, default: int, low: int = 1) -> int:
        text = environment.get(name, "")
        if not text:
            return default
        if not text.isdecimal() or int(text) < low:
            raise ServerError(f"{name} must be a whole number from {low}, not '{text}'")
        return int(text)

    batch = environment.get("SAGEMAKER_BATCH") == "true"
    workers = number("SAGEMAKER_MODEL_SERVER_WORKERS", 0) or None
    transforms = max(number("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", 0, 0), workers or cores()) if batch else 0
    megabytes = number("SAGEMAKER_MAX_PAYLOAD_IN_MB", Settings.body_bytes // MEGABYTE, 0)
    log = environment.get("SERVE_ACCESS_LOG", "on")
    if log not in ("on", "off"):
        raise ServerError(f"SERVE_ACCESS_LOG must be on or off, not '{log}'")
    return Settings(
        model_dir=base_dir(environment) / "model",
        host=environment.get("SAGEMAKER_BIND_TO_HOST", Settings.host),
        port=number("SAGEMAKER_BIND_TO_PORT", Settings.port, 0),
        workers=workers,
        body_bytes=(megabytes or LARGEST_MEGABYTES) * MEGABYTE,
        requests=number("SERVE_REQUESTS", Settings.requests),
        held_bodies=max(transforms, Settings.held_bodies),
        request_seconds=number("SERVE_REQUEST_SECONDS", BATCH_SECONDS if batch else REAL_TIME_SECONDS),
        access_log=log == "on",
    )


def cores() -> int:
    """How many of the machine's may be used; only Linux tells those apart from all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
