import json
from pathlib import Path

import pytest

import classifier
from toolkit.job import Job


def test_a_few_rows_are_learned_from_though_none_is_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channel = tmp_path / "input/data/train"
    channel.mkdir(parents=True)
    rows = [{"text": "so good", "label": "pos"}, {"text": "so bad", "label": "neg"}]
    (channel / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    classifier.train(Job(tmp_path))
    output = capsys.readouterr().out
    assert "train:accuracy=1.000000;" in output
    assert "validation:" not in output
    model = classifier.load(tmp_path / "model")
    assert model.predict(["good", "bad"]).argmax(axis=1).tolist() == [1, 0]
