"""Encode texts as token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHUNK_TEXTS = 1000
ALIGNED_TOKENS = 8  # tensor cores need lengths that are multiples of this
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Tokenized texts, one after the other, truncated to what the model reads.

    Attributes:
        ids: The token ids of all texts.
        starts: The start of each text in `ids`, and the end; of shape (texts + 1,).
        padding: The id of the padding token.
    """

    ids: NDArray[np.int32]
    starts: Ints
    padding: int

    @property
    def lengths(self) -> Ints:
        """Return the number of tokens of each text, of shape (texts,)."""
        return np.diff(self.starts)

    def padded(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return padded token ids and the attention mask of rows, each of shape (rows, longest)."""
        lengths = self.lengths[rows]
        places = np.arange(aligned(int(lengths.max())))
        mask = places < lengths[:, None]
        ids = np.full(mask.shape, self.padding, np.int64)
        ids[mask] = self.ids[(self.starts[rows][:, None] + places)[mask]]
        return ids, mask.astype(np.int64)


def aligned(length: int) -> int:
    """Round a length up to a multiple of ALIGNED_TOKENS."""
    return -(-length // ALIGNED_TOKENS) * ALIGNED_TOKENS


def encode(tokenizer: "Tokenizer", texts: Sequence[str], padding: int) -> Encoded:
    """Tokenize texts; the tokenizer's settings decide which tokens of a long text are kept.

    An empty text becomes one padding token that is not masked, because a model cannot attend to nothing.
    """
    rows: list[NDArray[np.int32]] = []
    for start in range(0, len(texts), CHUNK_TEXTS):
        chunk = tokenizer.encode_batch(texts[start : start + CHUNK_TEXTS])
        rows += [np.array(text.ids or [padding], np.int32) for text in chunk]
    starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return Encoded(np.concatenate([np.empty(0, np.int32), *rows]), starts, padding)
