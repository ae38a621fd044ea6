"""The command line, as far as it does not need AWS."""

from pathlib import Path

import pytest
from botocore.config import Config

from demo import stack
from demo.__main__ import main


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
    (tmp_path / "mine.csv").touch()
    assert main(["--data", str(tmp_path / "mine.csv")]) == 1
    assert "http://127.0.0.1:1" in capsys.readouterr().out


def test_the_exit_code_after_an_interrupt_is_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("demo.data.get", interrupt)
    assert main([]) == 130
    assert "Interrupted" in capsys.readouterr().out
