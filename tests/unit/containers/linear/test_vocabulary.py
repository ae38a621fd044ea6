from typing import Any

import numpy as np
import pytest

from linear import vocabulary
from linear.word_ngrams import WordNgrams

BITS = 22


def columns(view: Any, texts: list[str]) -> list[set[int]]:
    rows = view.rows(texts)
    return [set(rows.columns[a:b].tolist()) for a, b in zip(rows.ends, rows.ends[1:], strict=False)]


def test_vocabulary_has_the_ngrams_of_enough_texts() -> None:
    view = WordNgrams(1, 0, 0, 0, BITS)
    of = {name: column for name in "abc" for column, _ in view.ngrams(name)}
    found = vocabulary.build_vocabulary(view.rows(["b a", "a c", "", "a b"]), BITS, 2)
    assert found.columns.tolist() == [of["b"], of["a"]]
    assert found.problem.ends.tolist() == [0, 2, 3, 3, 5]
    assert found.problem.features.tolist() == [0, 1, 1, 1, 0]
    assert found.problem.scales == pytest.approx(np.array([2, 2, 1, 2]) ** -0.5)
    assert len(vocabulary.build_vocabulary(view.rows(["a", "b"]), BITS, 9).columns) == 2


@pytest.mark.parametrize("min_documents", [1, 9])
def test_more_ngrams_than_a_model_holds_have_to_be_more_frequent(
    monkeypatch: pytest.MonkeyPatch, min_documents: int
) -> None:
    monkeypatch.setattr(vocabulary, "MAX_NGRAMS", 1)
    view = WordNgrams(1, 0, 0, 0, BITS)
    assert len(vocabulary.build_vocabulary(view.rows(["a b", "a c", "d"]), BITS, min_documents).columns) == 1
