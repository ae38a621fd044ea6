"""Up, status and down, as a user types them."""

import socket
import time
import urllib.request
from pathlib import Path

import pytest

from localaws import lifecycle
from localaws.settings import Settings
from localaws.testing import Laptop, allow, free_port, localaws, wait_until
from localaws_tests import IMAGES, features
from localaws_tests.jobs import Bucket


@pytest.fixture(autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder has the default folder of images."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "containers").mkdir()
    monkeypatch.chdir(folder)


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


def test_what_does_not_end_by_itself_is_ended_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(tmp_path, IMAGES, free_port())
    assert localaws("up", f"--port={settings.port}", f"--workdir={tmp_path}").returncode == 0
    found = lifecycle.process(settings)
    assert found is not None
    found.suspend()
    monkeypatch.setattr(lifecycle, "STOP_SECONDS", 0.2)
    assert lifecycle.down(settings)
    assert not found.is_running()
    assert [path.name for path in tmp_path.iterdir()] == [settings.log_file.name]


def test_a_record_takes_the_lag_to_the_offline_store(tmp_path: Path) -> None:
    port, lag = free_port(), 4.0
    options = (f"--port={port}", f"--workdir={tmp_path}", f"--offline-store-lag={lag}")
    assert localaws("up", *options).returncode == 0
    try:
        laptop = Laptop(f"http://127.0.0.1:{port}", tmp_path)
        bucket = Bucket(laptop)
        role_arn = laptop.role("offline", allow("s3:*"))
        group = features.created(laptop, **features.offline(bucket, role_arn))
        begun = time.monotonic()
        laptop.client("sagemaker-featurestore-runtime").put_record(
            FeatureGroupName=group["FeatureGroupName"],
            Record=features.values(record_id="a", event_time=features.T1),
        )
        wait_until(lambda: bucket.keys("features/"))
        assert time.monotonic() - begun >= lag
    finally:
        assert "is down" in localaws("down", *options).stdout


def test_a_port_in_use_by_another_program_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = localaws("up", f"--port={port}", f"--workdir={tmp_path}", f"--images={IMAGES}")
    assert refused.returncode == 1
    assert f"127.0.0.1:{port} is in use by another program" in refused.stderr


def test_options_that_the_one_that_is_up_does_not_have_are_refused(tmp_path: Path) -> None:
    where = (f"--port={free_port()}", f"--workdir={tmp_path}")
    started_with = "--spot-interruption-after=5"
    assert localaws("up", *where, started_with).returncode == 0
    try:
        for same in ((), (started_with,), ("--runtime=process", "--images=./containers")):
            assert "was up already" in localaws("up", *where, *same).stdout
        other = localaws("up", *where, "--spot-interruption-after=6", "--runtime=oci")
        assert other.returncode == 1
        assert "up already, with --spot-interruption-after=5.0, --runtime=process" in other.stderr
        assert localaws("status", *where).returncode == 0
    finally:
        assert "is down" in localaws("down", *where).stdout


def test_an_option_that_the_one_that_is_up_was_not_given_is_refused(tmp_path: Path) -> None:
    where = (f"--port={free_port()}", f"--workdir={tmp_path}")
    assert localaws("up", *where).returncode == 0
    try:
        refused = localaws("up", *where, "--spot-interruption-after=5")
        assert refused.returncode == 1
        assert "up already, with no --spot-interruption-after: run `localaws down` first" in refused.stderr
    finally:
        assert "is down" in localaws("down", *where).stdout


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
