"""The image `transformer` where there is an NVIDIA GPU; test_transformer.py is for CPUs."""

from pathlib import Path

import numpy as np
import pytest

from localaws.runtimes.process import ProcessRuntime
from tests.local.containers.conftest import Train
from tests.local.containers.transformer_jobs import (
    STEPS,
    WITHOUT_GPU,
    Running,
    after,
    classify,
    lay_out,
    rows,
    serving,
    weights,
)

pytestmark = pytest.mark.skipif(not Path("/dev/nvidia0").exists(), reason="this machine has no NVIDIA GPU")
ONE_GPU = {"processes": "1"}


@pytest.fixture(scope="module")
def unbroken(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """A whole training, in bfloat16."""
    return train(lay_out(tmp_path_factory.mktemp("unbroken") / "ml", **ONE_GPU)).finish()


def test_it_learns_on_the_gpu(unbroken: Running) -> None:
    losses = unbroken.metric("train:loss")
    assert "1 process(es) on cuda" in unbroken.output
    assert len(losses) == STEPS
    assert np.mean(losses[-5:]) < 0.2 < 0.6 < np.mean(losses[:5])
    assert unbroken.metric("validation:accuracy")[-1] > 0.95


def test_training_interrupted_by_sigterm_ends_as_the_unbroken_one(
    unbroken: Running, train: Train, tmp_path: Path
) -> None:
    first = train(lay_out(tmp_path / "first", **ONE_GPU), until="train:step=13;")
    first.interrupt()
    assert "interrupted: saved a checkpoint after step" in first.output

    second = train(after(first.base, tmp_path / "second", **ONE_GPU)).finish()
    assert first.metric("train:loss") + second.metric("train:loss") == unbroken.metric("train:loss")
    assert weights(second.base) == weights(unbroken.base)


def test_float32_learns_what_a_cpu_learns(train: Train, tmp_path: Path) -> None:
    exact = {"precision": "float32"}
    gpu = train(lay_out(tmp_path / "gpu", **ONE_GPU, **exact)).finish()
    cpu = train(lay_out(tmp_path / "cpu", **ONE_GPU, **exact), **WITHOUT_GPU).finish()
    assert "1 process(es) on cpu" in cpu.output
    # The GPU rounds factors of float32 to 10 bits, as PyTorch's precision "high" sets.
    assert gpu.metric("train:loss") == pytest.approx(cpu.metric("train:loss"), abs=0.03)


def test_passes_of_a_step_add_up_to_one(unbroken: Running, train: Train, tmp_path: Path) -> None:
    parts = train(lay_out(tmp_path / "parts", **ONE_GPU, tokens_per_pass="128")).finish()
    assert parts.metric("train:loss") == pytest.approx(unbroken.metric("train:loss"), abs=0.05)


def test_more_processes_than_gpus_are_refused(train: Train, tmp_path: Path) -> None:
    base = lay_out(tmp_path / "many", processes="64")
    training = train(base)
    assert training.container.wait(600) == 1, training.output
    assert "processes is 64, but each needs a GPU" in (base / "output/failure").read_text()


def test_served_model_answers_on_the_gpu_as_on_cpus(unbroken: Running, runtime: ProcessRuntime) -> None:
    texts = rows(200, 4)
    with serving(runtime, unbroken.base) as port:
        gpu = classify(port, texts)
    with serving(runtime, unbroken.base, **WITHOUT_GPU) as port:
        cpu = classify(port, texts)
    assert gpu != cpu  # bfloat16 rounds
    for one, other in zip(gpu, cpu, strict=True):
        assert one == pytest.approx(other, abs=0.03)
    assert np.mean([each[row["label"]] for each, row in zip(cpu, texts, strict=True)]) > 0.9
