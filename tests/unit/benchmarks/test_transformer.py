"""How training a transformer is told, where there is no GPU too."""

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


def test_what_was_not_measured_is_told() -> None:
    gpu, cpu = {"device": "H200"}, {"device": "CPU"}
    assert transformer.unmeasured({"distilbert": gpu, "bert-base": gpu}) == []
    assert transformer.unmeasured({"distilbert": gpu}) == ["a model of the size of bert-base"]
    [*sizes, device] = transformer.unmeasured({"tiny": cpu})
    assert len(sizes) == 2
    assert device.endswith("this ran on a CPU, in float32")


def test_the_last_value_counts_and_a_missing_one_is_named() -> None:
    ran = Ran(lines=[(0.1, "x:speed=1;"), (0.2, "step=2; x:speed=25; y:speed=3;")])
    assert transformer.told(ran, "x:speed") == "25"
    with pytest.raises(CommandError, match="nothing was printed of x:size"):
        transformer.told(ran, "x:size")
