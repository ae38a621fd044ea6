"""Fixtures: a copy of a correct container that tests modify, and clauses by name."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localaws.container_check.bench import Bench
from localaws.container_check.checker import applicable
from localaws.container_check.clauses import Result
from localaws.container_check.folder import executables
from localaws.container_check.limits import Limits
from localaws.container_check.sample import load
from localaws.runtimes.images import Images
from localaws.runtimes.process import ProcessRuntime
from localaws_tests.containers import CORRECT, SAMPLE

# Long enough for a slow machine; a test that waits for a limit sets its own.
LIMITS = Limits(training=30, healthy=30, invocation=30, transform=30, refusal=30, payload_mb=1, request_mb=2)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the correct container for the test to modify."""
    copy: Path = shutil.copytree(CORRECT, tmp_path / "images" / "correct")
    return copy


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A copy of the sample for the test to modify."""
    copy: Path = shutil.copytree(SAMPLE, tmp_path / "sample")
    return copy


@pytest.fixture
def make_bench(tmp_path: Path, cache_dir: Path, folder: Path, sample: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**limits: Any) -> Bench:
        bench = Bench(
            ProcessRuntime(Images(folder.parent), cache_dir),
            folder.name,
            load(sample),
            tmp_path / f"work-{len(made)}",
            replace(LIMITS, **limits),
            folder,
            executables(folder),
        )
        made.append(bench)
        return bench

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def judge(make_bench: Callable[..., Bench]) -> Callable[..., Result]:
    """Check the clause of a name, optionally with other limits."""

    def judge(name: str, **limits: Any) -> Result:
        bench = make_bench(**limits)
        return next(clause for clause in applicable(bench) if clause.name == name).judge(bench)

    return judge
