import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.errors import ContainerError, TrainingDataError
from toolkit.job import Job, Resources
from toolkit.training import main

TOOLKIT = Path(__file__).parents[4] / "containers/toolkit"


def configure(base: Path, name: str, content: object) -> None:
    folder = base / "input/config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def test_a_job_is_what_sagemaker_laid_out(tmp_path: Path) -> None:
    configure(tmp_path, "hyperparameters.json", {"epochs": "3"})
    configure(
        tmp_path,
        "resourceconfig.json",
        {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"], "network_interface_name": "eth0", "x": 1},
    )
    channel = tmp_path / "input/data/train"
    channel.mkdir(parents=True)
    (channel / "train.jsonl").write_text('{"text": "a", "label": "x"}\n')
    job = Job(tmp_path)
    assert job.hyperparameters == {"epochs": "3"}
    assert job.resources == Resources("algo-2", ("algo-1", "algo-2"), "eth0")
    assert job.channel("train") == channel
    assert job.read("train").texts == ["a"]
    assert len(job.read("validation")) == 0
    assert job.model_dir == tmp_path / "model"
    assert job.checkpoint_dir.is_dir()


def test_trainings_that_share_a_place_keep_their_checkpoints_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    for name in ("search-001", "search-002", "search-001"):
        monkeypatch.setenv("TRAINING_JOB_NAME", name)
        folders.append(Job(tmp_path).checkpoint_dir)
    assert folders == [tmp_path / "checkpoints" / name for name in ("search-001", "search-002", "search-001")]


def test_a_job_without_configuration_has_defaults(tmp_path: Path) -> None:
    job = Job(tmp_path)
    assert job.hyperparameters == {}
    assert job.resources.hosts == (job.resources.current_host,)


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    configure(tmp_path, "hyperparameters.json", content)
    with pytest.raises(ContainerError, match=r"hyperparameters\.json is not"):
        print(Job(tmp_path).hyperparameters)


def test_metrics_are_printed_as_their_patterns_expect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Job(tmp_path).report("validation", rows=20, accuracy=0.75)
    assert capsys.readouterr().out.endswith("s] validation:rows=20; validation:accuracy=0.750000;\n")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TrainingDataError("the channel train has no rows"), "the channel train has no rows"),
        (MemoryError(), "out of memory; choose an instance type with more memory"),
        (ZeroDivisionError("by nothing"), "ZeroDivisionError: by nothing"),
        (ValueError("☃\ud800" * 1000), "ValueError: ☃\\ud800☃"),
    ],
)
def test_an_error_is_the_reason_of_the_failure(tmp_path: Path, error: Exception, reason: str) -> None:
    def broken(job: Job) -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        main(broken, environment={"SAGEMAKER_BASE_DIR": str(tmp_path)})
    assert caught.value.code == 1
    failure = (tmp_path / "output/failure").read_text("utf-8")
    assert failure.startswith(reason)
    assert len(failure) <= 1024


SCRIPT = """
import time
from toolkit.training import main

def train(job):
    print("up", flush=True)
    for _ in range(500):
        if job.interrupted.is_set():
            print("checkpoint", flush=True)
            return
        time.sleep(0.02)
    raise RuntimeError("not interrupted")

main(train, resumes={resumes})
"""
Train = Callable[[bool], tuple[int, str]]


@pytest.fixture
def interrupted(tmp_path: Path) -> Train:
    """Run the script, ask it to stop; its exit code and output."""

    def run(resumes: bool) -> tuple[int, str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(resumes=resumes)],
            env=os.environ | {"PYTHONPATH": str(TOOLKIT), "SAGEMAKER_BASE_DIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=120)[0]
        return process.returncode, rest

    return run


def test_sigterm_lets_a_resumable_training_save_a_checkpoint(interrupted: Train) -> None:
    assert interrupted(True) == (0, "checkpoint\n")


def test_another_training_ends_at_once(interrupted: Train, tmp_path: Path) -> None:
    assert interrupted(False) == (143, "")
    assert not (tmp_path / "output/failure").exists()
