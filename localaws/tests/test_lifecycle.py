"""The commands up, status and down."""

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
    """Change to a folder that contains the default images' folder."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "containers").mkdir()
    monkeypatch.chdir(folder)


def test_up_status_and_down_are_idempotent_and_report_the_state(tmp_path: Path) -> None:
    port = free_port()
    options = (f"--port={port}", f"--workdir={tmp_path}", f"--images={IMAGES}")
    assert localaws("status", *options).returncode == 1
    assert "is up: AWS_ENDPOINT_URL=http://127.0.0.1:" in localaws("up", *options).stdout
    assert "was already up" in localaws("up", *options).stdout
    assert localaws("status", *options).returncode == 0
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health") as answer:
        assert answer.status == 200
    assert "is down" in localaws("down", *options).stdout
    assert "was not up" in localaws("down", *options).stdout
    assert not list(tmp_path.glob("data-*"))
    assert (tmp_path / f"localaws-{port}.log").read_text() == ""


def test_down_kills_a_process_that_does_not_stop_and_deletes_its_data(
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


def test_a_record_reaches_the_offline_store_after_the_lag(tmp_path: Path) -> None:
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


def test_up_reports_a_port_in_use_by_another_program(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        failed = localaws("up", f"--port={port}", f"--workdir={tmp_path}", f"--images={IMAGES}")
    assert failed.returncode == 1
    assert f"127.0.0.1:{port} is in use by another program" in failed.stderr


def test_up_rejects_other_options_than_those_of_the_running_process(tmp_path: Path) -> None:
    where = (f"--port={free_port()}", f"--workdir={tmp_path}")
    started_with = "--spot-interruption-after=5"
    assert localaws("up", *where, started_with).returncode == 0
    try:
        for same in ((), (started_with,), ("--runtime=process", "--images=./containers")):
            assert "was already up" in localaws("up", *where, *same).stdout
        other = localaws("up", *where, "--spot-interruption-after=6", "--runtime=oci")
        assert other.returncode == 1
        assert "other options, --spot-interruption-after=5.0, --runtime=process" in other.stderr
        assert localaws("status", *where).returncode == 0
    finally:
        assert "is down" in localaws("down", *where).stdout


def test_up_rejects_an_option_that_the_running_process_does_not_have(tmp_path: Path) -> None:
    where = (f"--port={free_port()}", f"--workdir={tmp_path}")
    assert localaws("up", *where).returncode == 0
    try:
        rejected = localaws("up", *where, "--spot-interruption-after=5")
        assert rejected.returncode == 1
        assert "already up with other options, no --spot-interruption-after: omit" in rejected.stderr
    finally:
        assert "is down" in localaws("down", *where).stdout


def test_a_second_process_does_not_affect_the_first(tmp_path: Path) -> None:
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


def test_the_user_s_proxy_and_profile_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    options = (f"--port={free_port()}", f"--workdir={tmp_path}", f"--images={IMAGES}")
    assert localaws("up", *options).returncode == 0
    assert "is down" in localaws("down", *options).stdout


def test_up_reports_a_missing_images_folder(tmp_path: Path) -> None:
    failed = localaws("up", f"--port={free_port()}", f"--workdir={tmp_path}", "--images=/nowhere")
    assert failed.returncode == 1
    assert "Folder /nowhere does not exist" in failed.stderr


def test_a_failed_start_shows_the_end_of_the_log(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / f"data-{port}").write_text("a file instead of a folder")
    failed = localaws("up", f"--port={port}", f"--workdir={tmp_path}", f"--images={IMAGES}")
    assert failed.returncode == 1
    assert "did not start" in failed.stderr
    assert "FileExistsError" in failed.stderr
