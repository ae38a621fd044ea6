import os
from pathlib import Path

import pytest

from localaws.runtimes.container import ContainerSpec, ImageError
from localaws.runtimes.engines import Buildah, Docker, Engine, find_engine

SPEC = ContainerSpec("ignored", ("train",), Path("/base"), {"NAME": "two words"})
RUN_OPTIONS = ["--network", "host", "--pull", "never"]
CONTAINER_OPTIONS = ["--volume", "/base:/opt/ml", "--env", "NAME=two words"]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in PATH, for fake engines."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def add(programs: Path, name: str, script: str) -> None:
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


@pytest.mark.parametrize(
    ("program", "user", "user_options"),
    [
        ("docker", 0, []),
        ("docker", 1000, ["--user", "1000:1001"]),
        ("podman", 0, []),
        ("podman", 1000, ["--userns", "keep-id", "--user", "1000:1001"]),
    ],
)
def test_the_user_owns_the_files_that_a_container_writes(
    monkeypatch: pytest.MonkeyPatch, program: str, user: int, user_options: list[str]
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: user)
    monkeypatch.setattr(os, "getgid", lambda: 1001)
    command = Docker(program).command("name", "image", SPEC)
    assert command == [
        program,
        "run",
        "--name",
        "name",
        *RUN_OPTIONS,
        *user_options,
        *CONTAINER_OPTIONS,
        "image",
        "train",
    ]


def test_the_entry_point_s_arguments_precede_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    spec = ContainerSpec("ignored", ("last",), Path("/base"), {}, entrypoint=("python3", "-c"))
    command = Docker().command("name", "image", spec)
    assert command[command.index("--entrypoint") :] == ["--entrypoint", "python3", "image", "-c", "last"]


def test_buildah_uses_the_image_s_entry_point_and_command(programs: Path) -> None:
    config = '{"Entrypoint": ["entrypoint"], "Cmd": ["serve"]}'
    answer = f'{{"FromImageID": "1234", "OCIv1": {{"config": {config}}}}}'
    add(programs, "buildah", f"[ $1 = inspect ] && echo '{answer}'; exit 0")
    assert Buildah().image_id("image") == "1234"
    assert Buildah().command("name", "image", SPEC)[-2:] == ["entrypoint", "train"]
    nothing = ContainerSpec("ignored", (), Path("/base"))
    assert Buildah().command("name", "image", nothing)[-2:] == ["entrypoint", "serve"]
    other = ContainerSpec("ignored", (), Path("/base"), entrypoint=("ingest",))
    assert Buildah().command("name", "image", other)[-2:] == ["sh", "ingest"]


def test_a_container_that_buildah_cannot_create_is_an_image_error(programs: Path) -> None:
    add(programs, "buildah", "exit 125")
    assert Buildah().image_id("image") is None
    with pytest.raises(ImageError, match="buildah from image"):
        Buildah().command("name", "image", SPEC)


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ("subprocess exited with status 7", True),
        ("subprocess exited on killed", True),
        ("Error: exit status 7", True),
        ("Error: exit status 7, see the log", False),
        ("error: no channel", False),
    ],
)
def test_buildah_s_own_lines_are_recognized(line: str, own: bool) -> None:
    assert Buildah().is_own(line) == own
    assert not Docker().is_own(line)


@pytest.mark.parametrize(
    ("available", "user", "found"),
    [
        (["docker", "podman", "buildah"], 1000, Docker("docker")),
        (["podman", "buildah"], 1000, Docker("podman")),
        (["buildah"], 0, Buildah()),
    ],
)
def test_the_first_available_engine_is_used(
    programs: Path, monkeypatch: pytest.MonkeyPatch, available: list[str], user: int, found: Engine
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: user)
    for program in ("docker", "podman", "buildah"):
        add(programs, program, f"exit {0 if program in available else 1}")
    assert find_engine() == found


def test_without_an_engine_the_error_suggests_a_remedy(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(programs, "docker", "exit 1")
    add(programs, "buildah", "exit 0")
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    with pytest.raises(ImageError, match="start docker or podman"):
        find_engine()
