import numpy as np
import pytest

from transformer import encoding


class Tokenizer:
    """Numbers of the words' letters."""

    def encode_batch(self, texts: list[str]) -> list["Tokenizer"]:
        made = []
        for text in texts:
            made.append(Tokenizer())
            made[-1].ids = [len(word) for word in text.split()]
        return made

    ids: list[int]


def test_rows_are_padded_to_a_multiple_of_eight() -> None:
    encoded = encoding.encode(Tokenizer(), ["a bb", "ccc " * 9], padding=7)
    assert encoded.lengths.tolist() == [2, 9]
    ids, mask = encoded.padded(np.array([1, 0]))
    assert ids.shape == mask.shape == (2, 16)
    assert ids.tolist() == [[3] * 9 + [7] * 7, [1, 2] + [7] * 14]
    assert mask.sum(axis=1).tolist() == [9, 2]


def test_text_without_a_token_is_one_that_is_read() -> None:
    encoded = encoding.encode(Tokenizer(), ["", "a bb", ""], padding=7)
    assert encoded.lengths.tolist() == [1, 2, 1]
    ids, mask = encoded.padded(np.array([0, 1]))
    assert ids.tolist() == [[7] * 8, [1, 2] + [7] * 6]
    assert mask.sum(axis=1).tolist() == [1, 2]


def test_texts_come_in_chunks_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a " * number for number in range(7)]
    whole = encoding.encode(Tokenizer(), texts, 0)
    monkeypatch.setattr(encoding, "CHUNK_TEXTS", 3)
    chunked = encoding.encode(Tokenizer(), texts, 0)
    assert (whole.ids == chunked.ids).all()
    assert (whole.starts == chunked.starts).all()
