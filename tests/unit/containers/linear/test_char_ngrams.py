from typing import Any

from linear.char_ngrams import CharNgrams

BITS = 22


def read(view: Any, text: str) -> list[str]:
    return [name for _, name in view.ngrams(text)]


def test_char_ngrams_include_single_spaces_and_borders() -> None:
    assert read(CharNgrams(3, 4, BITS), " Go -- on!") == [
        *("“ go”", "“ go ”", "“go ”", "“go o”", "“o o”", "“o on”"),
        *("“ on”", "“ on!”", "“on!”", "“on! ”", "“n! ”"),
    ]
