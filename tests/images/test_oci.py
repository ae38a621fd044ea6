"""Containers of an engine: what localaws asks of any runtime."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from containers.tooling import build_images
from localaws.runtimes.container import ContainerSpec, ImageError
from localaws.runtimes.oci import OciContainer
from localaws.testing import wait_until
from tests.images.conftest import ROOT, Bench

IMAGE = "template"  # any will do
# Told by its output that the container is there, and that SIGTERM has come.
OBEDIENT = """
import signal, sys, time
def end(*_):
    print("asked", flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, end)
print("here", flush=True)
time.sleep(60)
"""
OWNER = """
import sys, time
from pathlib import Path
from localaws.runtimes.container import ContainerSpec
from localaws.runtimes.engines import find_engine
from localaws.runtimes.oci import OciRuntime
image, base, seconds = sys.argv[1:]
OciRuntime(find_engine()).start(
    ContainerSpec(image, ("sh", "-c", f"sleep {seconds} & echo here; wait"), Path(base), {}, print)
)
time.sleep(60)
"""
Run = Callable[..., OciContainer]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def run(bench: Bench, tmp_path: Path, lines: list[str]) -> Run:
    def start(*command: str, entrypoint: tuple[str, ...] = (), **environment: str) -> OciContainer:
        image = bench.workshop.image(IMAGE)
        return bench.images.start(
            ContainerSpec(image, command, tmp_path, environment, lines.append, entrypoint)
        )

    return start


def containers(bench: Bench) -> list[str]:
    """The names of this engine's containers that localaws made."""
    formats = {"buildah": "{{.ContainerName}}"}
    command = [bench.workshop.engine, "ps", *(() if bench.workshop.engine == "buildah" else ("--all",))]
    listed = subprocess.run(
        [*command, "--format", formats.get(bench.workshop.engine, "{{.Names}}")],
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split() if name.startswith("localaws-")]


def sleeping(seconds: int) -> list[psutil.Process]:
    """The processes that sleep just so long."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"] == ["sleep", str(seconds)]
    ]


def test_a_container_sees_its_folder_its_variables_and_nothing_of_the_owners(
    run: Run, bench: Bench, tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the owner's")
    (tmp_path / "model").mkdir()
    assert run("sh", "-c", "env; echo yes > /opt/ml/model/file; exit 5", GREETING="two words").wait(60) == 5
    assert "GREETING=two words" in lines
    assert "HOME=/home/program" in lines
    assert not [line for line in lines if line.startswith("AWS_")]
    assert (tmp_path / "model/file").read_text() == "yes\n"
    assert not containers(bench)


def test_both_streams_are_told_and_nothing_of_the_engines(run: Run, lines: list[str]) -> None:
    assert run("sh", "-c", "echo out; echo error >&2; exit 1").wait(60) == 1
    assert sorted(lines) == ["error", "out"]


def test_an_entry_point_stands_in_for_the_images_own(run: Run, lines: list[str]) -> None:
    assert run("-c", "id -u; echo $0", "word", entrypoint=("sh",)).wait(60) == 0
    assert lines == ["0" if os.getuid() == 0 else str(os.getuid()), "word"]


def test_a_killed_process_ends_as_a_shell_tells_it(run: Run) -> None:
    container = run("sleep", "4566")
    wait_until(lambda: sleeping(4566))[0].kill()  # as the kernel does for want of memory
    assert container.wait(60) == 137


def test_a_command_that_is_not_there_ends_with_127(run: Run, lines: list[str]) -> None:
    assert run("no-such-command").wait(60) == 127
    assert any("no-such-command" in line for line in lines)


def test_stop_asks_first(run: Run, lines: list[str]) -> None:
    container = run("python3", "-c", OBEDIENT)
    wait_until(lambda: lines)
    assert container.wait(0) is None
    assert container.stop(grace=30) == 3
    assert lines == ["here", "asked"]


def test_stop_ends_what_does_not_listen_with_all_it_started(run: Run, bench: Bench, lines: list[str]) -> None:
    container = run("sh", "-c", "trap '' TERM; setsid sleep 4567 & echo here; sleep 4567")
    wait_until(lambda: len(sleeping(4567)) == 2)
    assert container.stop(grace=0.5) == 137
    assert not sleeping(4567)
    assert not containers(bench)


def test_nothing_outlives_the_first_process(run: Run, lines: list[str]) -> None:
    assert run("sh", "-c", "setsid sleep 4568 & echo here").wait(60) == 0
    assert not sleeping(4568)


def test_containers_run_side_by_side(run: Run, bench: Bench) -> None:
    started: list[OciContainer] = []
    threads = [threading.Thread(target=lambda: started.append(run("sleep", "1"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [container.wait(60) for container in started] == [0] * 4
    assert not containers(bench)


def test_containers_die_with_their_owner(bench: Bench, tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, bench.workshop.image(IMAGE), str(tmp_path), "4569"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: sleeping(4569))
        assert containers(bench)
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    wait_until(lambda: not sleeping(4569) and not containers(bench))


def test_an_image_has_its_content_s_digest_whatever_its_registry(bench: Bench) -> None:
    image = bench.workshop.image(IMAGE)
    bench.images.prepare(f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{image}")
    named = bench.images.digest(f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{image}")
    assert (
        named
        == bench.images.digest(image)
        == bench.images.digest(f"{build_images.REPOSITORY}/{IMAGE}:latest")
    )
    assert named != bench.images.digest(bench.workshop.image("processing"))


def test_an_unknown_image_is_named(bench: Bench, tmp_path: Path) -> None:
    unknown = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/none:1"
    for attempt in (
        lambda: bench.images.prepare(unknown),
        lambda: bench.images.digest(unknown),
        lambda: bench.images.start(ContainerSpec(unknown, ("train",), tmp_path)),
    ):
        with pytest.raises(ImageError, match="team/none:1"):
            attempt()
