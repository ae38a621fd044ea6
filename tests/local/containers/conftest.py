"""The process runtime, and the trainings that a module's tests start."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localaws.runtimes.images import Images
from localaws.runtimes.process import ProcessRuntime
from tests.local.containers.transformer_jobs import CONTAINERS, ENVIRONMENTS, IMAGE, Running

Train = Callable[..., Running]


@pytest.fixture(scope="module")
def runtime() -> ProcessRuntime:
    """The image's environment is made first."""
    runtime = ProcessRuntime(Images(CONTAINERS), ENVIRONMENTS)
    runtime.prepare(IMAGE)
    return runtime


@pytest.fixture(scope="module")
def train(runtime: ProcessRuntime) -> Iterator[Train]:
    """Start a training on a job's folder, with variables besides; what still runs in the end is killed."""
    started: list[Running] = []

    def start(base: Path, **environment: str) -> Running:
        started.append(Running(runtime, base, "train", **environment))
        return started[-1]

    yield start
    for each in started:
        each.container.stop(0)
