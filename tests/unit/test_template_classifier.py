import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from toolkit.job import Job

LoadModule = Callable[[str | Path], ModuleType]


def test_a_few_rows_are_learned_from_though_none_is_held_out(
    tmp_path: Path, load_module: LoadModule, capsys: pytest.CaptureFixture[str]
) -> None:
    channel = tmp_path / "input/data/train"
    channel.mkdir(parents=True)
    rows = [{"text": "so good", "label": "pos"}, {"text": "so bad", "label": "neg"}]
    (channel / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    template = load_module("containers/template/classifier.py")
    template.train(Job(tmp_path))
    told = capsys.readouterr().out
    assert "train:accuracy=1.000000;" in told
    assert "validation:" not in told
    model = template.load(tmp_path / "model")
    assert model.predict(["good", "bad"]).argmax(axis=1).tolist() == [1, 0]
