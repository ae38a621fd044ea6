"""N-grams of letters, across words: they know parts of words, misspellings, and endings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linear.compiled import compiled
from linear.features import (
    OTHER,
    STOP,
    Codes,
    Numbers,
    Rows,
    cleared,
    code_points,
    in_chunks,
    is_new,
    mix,
    tables,
)

SPACE = np.uint32(ord(" "))
BASE = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Letters:
    """What is looked for: runs of `shortest` to `longest` letters, hashed to 2**bits columns."""

    shortest: int
    longest: int
    bits: int

    def rows(self, texts: Sequence[str]) -> Rows:
        """The texts' n-grams."""
        return in_chunks(lambda chunk: self._look(chunk, False)[0], texts)

    def ngrams(self, text: str) -> list[tuple[int, str]]:
        """The columns of a text's n-grams, and how each reads."""
        rows, origins, letters = self._look([text], True)
        plain = letters.tobytes().decode("utf-32-le", "surrogatepass")
        return [
            (column, f"“{plain[start : start + length]}”")
            for column, (length, start) in zip(
                rows.columns.tolist(),
                (divmod(origin, len(letters)) for origin in origins.tolist()),
                strict=True,
            )
        ]

    def _look(self, texts: Sequence[str], named: bool) -> tuple[Rows, Numbers, Codes]:
        codes, text_ends = code_points(texts)
        letters, ends = np.empty(len(codes) + 2 * len(texts), np.uint32), np.empty(len(texts), np.int64)
        count = simplify(codes, text_ends, *tables(), letters, ends)
        columns = np.empty(count * (self.longest - self.shortest + 1), np.int32)
        origins = np.empty(len(columns) if named else 0, np.int64)
        row_ends = np.zeros(len(texts) + 1, np.int64)
        size = combine(
            letters[:count], ends, self.shortest, self.longest, self.bits, columns, origins, row_ends
        )
        return Rows(columns[:size].copy(), row_ends), origins[:size], letters[:count]


@compiled
def simplify(
    codes: Codes, text_ends: Numbers, lower: Codes, kinds: NDArray[np.uint8], letters: Codes, ends: Numbers
) -> int:
    """Write each text in lower case, one space for whatever is between its words, one before and after."""
    count, i = 0, 0
    for text in range(len(text_ends)):
        letters[count] = SPACE
        count += 1
        while i < text_ends[text]:
            kind = kinds[codes[i]]
            if kind != OTHER and kind != STOP:
                letters[count] = lower[codes[i]]
                count += 1
            elif letters[count - 1] != SPACE:
                letters[count] = SPACE
                count += 1
            i += 1
        if letters[count - 1] != SPACE:
            letters[count] = SPACE
            count += 1
        ends[text] = count
    return count


@compiled
def combine(
    letters: Codes,
    ends: Numbers,
    shortest: int,
    longest: int,
    bits: int,
    columns: NDArray[np.int32],
    origins: Numbers,
    row_ends: Numbers,
) -> int:
    """Write the columns of each text's n-grams, each once; return how many."""
    shift = np.uint64(64 - bits)
    seen = np.zeros(1024, np.int32)
    count, start = 0, 0
    for text in range(len(ends)):
        end = ends[text]
        seen = cleared(seen, (end - start) * (longest - shortest + 1))
        mask = np.uint64(len(seen) - 1)
        for first in range(start, end - shortest + 1):
            value = np.uint64(0)
            for place in range(min(longest, end - first)):
                value = value * BASE + np.uint64(letters[first + place])
                length = place + 1
                if length < shortest:
                    continue
                column = np.int32(mix(value + np.uint64(length)) >> shift)
                if is_new(column, seen, mask):
                    columns[count] = column
                    if len(origins):
                        origins[count] = length * len(letters) + first
                    count += 1
        start = end
        row_ends[text + 1] = count
    return count
