"""The transformer benchmark's options and output, with and without a GPU."""

from pathlib import Path

import pytest

from benchmarks import transformer
from benchmarks.containers import Ran
from benchmarks.errors import CommandError


def test_without_a_gpu_the_tiny_model_is_trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(transformer, "GPU", tmp_path / "none")
    assert transformer.parser().parse_args([]).sizes == ["tiny"]
    monkeypatch.setattr(transformer, "GPU", tmp_path)
    assert transformer.parser().parse_args([]).sizes == ["distilbert", "bert-base"]


def test_missing_measurements_are_listed() -> None:
    gpu, cpu = {"device": "H200"}, {"device": "CPU"}
    assert transformer.unmeasured({"distilbert": gpu, "bert-base": gpu}) == []
    assert transformer.unmeasured({"distilbert": gpu}) == ["a model of the size of bert-base"]
    [*sizes, device] = transformer.unmeasured({"tiny": cpu})
    assert len(sizes) == 2
    assert device.endswith("this ran on a CPU in float32")


def test_the_last_value_is_used_and_a_missing_one_is_named() -> None:
    ran = Ran(lines=[(0.1, "x:speed=1;"), (0.2, "step=2; x:speed=25; y:speed=3;")])
    assert transformer.printed(ran, "x:speed") == "25"
    with pytest.raises(CommandError, match="no value of x:size"):
        transformer.printed(ran, "x:size")
