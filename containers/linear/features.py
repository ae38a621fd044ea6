"""Texts to sparse rows: which hashed n-grams of words a text holds."""

import re
from collections.abc import Sequence
from itertools import chain
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

TOKEN = re.compile(r"\w+(?:['’]\w+)*|[!?]")
CHUNK_TEXTS = 2000  # bounds the memory of the steps between text and row
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
ROW_BITS = 32


class TokenHashes(dict[str, int]):
    """A token's 32-bit hash, computed once; Python's own hash differs from run to run."""

    def __missing__(self, token: str) -> int:
        value = self[token] = crc32(token.encode("utf-8", "surrogatepass"))
        return value


def ngram_rows(texts: Sequence[str], ngrams: int, bits: int) -> csr_array:
    """Return a row a text, of shape (texts, 2**bits), that holds 1 for every n-gram in the text.

    scikit-learn's HashingVectorizer hashes each n-gram as a string; here each distinct word of a chunk
    is hashed once, and the chunk's n-grams are numbers made from those hashes.
    """
    chunks = [texts[start : start + CHUNK_TEXTS] for start in range(0, len(texts), CHUNK_TEXTS)] or [()]
    return vstack([chunk_rows(chunk, ngrams, bits) for chunk in chunks], format="csr")


def chunk_rows(texts: Sequence[str], ngrams: int, bits: int) -> csr_array:
    """The rows of some texts."""
    tokens, rows = tokenize(texts)
    keys, gram = [], tokens
    for size in range(1, ngrams + 1):
        if size > 1:
            gram = gram[:-1] * GOLDEN + tokens[size - 1 :]
        starts = rows[: len(gram)]
        within = starts == rows[size - 1 :]
        columns = mix(gram[within] + np.uint64(size)) >> np.uint64(64 - bits)
        keys.append(starts[within] << np.uint64(ROW_BITS) | columns)
    cells = np.sort(np.concatenate(keys))
    cells = cells[np.diff(cells, prepend=np.uint64(2**64 - 1)) != 0]
    borders = np.arange(len(texts) + 1, dtype=np.uint64) << np.uint64(ROW_BITS)
    indptr = np.searchsorted(cells, borders).astype(np.int32)
    indices = (cells & np.uint64(2**ROW_BITS - 1)).astype(np.int32)
    return csr_array((np.ones(len(cells), np.float32), indices, indptr), shape=(len(texts), 1 << bits))


def tokenize(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the hashes of all words of all texts, and the text that each stands in."""
    hashes = TokenHashes()
    words = [TOKEN.findall(text.lower()) for text in texts]
    lengths = [len(tokens) for tokens in words]
    values = map(hashes.__getitem__, chain.from_iterable(words))
    rows = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)
    return np.fromiter(values, np.uint64, sum(lengths)), rows


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every input bit over all 64 (the 64-bit finalizer of MurmurHash3, by Austin Appleby)."""
    values = (values ^ values >> np.uint64(33)) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ values >> np.uint64(33)) * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ values >> np.uint64(33)
