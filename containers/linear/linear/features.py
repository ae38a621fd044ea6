"""Convert texts to sparse rows of distinct hashed n-grams.

Neither words nor n-grams become strings: a word is hashed code point by code point, and an n-gram combines
the hashes. Tables hold Python's word characters and lower case of every code point.
"""

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linear.compiled import compiled

CHUNK_TEXTS = 1000  # bounds the memory of the intermediate arrays
CODE_POINTS = 0x110000
OTHER, WORD, JOINER, SINGLE, CLAUSE_BREAK, EXCLAMATION = range(6)
# Scripts without spaces between words, and pictographs: each character is a word.
UNSPACED = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2600-\u27bf\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U0001f300-\U0001faff\U00020000-\U0003134f]+"
)
KINDS = {
    WORD: r"\w+",
    SINGLE: UNSPACED,
    JOINER: "['’]",  # inside a word
    CLAUSE_BREAK: r'[.,;:()\[\]{}"“”<>…。，；：、]',  # between clauses
    EXCLAMATION: "[!?！？]",  # a word, and between clauses
}
EXPANDING = 0x130  # the only code point whose lower case has two code points

Codes = NDArray[np.uint32]
Numbers = NDArray[np.int64]


class Rows(NamedTuple):
    """The n-grams of texts, in compressed sparse row form.

    Attributes:
        columns: The columns of all texts, one text after the other.
        ends: The end of each text in `columns`, of shape (texts + 1,); the first is 0.
    """

    columns: NDArray[np.int32]
    ends: Numbers


class CodePointTables(NamedTuple):
    """The lower case and the kind of each code point."""

    lower: Codes
    kinds: NDArray[np.uint8]


@cache
def code_point_tables() -> CodePointTables:
    """Build the tables from Python's Unicode data."""
    codes = np.arange(CODE_POINTS, dtype=np.uint32)
    codes[EXPANDING] = ord("i")
    text = codes.tobytes().decode("utf-32-le", "surrogatepass")
    lower = np.frombuffer(text.lower().encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds = np.zeros(CODE_POINTS, np.uint8)
    for kind, pattern in KINDS.items():
        for found in re.finditer(pattern, text):
            kinds[found.start() : found.end()] = kind
    return CodePointTables(lower, kinds)


def code_points(texts: Sequence[str]) -> tuple[Codes, Numbers]:
    """Return the code points of all texts, and the end of each text."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    return codes, np.fromiter(accumulate(map(len, texts)), np.int64, len(texts))


def map_chunks(rows: Callable[[Sequence[str]], Rows], texts: Sequence[str]) -> Rows:
    """Extract rows in chunks of texts, on all cores."""
    if len(texts) <= CHUNK_TEXTS:
        return rows(texts)
    chunks = [texts[start : start + CHUNK_TEXTS] for start in range(0, len(texts), CHUNK_TEXTS)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(rows, chunks))
    sizes = np.concatenate([np.diff(part.ends) for part in parts])
    return Rows(np.concatenate([part.columns for part in parts]), np.concatenate([[0], np.cumsum(sizes)]))


@compiled
def mix(value: np.uint64) -> np.uint64:
    """Mix the bits of a hash (the 64-bit finalizer of MurmurHash3, by Austin Appleby)."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@compiled
def insert(column: np.int32, seen: NDArray[np.int32], mask: np.uint64) -> bool:
    """Insert a column into a hash set (open addressing; 0 is free); return whether it was new."""
    place = (np.uint64(column) * np.uint64(0x9E3779B1) >> np.uint64(9)) & mask
    while seen[place] != 0:
        if seen[place] == column + 1:
            return False
        place = (place + np.uint64(1)) & mask
    seen[place] = column + 1
    return True


@compiled
def empty_set(seen: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Return an empty hash set for this many columns; reuse `seen` if it is large enough."""
    size = 1024
    while size < 2 * count:
        size *= 2
    if size > len(seen):
        return np.zeros(size, np.int32)
    seen[:size] = 0
    return seen[:size]
