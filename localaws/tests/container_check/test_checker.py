"""The whole check, as its user sees it."""

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
from localaws_tests.containers import HONEST, SAMPLE, check_container


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workdir")


def test_an_honest_container_keeps_every_clause(workdir: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = check_container(HONEST, "--sample", SAMPLE, "--json", report, workdir=workdir)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "honest keeps the contract: 36 hold" in done.stdout
    assert "\x1b" not in done.stdout
    written = json.loads(report.read_text())
    assert written["keeps"] is True
    assert {clause["outcome"] for clause in written["clauses"]} == {"holds"}
    assert len({clause["clause"] for clause in written["clauses"]}) == 36


def test_what_is_broken_is_told_with_what_to_do(folder: Path, sample: Path, workdir: Path) -> None:
    """Without a model nothing can be served: told once, and not as forty faults."""
    train = folder / "train"
    train.write_text(
        train.read_text().replace('(BASE / "model/mean.txt").write_text(str(mean * scale))', "pass")
    )
    done = check_container(folder, "--sample", sample, workdir=workdir)
    assert done.returncode == 1, done.stdout + done.stderr
    assert (
        "  NO Writes the model to model/  [training.model]\n     it exited with 0, and model/ is empty\n"
        in done.stdout
    )
    assert "     Write every file that `serve` needs to model/" in done.stdout
    assert "honest breaks the contract" in done.stdout
    assert "1 broken" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "there is no folder"),
        ([], "name a folder"),
        ([str(HONEST), "--sample", "nowhere"], "There is no sample at nowhere"),
        ([str(SAMPLE)], "no executable"),
        ([str(HONEST), "--runtime", "oci"], "with --image"),
    ],
)
def test_what_cannot_be_checked_is_said(arguments: list[str], says: str, workdir: Path) -> None:
    done = check_container(*arguments, workdir=workdir)
    assert done.returncode == 2
    assert done.stderr.startswith("check-container: ")
    assert says in done.stderr


def test_an_interrupted_check_leaves_nothing_running(
    folder: Path, sample: Path, workdir: Path, tmp_path: Path
) -> None:
    told = tmp_path / "pid"
    (folder / "train").write_text(f"#!/bin/sh\necho $$ >{told}.new; mv {told}.new {told}; exec sleep 600\n")
    command = [sys.executable, "-m", "localaws", "check-container", str(folder), "--workdir", str(workdir)]
    checker = subprocess.Popen([*command, "--sample", str(sample)], stderr=subprocess.PIPE, text=True)
    pid = int(wait_until(lambda: told.exists() and told.read_text()))
    checker.terminate()
    _, said = checker.communicate(timeout=30)
    assert checker.returncode == 130
    assert said == "\ncheck-container: interrupted; nothing is left running\n"
    assert not psutil.pid_exists(pid)


def test_the_sample_is_looked_for_in_the_folder_and_beside_it(folder: Path, workdir: Path) -> None:
    done = check_container(folder, workdir=workdir)
    assert done.returncode == 2
    assert f"There is no sample at {folder.parent / 'sample'}" in done.stderr


def test_a_list_may_be_set_off_by_spaces(folder: Path, judge: Callable[..., Result]) -> None:
    path = folder / "Dockerfile"
    path.write_text(path.read_text().replace("CMD [", "CMD   ["))
    assert judge("folder.dockerfile").outcome is Outcome.HOLDS


def only_command(folder: Path, code: str) -> None:
    """Make a processing container of a folder."""
    for name in ("train", "serve"):
        (folder / name).unlink()
    (folder / "clean").write_text(f"#!/usr/bin/env python3\n{code}\n")
    (folder / "clean").chmod(0o755)


MESSAGE = """import os, pathlib
pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "output/message").write_text("no input")
"""


@pytest.mark.parametrize(
    ("code", "outcome", "says"),
    [
        (f"{MESSAGE}exit(1)", Outcome.HOLDS, "no input"),
        ("exit('no input')", Outcome.NOTED, "without output/message; its last words: no input"),
        ("exit(1)", Outcome.BROKEN, "not a word"),
        ("", Outcome.BROKEN, "exited with 0"),
    ],
)
def test_a_processing_command_has_to_miss_its_input(
    code: str, outcome: Outcome, says: str, folder: Path, judge: Callable[..., Result]
) -> None:
    only_command(folder, code)
    result = judge("processing.clean")
    assert result.outcome is outcome
    assert says in result.detail


def test_a_processing_command_has_to_end(folder: Path, judge: Callable[..., Result]) -> None:
    only_command(folder, "import time; time.sleep(60)")
    result = judge("processing.clean", refusal=1)
    assert result.outcome is Outcome.BROKEN
    assert result.detail.startswith("it did not end in 1 s")


STAGES = {"folder", "training", "endpoint", "refusal", "transform", "shutdown"}


def test_only_what_a_folder_has_is_checked(folder: Path, make_bench: Callable[..., Bench]) -> None:
    (folder / "prepare").touch(mode=0o755)
    assert {clause.stage for clause in applicable(make_bench())} == STAGES
    only_command(folder, "")
    (folder / "prepare").unlink()
    assert [clause.stage for clause in applicable(make_bench())] == ["folder", "folder", "processing"]


def test_without_trained_model_serving_is_not_judged(folder: Path, judge: Callable[..., Result]) -> None:
    (folder / "train").write_text("#!/bin/sh\nexit 3\n")
    assert judge("training.exit").detail == "exit code 3: nothing was printed"
    for name in (
        "training.model",
        "endpoint.ready",
        "refusal.empty",
        "transform.multi-record",
        "shutdown.sigterm",
    ):
        assert judge(name).outcome is Outcome.UNCHECKED
