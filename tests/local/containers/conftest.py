"""The process runtime, and the trainings that a module's tests start."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localaws.runtimes.images import Images
from localaws.runtimes.process import ProcessRuntime
from tests.local.containers.transformer_jobs import CONTAINERS, ENVIRONMENTS, IMAGE, Running

WAITING = Path(__file__).with_name("waiting")
Train = Callable[..., Running]


@pytest.fixture(scope="module")
def runtime() -> ProcessRuntime:
    """The image's environment is made first."""
    runtime = ProcessRuntime(Images(CONTAINERS), ENVIRONMENTS)
    runtime.prepare(IMAGE)
    return runtime


@pytest.fixture(scope="module")
def train(runtime: ProcessRuntime) -> Iterator[Train]:
    """Start a training on a job's folder, with additional variables; kill it at the end if it still runs.

    With `until`, return it once it has printed that; it then waits to be interrupted.
    """
    started: list[Running] = []

    def start(base: Path, until: str = "", **environment: str) -> Running:
        if until:
            environment |= {"PYTHONPATH": str(WAITING), "WAIT_AFTER": until}
        started.append(Running(runtime, base, "train", **environment))
        if until:
            started[-1].wait_for(until)
        return started[-1]

    yield start
    for each in started:
        each.container.stop(0)
