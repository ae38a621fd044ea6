"""Character n-grams, across word boundaries: they catch parts of words, misspellings and endings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linear.compiled import compiled
from linear.features import (
    CLAUSE_BREAK,
    OTHER,
    Codes,
    Numbers,
    Rows,
    code_point_tables,
    code_points,
    empty_set,
    insert,
    map_chunks,
    mix,
)

SPACE = np.uint32(ord(" "))
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class CharNgrams:
    """Extractor of runs of `shortest` to `longest` characters, hashed to 2**bits columns."""

    shortest: int
    longest: int
    bits: int

    def rows(self, texts: Sequence[str]) -> Rows:
        """Return the n-grams of the texts."""
        return map_chunks(lambda chunk: self._extract(chunk, False)[0], texts)

    def ngrams(self, text: str) -> list[tuple[int, str]]:
        """Return the column of each n-gram of a text, and its readable form."""
        rows, origins, chars = self._extract([text], True)
        plain = chars.tobytes().decode("utf-32-le", "surrogatepass")
        return [
            (column, f"“{plain[start : start + length]}”")
            for column, (length, start) in zip(
                rows.columns.tolist(),
                (divmod(origin, len(chars)) for origin in origins.tolist()),
                strict=True,
            )
        ]

    def _extract(self, texts: Sequence[str], with_origins: bool) -> tuple[Rows, Numbers, Codes]:
        codes, text_ends = code_points(texts)
        chars, ends = np.empty(len(codes) + 2 * len(texts), np.uint32), np.empty(len(texts), np.int64)
        count = normalize(codes, text_ends, *code_point_tables(), chars, ends)
        columns = np.empty(count * (self.longest - self.shortest + 1), np.int32)
        origins = np.empty(len(columns) if with_origins else 0, np.int64)
        row_ends = np.zeros(len(texts) + 1, np.int64)
        size = hash_ngrams(
            chars[:count], ends, self.shortest, self.longest, self.bits, columns, origins, row_ends
        )
        return Rows(columns[:size].copy(), row_ends), origins[:size], chars[:count]


@compiled
def normalize(
    codes: Codes, text_ends: Numbers, lower: Codes, kinds: NDArray[np.uint8], chars: Codes, ends: Numbers
) -> int:
    """Write each text in lower case, with one space between words, before and after."""
    count, i = 0, 0
    for text in range(len(text_ends)):
        chars[count] = SPACE
        count += 1
        while i < text_ends[text]:
            kind = kinds[codes[i]]
            if kind != OTHER and kind != CLAUSE_BREAK:
                chars[count] = lower[codes[i]]
                count += 1
            elif chars[count - 1] != SPACE:
                chars[count] = SPACE
                count += 1
            i += 1
        if chars[count - 1] != SPACE:
            chars[count] = SPACE
            count += 1
        ends[text] = count
    return count


@compiled
def hash_ngrams(
    chars: Codes,
    ends: Numbers,
    shortest: int,
    longest: int,
    bits: int,
    columns: NDArray[np.int32],
    origins: Numbers,
    row_ends: Numbers,
) -> int:
    """Write the distinct columns of each text's n-grams; return their number."""
    shift = np.uint64(64 - bits)
    seen = np.zeros(1024, np.int32)
    count, start = 0, 0
    for text in range(len(ends)):
        end = ends[text]
        seen = empty_set(seen, (end - start) * (longest - shortest + 1))
        mask = np.uint64(len(seen) - 1)
        for first in range(start, end - shortest + 1):
            value = np.uint64(0)
            for place in range(min(longest, end - first)):
                value = value * MULTIPLIER + np.uint64(chars[first + place])
                length = place + 1
                if length < shortest:
                    continue
                column = np.int32(mix(value + np.uint64(length)) >> shift)
                if insert(column, seen, mask):
                    columns[count] = column
                    if len(origins):
                        origins[count] = length * len(chars) + first
                    count += 1
        start = end
        row_ends[text + 1] = count
    return count
