"""The OCI runtime with a fake engine; tests/images uses a real one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from localaws.runtimes.container import ContainerSpec
from localaws.runtimes.engines import Docker
from localaws.runtimes.oci import OciContainer, OciRuntime

ENGINE = """#!/bin/sh
cd {folder}
case $1 in
image) echo sha256:1 ;;
run) {run} ;;
kill) {kill} ;;
esac
"""
Start = Callable[[str, str], OciContainer]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a container with a fake engine whose `run` and `kill` execute the passed scripts."""

    def started(run: str, kill: str) -> OciContainer:
        engine = tmp_path / "docker"
        engine.write_text(ENGINE.format(folder=tmp_path, run=run, kill=kill))
        engine.chmod(0o755)
        return OciRuntime(Docker(str(engine))).start(ContainerSpec("image", ("train",), tmp_path))

    return started


def test_stop_repeats_sigterm_until_the_container_is_created(start: Start) -> None:
    run = "until [ -e refused ]; do sleep 0.05; done; echo $$ >new; mv new pid; exec sleep 600"
    kill = "kill -s TERM $(cat pid) || { touch refused; exit 1; }"
    assert start(run, kill).stop(grace=60) == 128 + 15


def test_stop_without_grace_kills_a_container_that_is_being_created(start: Start) -> None:
    assert start("exec sleep 600", "exit 1").stop(grace=0) == 128 + 9


def test_the_engine_command_is_killed_before_it_can_exit_with_another_code(start: Start) -> None:
    run = "until [ -e killed ]; do sleep 0.05; done; exit 1"
    kill = "[ $3 != SIGKILL ] || { touch killed; sleep 1; }"
    assert start(run, kill).stop(grace=0) == 128 + 9
