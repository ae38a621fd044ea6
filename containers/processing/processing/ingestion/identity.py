"""Give labels and ids one spelling, whatever the format that they come from."""

import re
import unicodedata
from decimal import Decimal

WHOLE = re.compile(r"(-?[0-9]+)(?:\.0+)?", re.ASCII)
FRACTION = re.compile(r"-?[0-9]*\.[0-9]+", re.ASCII)
# As Python, C and Java write a small float. One digit before the point; 12e-3 may be a code.
EXPONENT = re.compile(r"-?[1-9](?:\.[0-9]+)?[eE]-(?!0+$)[0-9]{1,3}", re.ASCII)
HIDDEN_CATEGORIES = frozenset({"Cc", "Cf"})  # control and format characters
# Characters of other categories that nothing shows either: fillers and variation selectors.
HIDDEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0") | frozenset(
    map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)
BOOLEANS = frozenset({"true", "false"})


def identity(text: str, field: str) -> str:
    """Return a label or an id in its one spelling; the value of another field is returned as it comes."""
    if field not in ("id", "label"):
        return text
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFC", "".join(map(visible, text))).strip()
    if field == "label":
        text = " ".join(text.split())
        if text.lower() in BOOLEANS:
            return text.lower()
        if EXPONENT.fullmatch(text):
            return f"{Decimal(text):f}".rstrip("0")
    return whole(text)


def spelled(text: str, field: str) -> str:
    """Return a value of the contract as a file's value of that field is spelled when both are compared."""
    if field == "text":
        return text
    text = text.strip()
    return identity(text.lower() if field == "split" else text, field)


def visible(character: str) -> str:
    """Return a character, a space for a tab, or nothing for a character that nothing shows."""
    if character == "\t":
        return " "
    hidden = character in HIDDEN or unicodedata.category(character) in HIDDEN_CATEGORIES
    return "" if hidden else character


def whole(text: str) -> str:
    """Return a whole number without a zero fraction, and any other text unchanged."""
    if text[-1:] != "0":  # neither a zero fraction nor a negative zero
        return text
    found = WHOLE.fullmatch(text)
    if found is None:
        return text
    digits = found[1]
    return "0" if digits == "-0" else digits


def is_fraction(text: str) -> bool:
    """Return whether a text is a number that is not whole."""
    return FRACTION.fullmatch(text) is not None
