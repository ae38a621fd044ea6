from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "containers/linear"
LoadModule = Callable[[str | Path], ModuleType]

BITS = 22


@pytest.fixture
def words(load_module: LoadModule) -> Any:
    return load_module(FOLDER / "words.py").Words


@pytest.fixture
def letters(load_module: LoadModule) -> Any:
    return load_module(FOLDER / "letters.py").Letters


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
def test_words_of_any_script(words: Any, text: str, expected: list[str]) -> None:
    assert read(words(1, 0, 0, 0, BITS), text) == expected


def test_case_and_the_kind_of_apostrophe_do_not_matter(words: Any) -> None:
    one, other = columns(words(2, 0, 0, 0, BITS), ["DON’T Σὲ", "don't σὲ"])
    assert one == other


def test_runs_of_words_each_once(words: Any) -> None:
    assert read(words(3, 0, 0, 0, BITS), "A b a b c") == [
        *("a", "b", "c"),
        *("a b", "b a", "b c"),
        *("a b a", "b a b", "a b c"),
    ]
    assert read(words(1, 2, 0, 0, BITS), "a b c d")[4:] == ["a _ c", "b _ d", "a _ _ d"]


def test_words_near_the_end_count_a_second_time(words: Any) -> None:
    assert read(words(1, 0, 2, 0, BITS), "a b c")[3:] == ["… b", "… c"]
    assert read(words(1, 0, 5, 0, BITS), "a b")[2:] == ["… a", "… b"]


def test_so_do_pairs_of_them(words: Any) -> None:
    assert read(words(2, 0, 2, 0, BITS), "a b c")[5:] == ["… b", "… c", "… b c"]
    assert read(words(2, 0, 0, 1, BITS), "not a b")[5:] == ["not: a", "not: a b"]


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("I do not like it at all", ["like", "it"]),
        ("it isn't. good film", []),
        ("never, ever! good", []),
        ("no not good", ["not", "good"]),
    ],
)
def test_words_of_a_clause_after_a_negation_count_a_second_time(
    words: Any, text: str, negated: list[str]
) -> None:
    found = read(words(1, 0, 0, 2, BITS), text)
    assert [name for name in found if name.startswith("not: ")] == [f"not: {word}" for word in negated]


def test_texts_do_not_reach_into_each_other(
    words: Any, letters: Any, load_module: LoadModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["a b not", "", "b c", "c b", "not good at", "!"] * 3
    for view in (words(3, 2, 2, 3, BITS), letters(1, 3, BITS)):
        alone = [columns(view, [text])[0] for text in texts]
        assert columns(view, texts) == alone
        monkeypatch.setattr(load_module(FOLDER / "features.py"), "CHUNK_TEXTS", 2)
        assert columns(view, texts) == alone
        monkeypatch.undo()


def test_a_column_has_the_bits_asked_for_and_names_agree_with_rows(words: Any, letters: Any) -> None:
    text = "The film isn't good at all, but the end!"
    for view in (words(3, 2, 4, 3, 10), letters(2, 5, 10)):
        found = [column for column, _ in view.ngrams(text)]
        assert found == view.rows([text]).columns.tolist()
        assert len(set(found)) == len(found)
        assert 0 <= min(found) <= max(found) < 1 << 10


def test_letters_know_one_space_and_the_borders(letters: Any) -> None:
    assert read(letters(3, 4, BITS), " Go -- on!") == [
        *("“ go”", "“ go ”", "“go ”", "“go o”", "“o o”", "“o on”"),
        *("“ on”", "“ on!”", "“on!”", "“on! ”", "“n! ”"),
    ]


def test_a_text_of_a_million_words(words: Any) -> None:
    assert len(words(1, 0, 0, 0, BITS).rows(["good bad " * 500_000]).columns) == 2


def test_known_ngrams_are_those_of_enough_texts(load_module: LoadModule, words: Any) -> None:
    known = load_module(FOLDER / "known.py")
    view = words(1, 0, 0, 0, BITS)
    of = {name: column for name in "abc" for column, _ in view.ngrams(name)}
    found = known.know(view.rows(["b a", "a c", "", "a b"]), BITS, 2)
    assert found.columns.tolist() == [of["b"], of["a"]]
    assert found.problem.ends.tolist() == [0, 2, 3, 3, 5]
    assert found.problem.features.tolist() == [0, 1, 1, 1, 0]
    assert found.problem.scales == pytest.approx(np.array([2, 2, 1, 2]) ** -0.5)
    assert len(known.know(view.rows(["a", "b"]), BITS, 9).columns) == 2


@pytest.mark.parametrize("min_documents", [1, 9])
def test_more_ngrams_than_a_model_holds_have_to_be_more_frequent(
    load_module: LoadModule, words: Any, monkeypatch: pytest.MonkeyPatch, min_documents: int
) -> None:
    known = load_module(FOLDER / "known.py")
    monkeypatch.setattr(known, "MOST", 1)
    view = words(1, 0, 0, 0, BITS)
    assert len(known.know(view.rows(["a b", "a c", "d"]), BITS, min_documents).columns) == 1
