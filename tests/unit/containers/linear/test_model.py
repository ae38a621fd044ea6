import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linear import model, weight_table
from linear.word_ngrams import WordNgrams
from toolkit.errors import ModelError

BITS = 16


def made(weights: dict[str, list[float]], labels: tuple[str, ...]) -> Any:
    """A model of words with these weights."""
    view = WordNgrams(2, 0, 0, 0, BITS)
    columns = np.array(
        [{name: column for column, name in view.ngrams(word)}[word] for word in weights], np.int32
    )
    table = weight_table.quantize(columns, np.array(list(weights.values()), np.float32), BITS)
    intercepts = np.full(len(next(iter(weights.values()))), 0.5)
    return model.Model(labels, (view,), (table,), intercepts, 2.0)


@pytest.fixture
def two() -> Any:
    return made({"bad": [-3.0], "good": [2.0], "very good": [1.0]}, ("neg", "pos"))


@pytest.fixture
def three() -> Any:
    return made({"red": [3.0, -1.0, -1.0], "blue": [-1.0, 3.0, 0.0]}, ("r", "b", "o"))


def test_two_labels_share_a_score(two: Any) -> None:
    texts = ["very good", "bad", "", "unknown words only"]
    scores = [0.5 + (2 + 1) / 3**0.5, 0.5 - 3, 0.5, 0.5]
    expected = 1 / (1 + np.exp(-2 * np.array(scores)))
    assert two.predict(texts)[:, 1] == pytest.approx(expected, abs=5e-3)
    assert two.predict(texts).sum(axis=1) == pytest.approx(1)
    assert two.predict([]).shape == (0, 2)


def test_more_labels_have_a_score_each(three: Any) -> None:
    scores = np.array([[0.5 + 2 / 3**0.5, 0.5 + 2 / 3**0.5, 0.5 - 1 / 3**0.5]])
    raised = np.exp(2 * scores)
    assert three.predict(["red blue"]) == pytest.approx(raised / raised.sum(), abs=5e-3)


def test_chunks_change_nothing(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["very good", "bad", "good bad", "", "so so"]
    whole = two.predict(texts)
    monkeypatch.setattr(model, "CHUNK_TEXTS", 2)
    assert (two.predict(texts) == whole).all()


def test_explains_by_the_ngrams_that_weighed_most(two: Any, three: Any) -> None:
    [good, bad, nothing] = two.explain(["Very GOOD film", "not bad", "so so"], 2)
    assert good == [
        ("good", pytest.approx(2 * 2 / 5**0.5, abs=2e-2)),
        ("very good", pytest.approx(2 * 1 / 5**0.5, abs=2e-2)),
    ]
    assert bad == [("bad", pytest.approx(2 * 3 / 3**0.5, abs=1e-2))]
    assert nothing == []
    [[first, second]] = three.explain(["red blue red"], 5)
    assert first[0] == "red"
    assert first[1] > 0 > second[1]


def test_the_weights_of_an_explanation_add_up_to_the_log_odds(two: Any) -> None:
    text = "very good but bad"
    odds = np.log(np.divide(*two.predict([text])[0][::-1]))
    label = two.predict([text])[0].argmax()
    [explained] = two.explain([text], 100)
    total = sum(weight for _, weight in explained) * (1 if label else -1)
    assert total + 2 * 0.5 == pytest.approx(odds, abs=1e-4)


def test_reads_what_it_wrote(two: Any, three: Any, tmp_path: Path) -> None:
    for written in (two, three):
        written.save(tmp_path)
        read = model.load(tmp_path)
        texts = ["very good", "bad", "red blue", ""]
        assert read.labels == written.labels
        assert (read.predict(texts) == written.predict(texts)).all()


def test_a_model_is_no_pickle(two: Any, tmp_path: Path) -> None:
    two.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "weights.npz"]
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as arrays:
        kinds = {name: arrays[name].dtype.str for name in arrays}
    assert kinds == {"0.gaps": "|u1", "0.jumps": "<u4", "0.codes": "|i1", "0.peak": "<f4"}


def test_a_model_that_cannot_be_read_is_refused(two: Any, tmp_path: Path) -> None:
    two.save(tmp_path)
    (tmp_path / "weights.npz").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="there is no readable model in"):
        model.load(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(ModelError, match="format 99, this image reads 2"):
        model.load(tmp_path)
    with pytest.raises(ModelError):
        model.load(tmp_path / "nowhere")


def test_unused_settings_of_a_view_are_refused(two: Any, tmp_path: Path) -> None:
    view = replace(two.views[0], longest=1)
    replace(two, views=(view,)).save(tmp_path)
    content = json.loads((tmp_path / "model.json").read_text())
    assert content["views"][0] == {
        **{"kind": "words", "longest": 1, "skipped": 0, "ending": 0},
        **{"negation": 0, "bits": BITS},
    }
    content["views"][0]["colour"] = 1
    (tmp_path / "model.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="colour"):
        model.load(tmp_path)
