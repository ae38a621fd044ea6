"""What is asked of an engine, told by a stand-in; tests/images asks a real one."""

from pathlib import Path

import pytest

from localaws.runtimes.container import ContainerSpec
from localaws.runtimes.engines import Docker
from localaws.runtimes.oci import OciRuntime

# Takes a while until a container is there, and refuses to signal it before.
SLOW = """#!/bin/sh
case $1 in
image) echo sha256:1 ;;
run) sleep 0.7; echo $$ >{0}.new; mv {0}.new {0}; exec sleep 600 ;;
kill) kill -s TERM $(cat {0}) 2>/dev/null ;;
esac
"""


@pytest.fixture
def runtime(tmp_path: Path) -> OciRuntime:
    engine = tmp_path / "docker"
    engine.write_text(SLOW.format(tmp_path / "pid"))
    engine.chmod(0o755)
    return OciRuntime(Docker(str(engine)))


def test_a_container_that_is_still_being_made_is_asked_to_end_once_it_is_there(
    runtime: OciRuntime, tmp_path: Path
) -> None:
    container = runtime.start(ContainerSpec("image", ("train",), tmp_path))
    assert container.stop(grace=5) == 128 + 15


def test_one_that_has_no_time_is_killed_before_it_is_there(runtime: OciRuntime, tmp_path: Path) -> None:
    container = runtime.start(ContainerSpec("image", ("train",), tmp_path))
    assert container.stop(grace=0) == 128 + 9
