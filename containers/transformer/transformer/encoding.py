"""Texts as the numbers of their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHUNK_TEXTS = 1000
ALIGNED_TOKENS = 8  # tensor cores want lengths that are multiples of this
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts one after another, cut to what the model reads.

    Attributes:
        ids: All texts' tokens.
        starts: Where each text starts in ids, and the end; of shape (texts + 1,).
        padding: The token that fills a row up.
    """

    ids: NDArray[np.int32]
    starts: Ints
    padding: int

    @property
    def lengths(self) -> Ints:
        """Each text's tokens, of shape (texts,)."""
        return np.diff(self.starts)

    def padded(self, rows: Ints) -> tuple[Ints, Ints]:
        """The rows' tokens, and 1 where they are not padding; each of shape (rows, longest)."""
        lengths = self.lengths[rows]
        places = np.arange(aligned(int(lengths.max())))
        mask = places < lengths[:, None]
        ids = np.full(mask.shape, self.padding, np.int64)
        ids[mask] = self.ids[(self.starts[rows][:, None] + places)[mask]]
        return ids, mask.astype(np.int64)


def aligned(length: int) -> int:
    """How many tokens a row takes whose longest text has so many."""
    return -(-length // ALIGNED_TOKENS) * ALIGNED_TOKENS


def encode(tokenizer: "Tokenizer", texts: Sequence[str], padding: int) -> Encoded:
    """Tokenise; the tokenizer says how many tokens of a text are kept, and which.

    A text without any becomes one padding token that is not masked: a model cannot attend to nothing.
    """
    rows: list[NDArray[np.int32]] = []
    for start in range(0, len(texts), CHUNK_TEXTS):
        chunk = tokenizer.encode_batch(texts[start : start + CHUNK_TEXTS])
        rows += [np.array(text.ids or [padding], np.int32) for text in chunk]
    starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return Encoded(np.concatenate([np.empty(0, np.int32), *rows]), starts, padding)
