"""Read the server's settings from its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ServerError
from toolkit.job import base_dir

MEGABYTE = 1 << 20
# Used for "no limit": the largest body that SageMaker sends (to an asynchronous endpoint).
LARGEST_MEGABYTES = 1024
REAL_TIME_SECONDS = 60  # SageMaker's timeout of an invocation
BATCH_SECONDS = 600  # the same in a batch transform; its InvocationsTimeoutInSeconds may differ


@dataclass(frozen=True)
class Settings:
    """The server's settings and their defaults.

    Attributes:
        body_bytes: Maximum size of a request's body; the default is SageMaker's limit for a real-time
            request.
        requests: Maximum in work or waiting per worker; more are refused with 503.
        workers: Number of worker processes; None lets the server choose.
        held_bodies: Maximum number of largest bodies that a worker holds at a time; in a batch transform, all
            concurrent requests, because one worker may receive them all.
        connections: Maximum number of open connections per worker.
        stalled_seconds: How long a client may pause while it sends a request or reads an answer.
        request_seconds: How long a whole request may take to arrive.
        idle_seconds: How long an idle connection is kept.
        drain_seconds: How long open requests may take after SIGTERM; SageMaker sends SIGKILL after 30 s.
    """

    model_dir: Path
    host: str = "0.0.0.0"  # noqa: S104 (SageMaker connects from outside)
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
    """Read SageMaker's variables, and the server's own (SERVE_…).

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
    """Return the number of usable cores; only Linux distinguishes them from all cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
