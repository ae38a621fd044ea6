from typing import Any

import pytest

from linear import features
from linear.char_ngrams import CharNgrams
from linear.word_ngrams import WordNgrams

BITS = 22


def read(view: Any, text: str) -> list[str]:
    return [name for _, name in view.ngrams(text)]


def columns(view: Any, texts: list[str]) -> list[set[int]]:
    rows = view.rows(texts)
    return [set(rows.columns[a:b].tolist()) for a, b in zip(rows.ends, rows.ends[1:], strict=False)]


def test_texts_do_not_reach_into_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a b not", "", "b c", "c b", "not good at", "!"] * 3
    for view in (WordNgrams(3, 2, 2, 3, BITS), CharNgrams(1, 3, BITS)):
        alone = [columns(view, [text])[0] for text in texts]
        assert columns(view, texts) == alone
        monkeypatch.setattr(features, "CHUNK_TEXTS", 2)
        assert columns(view, texts) == alone
        monkeypatch.undo()


def test_columns_fit_the_bits_and_names_agree_with_rows() -> None:
    text = "The film isn't good at all, but the end!"
    for view in (WordNgrams(3, 2, 4, 3, 10), CharNgrams(2, 5, 10)):
        found = [column for column, _ in view.ngrams(text)]
        assert found == view.rows([text]).columns.tolist()
        assert len(set(found)) == len(found)
        assert 0 <= min(found) <= max(found) < 1 << 10
