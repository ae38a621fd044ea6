"""Word n-grams: runs, bigrams with skips, words near a text's end, words after a negation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from linear.compiled import compiled
from linear.features import (
    CLAUSE_BREAK,
    EXCLAMATION,
    JOINER,
    SINGLE,
    WORD,
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

PLAIN, ENDING, NEGATED = range(3)
MAX_MARKED_LENGTH = 2  # longest run of words that gets a marked copy
NEGATORS = re.findall(
    r"\S+",
    "not no never nor neither none nothing nobody nowhere cannot without hardly barely ain't aren't can't "
    "couldn't didn't doesn't don't hadn't hasn't haven't isn't mightn't mustn't needn't shouldn't wasn't "
    "weren't won't wouldn't",
)
FNV_START, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
APOSTROPHE = np.uint64(ord("'"))


@dataclass(frozen=True)
class WordNgrams:
    """Extractor of word n-grams.

    Attributes:
        longest: The longest run of words.
        skipped: The maximum number of words skipped within a bigram.
        ending: The last words of a text, this many, and their bigrams get a marked copy.
        negation: Up to this many words of a clause after a negation (English), and the bigrams that start
            with one, get a marked copy.
        bits: N-grams are hashed to 2 to the power of this many columns.
    """

    longest: int
    skipped: int
    ending: int
    negation: int
    bits: int

    @cached_property
    def patterns(self) -> Numbers:
        """Return the n-gram patterns: number of words, stride, mark; of shape (patterns, 3)."""
        runs = [(length, 1, PLAIN) for length in range(1, self.longest + 1)]
        skips = [(2, 2 + skipped, PLAIN) for skipped in range(self.skipped)]
        marks = [ENDING] * (self.ending > 0) + [NEGATED] * (self.negation > 0)
        marked = [
            (length, 1, mark)
            for mark in marks
            for length in range(1, min(MAX_MARKED_LENGTH, self.longest) + 1)
        ]
        return np.array(runs + skips + marked, np.int64)

    def rows(self, texts: Sequence[str]) -> Rows:
        """Return the n-grams of the texts."""
        return map_chunks(lambda chunk: self._extract(chunk, False)[0], texts)

    def ngrams(self, text: str) -> list[tuple[int, str]]:
        """Return the column of each n-gram of a text, and its readable form."""
        rows, origins, spans = self._extract([text], True)
        return [
            (column, self._describe(text, spans, *divmod(origin, len(spans))))
            for column, origin in zip(rows.columns.tolist(), origins.tolist(), strict=True)
        ]

    def _extract(self, texts: Sequence[str], with_origins: bool) -> tuple[Rows, Numbers, NDArray[np.int32]]:
        """Extract the n-grams.

        With `with_origins`, also return the pattern and word of each n-gram (as one number) and the words'
        spans.
        """
        codes, text_ends = code_points(texts)
        hashes, spans = np.empty(len(codes), np.uint64), np.empty((len(codes), 2), np.int32)
        first, ends = np.empty(len(codes), np.bool_), np.empty(len(texts), np.int64)
        count = tokenize(codes, text_ends, *code_point_tables(), hashes, first, spans, ends)
        negated = np.zeros(count, np.bool_)
        if self.negation:
            negate(hashes, first, ends, negation_hashes(), self.negation, negated)
        columns = np.empty(count * len(self.patterns), np.int32)
        origins = np.empty(len(columns) if with_origins else 0, np.int64)
        row_ends = np.zeros(len(texts) + 1, np.int64)
        size = hash_ngrams(
            hashes[:count], negated, ends, self.patterns, self.ending, self.bits, columns, origins, row_ends
        )
        # A copy, because a view would keep the whole array in memory.
        return Rows(columns[:size].copy(), row_ends), origins[:size], spans[:count]

    def _describe(self, text: str, spans: NDArray[np.int32], pattern: int, word: int) -> str:
        length, stride, mark = self.patterns[pattern]
        words = (text[slice(*spans[word + place * stride])].lower() for place in range(length))
        return ("… " if mark == ENDING else "not: " if mark == NEGATED else "") + (
            " " if stride == 1 else " _" * (stride - 1) + " "
        ).join(words)


@cache
def negation_hashes() -> NDArray[np.uint64]:
    """Return the hashes of the negation words."""
    codes, text_ends = code_points(NEGATORS)
    hashes, spans = np.empty(len(codes), np.uint64), np.empty((len(codes), 2), np.int32)
    first, ends = np.empty(len(codes), np.bool_), np.empty(len(NEGATORS), np.int64)
    return hashes[: tokenize(codes, text_ends, *code_point_tables(), hashes, first, spans, ends)]


@compiled
def tokenize(
    codes: Codes,
    text_ends: Numbers,
    lower: Codes,
    kinds: NDArray[np.uint8],
    hashes: NDArray[np.uint64],
    first: NDArray[np.bool_],
    spans: NDArray[np.int32],
    ends: Numbers,
) -> int:
    """Write the hash (FNV-1a) of each word, whether it starts a clause, and its span in the text.

    Returns:
        The number of words; `ends` holds the end of each text.
    """
    count, i = 0, 0
    for text in range(len(text_ends)):
        begin, end, clause = i, text_ends[text], True
        while i < end:
            kind = kinds[codes[i]]
            if kind in (CLAUSE_BREAK, EXCLAMATION):
                clause = True
            if kind in (WORD, SINGLE, EXCLAMATION):
                value, start, single = FNV_START, i, kind != WORD
                while i < end:
                    kind = kinds[codes[i]]
                    if single or kind == WORD:
                        value = (value ^ np.uint64(lower[codes[i]])) * FNV_PRIME
                    elif kind == JOINER and i + 1 < end and kinds[codes[i + 1]] == WORD:
                        value = (value ^ APOSTROPHE) * FNV_PRIME
                    else:
                        break
                    i += 1
                    if single:
                        break
                hashes[count], first[count] = mix(value), clause
                spans[count, 0], spans[count, 1] = start - begin, i - begin
                count += 1
                clause = kind == EXCLAMATION and single
            else:
                i += 1
        ends[text] = count
    return count


@compiled
def negate(
    hashes: NDArray[np.uint64],
    first: NDArray[np.bool_],
    ends: Numbers,
    negators: NDArray[np.uint64],
    window: int,
    negated: NDArray[np.bool_],
) -> None:
    """Mark the words of a clause that follow a negation."""
    word = 0
    for end in ends:
        left = 0
        while word < end:
            if first[word]:
                left = 0
            negated[word] = left > 0
            left -= 1
            for negator in negators:
                if hashes[word] == negator:
                    left = window
            word += 1


@compiled
def hash_ngrams(
    hashes: NDArray[np.uint64],
    negated: NDArray[np.bool_],
    ends: Numbers,
    patterns: Numbers,
    ending: int,
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
        seen = empty_set(seen, (end - start) * len(patterns))
        mask = np.uint64(len(seen) - 1)
        for pattern in range(len(patterns)):
            length, stride, mark = patterns[pattern]
            begin = max(start, end - ending) if mark == ENDING else start
            for word in range(begin, end - (length - 1) * stride):
                if mark == NEGATED and not negated[word]:
                    continue
                value = np.uint64(pattern + 1)
                for place in range(length):
                    value = value * MULTIPLIER + hashes[word + place * stride]
                column = np.int32(mix(value) >> shift)
                if insert(column, seen, mask):
                    columns[count] = column
                    if len(origins):
                        origins[count] = pattern * len(hashes) + word
                    count += 1
        start = end
        row_ends[text + 1] = count
    return count
