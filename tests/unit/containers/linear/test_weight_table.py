from typing import Any

import numpy as np
import pytest

from linear import model, weight_table
from linear.word_ngrams import WordNgrams

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


def test_a_byte_keeps_small_weights_as_exact_as_large_ones() -> None:
    weights = np.geomspace(1e-3, 1, 500, dtype=np.float32)[:, None] * np.array([[5.0, -5.0]], np.float32)
    columns = np.arange(500, dtype=np.int32)
    read = weight_table.quantize(columns, weights, BITS).weights(columns)
    assert np.abs(read / weights - 1).max() < 0.25
    assert np.abs(read / weights - 1)[-200:].max() < 0.04
    assert (np.sign(read) == np.sign(weights)).all()


def test_places_far_apart_and_side_by_side() -> None:
    columns = np.array([9, 0, 60_000, 10, 300], np.int32)
    weights = np.array([[1, 0], [0, -2], [3, 4], [5, 0], [0, 0]], np.float32)
    made = weight_table.quantize(columns, weights, BITS)
    read = weight_table.load_table(made.arrays(), 2, BITS)
    assert read.columns.tolist() == [0, 9, 10, 60_000]
    assert (read.codes == made.codes).all()
    assert (read.weights(columns) == made.weights(columns)).all()
    assert made.size == 5


def test_the_least_weights_are_left_out_of_a_model_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    columns = rng.permutation(1 << BITS).astype(np.int32)[:20_000]
    weights = rng.normal(size=(20_000, 3)).astype(np.float32)
    monkeypatch.setattr(weight_table, "MODEL_BYTES", 30_000)
    [pruned] = weight_table.prune([weights], [BITS])
    kept = pruned != 0
    assert np.abs(weights[kept]).min() >= np.abs(weights[~kept]).max()
    arrays = weight_table.quantize(columns, pruned, BITS).arrays()
    assert 25_000 < sum(array.nbytes for array in arrays.values()) <= 30_000
    monkeypatch.undo()
    [whole] = weight_table.prune([weights], [BITS])
    assert (whole == weights).all()
