"""The command line, as far as it does not need AWS."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws
from rich.console import Console

from demo import stack
from demo.__main__ import default, main, raw_keys
from demo.data import Dataset


def test_only_data_prints_only_the_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("id,text,label\n1,hi,ham\n")
    assert main(["--data", str(path), "--only-data"]) == 0
    assert capsys.readouterr().out == f"{path}\n"


def test_the_exit_code_for_a_bad_path_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path / "none[1].csv")]) == 2
    assert f"Error: {tmp_path}/none[1].csv does not exist." in capsys.readouterr().out


def test_unreachable_aws_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(stack, "RETRIES", Config(retries={"total_max_attempts": 1}))
    (tmp_path / "mine.csv").write_text("id,text,label\n1,hi,ham\n")
    assert main(["--data", str(tmp_path / "mine.csv")]) == 1
    assert "http://127.0.0.1:1" in capsys.readouterr().out


def test_a_check_needs_no_aws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.csv").write_text("id,text,label\n1,hi,ham\n")
    assert main(["--data", str(tmp_path / "mine.csv"), "--only-check"]) == 0
    assert capsys.readouterr() == ("", "")
    (tmp_path / "mine.csv").write_text("id,body text,label\n1,hi,ham\n")
    assert main(["--data", str(tmp_path / "mine.csv"), "--only-check"]) == 2
    assert "mine.csv: the columns are id,body text,label; text,label[" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("keys", "origin", "synthetic", "reviews"),
    [
        (["raw/mine.csv"], "1 file (mine.csv)", False, False),
        (["raw/synthetic-sample.csv"], "1 file (synthetic-sample.csv)", True, False),
        (["raw/aclImdb_v1.tar.gz"], "1 file (aclImdb_v1.tar.gz)", False, True),
        (["raw/aclImdb_v1.tar.gz", "raw/2026/a.csv"], "2 files (a.csv, aclImdb_v1.tar.gz)", False, False),
    ],
)
def test_default_data_is_not_added_to_other_data(
    monkeypatch: pytest.MonkeyPatch, keys: list[str], origin: str, synthetic: bool, reviews: bool
) -> None:
    monkeypatch.setattr("demo.data.get", lambda *_: pytest.fail("default data for a bucket that holds data"))
    found = default(keys, Console(quiet=True))
    assert found == Dataset((), f"what raw/ already holds, {origin}", synthetic, reviews)


def test_an_empty_bucket_gets_the_default_data(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = Dataset((), "the sample")
    monkeypatch.setattr("demo.data.get", lambda path, console: sample if path is None else None)
    assert default([], Console(quiet=True)) is sample


def test_markers_and_hidden_files_are_no_data() -> None:
    names = ["", ".DS_Store", "_SUCCESS", "a.csv", "2026/", "2026/._b.csv", "2026/b.csv"]
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="data")
        for name in names:
            s3.put_object(Bucket="data", Key=f"raw/{name}")
        target = stack.Stack("retrain", "data", "arn:machine", "pipeline", "real-time", "async")
        clients: Any = SimpleNamespace(s3=s3)
        assert raw_keys(clients, target) == ["raw/2026/b.csv", "raw/a.csv"]


def test_the_exit_code_after_an_interrupt_is_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("demo.data.get", interrupt)
    assert main(["--data", "any.csv"]) == 130
    assert "Interrupted" in capsys.readouterr().out
