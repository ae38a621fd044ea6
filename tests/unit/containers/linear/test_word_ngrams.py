from typing import Any

import pytest

from linear.word_ngrams import WordNgrams

BITS = 22


def read(view: Any, text: str) -> list[str]:
    return [name for _, name in view.ngrams(text)]


def columns(view: Any, texts: list[str]) -> list[set[int]]:
    rows = view.rows(texts)
    return [set(rows.columns[a:b].tolist()) for a, b in zip(rows.ends, rows.ends[1:], strict=False)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don’t stop-it, 7/10!", ["don’t", "stop", "it", "7", "10", "!"]),
        ("'quoted' O'Neil's end'", ["quoted", "o'neil's", "end"]),
        ("ÉTÉ straße İstanbul naïve", ["été", "straße", "i̇stanbul", "naïve"]),
        ("好看。 とても", ["好", "看", "と", "て", "も"]),
        ("great 😀😀 ☃", ["great", "😀", "☃"]),
        ("\ud800 \x00 ... ", []),
    ],
)
def test_words_of_any_script(text: str, expected: list[str]) -> None:
    assert read(WordNgrams(1, 0, 0, 0, BITS), text) == expected


def test_case_and_the_kind_of_apostrophe_do_not_matter() -> None:
    one, other = columns(WordNgrams(2, 0, 0, 0, BITS), ["DON’T Σὲ", "don't σὲ"])
    assert one == other


def test_runs_of_words_each_once() -> None:
    assert read(WordNgrams(3, 0, 0, 0, BITS), "A b a b c") == [
        *("a", "b", "c"),
        *("a b", "b a", "b c"),
        *("a b a", "b a b", "a b c"),
    ]
    assert read(WordNgrams(1, 2, 0, 0, BITS), "a b c d")[4:] == ["a _ c", "b _ d", "a _ _ d"]


def test_words_near_the_end_count_a_second_time() -> None:
    assert read(WordNgrams(1, 0, 2, 0, BITS), "a b c")[3:] == ["… b", "… c"]
    assert read(WordNgrams(1, 0, 5, 0, BITS), "a b")[2:] == ["… a", "… b"]


def test_so_do_pairs_of_them() -> None:
    assert read(WordNgrams(2, 0, 2, 0, BITS), "a b c")[5:] == ["… b", "… c", "… b c"]
    assert read(WordNgrams(2, 0, 0, 1, BITS), "not a b")[5:] == ["not: a", "not: a b"]


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("I do not like it at all", ["like", "it"]),
        ("it isn't. good film", []),
        ("never, ever! good", []),
        ("no not good", ["not", "good"]),
    ],
)
def test_words_of_a_clause_after_a_negation_count_a_second_time(text: str, negated: list[str]) -> None:
    found = read(WordNgrams(1, 0, 0, 2, BITS), text)
    assert [name for name in found if name.startswith("not: ")] == [f"not: {word}" for word in negated]


def test_a_text_of_a_million_words() -> None:
    assert len(WordNgrams(1, 0, 0, 0, BITS).rows(["good bad " * 500_000]).columns) == 2
