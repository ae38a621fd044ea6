"""Up, status and down, as a user types them."""

import socket
import urllib.request
from pathlib import Path

import pytest

from tests.local.conftest import IMAGES, free_port, localaws


def test_up_status_and_down_are_idempotent_and_tell_the_truth(tmp_path: Path) -> None:
    port = free_port()
    options = (f"--port={port}", f"--workdir={tmp_path}", f"--images={IMAGES}")
    assert localaws("status", *options).returncode == 1
    assert "is up: AWS_ENDPOINT_URL=http://127.0.0.1:" in localaws("up", *options).stdout
    assert "was up already" in localaws("up", *options).stdout
    assert localaws("status", *options).returncode == 0
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health") as answer:
        assert answer.status == 200
    assert "is down" in localaws("down", *options).stdout
    assert "was not up" in localaws("down", *options).stdout
    assert not list(tmp_path.glob("data-*"))
    assert (tmp_path / f"localaws-{port}.log").read_text() == ""


def test_a_port_in_use_by_another_program_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = localaws("up", f"--port={port}", f"--workdir={tmp_path}", f"--images={IMAGES}")
    assert refused.returncode == 1
    assert f"127.0.0.1:{port} is in use by another program" in refused.stderr


def test_a_second_one_leaves_the_first_as_it_is(tmp_path: Path) -> None:
    port = free_port()
    options = (f"--port={port}", f"--workdir={tmp_path}", f"--images={IMAGES}")
    assert localaws("up", *options).returncode == 0
    try:
        second = localaws("serve", *options)
        assert second.returncode == 1
        assert f"127.0.0.1:{port} is in use" in second.stderr
        assert localaws("status", *options).returncode == 0
        assert list(tmp_path.glob("data-*"))
    finally:
        assert "is down" in localaws("down", *options).stdout


def test_a_proxy_or_a_profile_of_the_user_s_is_not_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    options = (f"--port={free_port()}", f"--workdir={tmp_path}", f"--images={IMAGES}")
    assert localaws("up", *options).returncode == 0
    assert "is down" in localaws("down", *options).stdout


def test_images_that_are_not_there_are_named(tmp_path: Path) -> None:
    refused = localaws("up", f"--port={free_port()}", f"--workdir={tmp_path}", "--images=/nowhere")
    assert refused.returncode == 1
    assert "There is no folder /nowhere" in refused.stderr


def test_what_cannot_come_up_shows_the_end_of_its_log(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / f"data-{port}").write_text("a file where a folder has to be")
    refused = localaws("up", f"--port={port}", f"--workdir={tmp_path}", f"--images={IMAGES}")
    assert refused.returncode == 1
    assert "did not come up" in refused.stderr
    assert "FileExistsError" in refused.stderr
