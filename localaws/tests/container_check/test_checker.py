"""The check-container command."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from localaws.container_check.bench import Bench
from localaws.container_check.checker import applicable
from localaws.container_check.clauses import Outcome, Result
from localaws.testing import wait_until
from localaws_tests.containers import CORRECT, SAMPLE, check_container


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workdir")


def test_a_correct_container_meets_every_clause(workdir: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = check_container(CORRECT, "--sample", SAMPLE, "--json", report, workdir=workdir)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "correct meets the contract: 36 hold" in done.stdout
    assert "\x1b" not in done.stdout
    written = json.loads(report.read_text())
    assert written["keeps"] is True
    assert {clause["outcome"] for clause in written["clauses"]} == {"holds"}
    assert len({clause["clause"] for clause in written["clauses"]}) == 36


def test_a_violation_is_printed_with_its_remedy(folder: Path, sample: Path, workdir: Path) -> None:
    """Without a model, the serving clauses are not checked instead of reported as violations."""
    train = folder / "train"
    train.write_text(
        train.read_text().replace('(BASE / "model/mean.txt").write_text(str(mean * scale))', "pass")
    )
    done = check_container(folder, "--sample", sample, workdir=workdir)
    assert done.returncode == 1, done.stdout + done.stderr
    assert (
        "  NO Writes the model to model/  [training.model]\n     it exited with 0, but model/ is empty\n"
        in done.stdout
    )
    assert "     Write every file that `serve` needs to model/" in done.stdout
    assert "correct violates the contract" in done.stdout
    assert "1 violated" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "does not exist"),
        ([], "specify a folder"),
        ([str(CORRECT), "--sample", "nowhere"], "There is no sample at nowhere"),
        ([str(SAMPLE)], "no executable"),
        ([str(CORRECT), "--runtime", "oci"], "with --image"),
    ],
)
def test_invalid_arguments_are_reported(arguments: list[str], message: str, workdir: Path) -> None:
    done = check_container(*arguments, workdir=workdir)
    assert done.returncode == 2
    assert done.stderr.startswith("check-container: ")
    assert message in done.stderr


def test_an_interrupted_check_stops_all_containers(
    folder: Path, sample: Path, workdir: Path, tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    (folder / "train").write_text(f"#!/bin/sh\necho $$ >{file}.new; mv {file}.new {file}; exec sleep 600\n")
    command = [sys.executable, "-m", "localaws", "check-container", str(folder), "--workdir", str(workdir)]
    checker = subprocess.Popen([*command, "--sample", str(sample)], stderr=subprocess.PIPE, text=True)
    pid = int(wait_until(lambda: file.exists() and file.read_text()))
    checker.terminate()
    _, stderr = checker.communicate(timeout=120)
    assert checker.returncode == 130
    assert stderr == "\ncheck-container: interrupted; all containers are stopped\n"
    assert not psutil.pid_exists(pid)


def test_the_default_sample_is_in_the_folder_or_next_to_it(folder: Path, workdir: Path) -> None:
    done = check_container(folder, workdir=workdir)
    assert done.returncode == 2
    assert f"There is no sample at {folder.parent / 'sample'}" in done.stderr


def test_a_cmd_list_can_follow_several_spaces(folder: Path, judge: Callable[..., Result]) -> None:
    path = folder / "Dockerfile"
    path.write_text(path.read_text().replace("CMD [", "CMD   ["))
    assert judge("folder.dockerfile").outcome is Outcome.HOLDS


def only_command(folder: Path, code: str) -> None:
    """Turn a folder into a processing container with one command."""
    for name in ("train", "serve"):
        (folder / name).unlink()
    (folder / "clean").write_text(f"#!/usr/bin/env python3\n{code}\n")
    (folder / "clean").chmod(0o755)


MESSAGE = """import os, pathlib
pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "output/message").write_text("no input")
"""


@pytest.mark.parametrize(
    ("code", "outcome", "detail"),
    [
        (f"{MESSAGE}exit(1)", Outcome.HOLDS, "no input"),
        ("exit('no input')", Outcome.NOTED, "no output/message; last output: no input"),
        ("exit(1)", Outcome.BROKEN, "no output and no output/message"),
        ("", Outcome.BROKEN, "exited with 0"),
    ],
)
def test_a_processing_command_must_fail_without_its_input(
    code: str, outcome: Outcome, detail: str, folder: Path, judge: Callable[..., Result]
) -> None:
    only_command(folder, code)
    result = judge("processing.clean")
    assert result.outcome is outcome
    assert detail in result.detail


def test_a_processing_command_must_exit(folder: Path, judge: Callable[..., Result]) -> None:
    only_command(folder, "import time; time.sleep(60)")
    result = judge("processing.clean", refusal=1)
    assert result.outcome is Outcome.BROKEN
    assert result.detail.startswith("it did not exit within 1 s")


STAGES = {"folder", "training", "endpoint", "refusal", "transform", "shutdown"}


def test_clauses_are_selected_by_the_folder_s_commands(
    folder: Path, make_bench: Callable[..., Bench]
) -> None:
    (folder / "prepare").touch(mode=0o755)
    assert {clause.stage for clause in applicable(make_bench())} == STAGES
    only_command(folder, "")
    (folder / "prepare").unlink()
    assert [clause.stage for clause in applicable(make_bench())] == ["folder", "folder", "processing"]


def test_without_a_trained_model_serving_is_not_checked(folder: Path, judge: Callable[..., Result]) -> None:
    (folder / "train").write_text("#!/bin/sh\nexit 3\n")
    assert judge("training.exit").detail == "exit code 3: no output"
    for name in (
        "training.model",
        "endpoint.ready",
        "refusal.empty",
        "transform.multi-record",
        "shutdown.sigterm",
    ):
        assert judge(name).outcome is Outcome.UNCHECKED
