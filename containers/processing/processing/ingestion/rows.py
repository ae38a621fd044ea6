"""Validate rows against the data contract."""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from processing.ingestion.contract import UTF8_BYTES, Contract, Field
from processing.ingestion.identity import identity, is_fraction

ID_DIGITS = 32  # hexadecimal digits of the text's SHA-256
SHOWN_CHARACTERS = 200
# AWS validates a feature's value with Java's pattern `.*`, so it must be one line. These are Java's line
# breaks.
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
INTEGER = re.compile(r"-?[0-9]+(?:\.0+)?")
EXACT = 1 << 53  # a larger float may stand for several integers
REPEATED = frozenset({"label", "split"})  # fields of few different values
MAX_NORMALIZED = 10_000
ANSWERS = ("reject", "ignore")  # of an annotator of Prodigy: the row is no example of its label
ESCAPED_BYTES = range(0xDC80, 0xDD00)  # the code points of bytes 0x80 to 0xff in `surrogateescape`


class Record(NamedTuple):
    """A row as read from a file, with its first and last line if the format has lines."""

    line: int | None
    values: Mapping[str, object]
    last: int | None = None  # None: the row is one line


class Defect(NamedTuple):
    """Why a row cannot be ingested; `field` is None if the whole row is invalid."""

    line: int | None
    field: str | None
    reason: str
    value: str
    last: int | None = None


class Skip(NamedTuple):
    """Why a row is not ingested, although nothing is wrong with it."""

    line: int | None
    reason: str
    last: int | None = None


@dataclass(slots=True)
class Lines:
    """The physical lines of a file: those read, and those that belong to no row, such as headers."""

    read: int = 0
    other: int = 0


class Row(NamedTuple):
    """A valid row; `split` is empty if the file does not set it."""

    id: str
    text: str
    label: str
    split: str


class ViolationError(ValueError):
    """A value violates the contract; the message is the reason."""


def check(record: Record, contract: Contract) -> Row | Defect | Skip:
    """Return the valid row of a record, its first defect, or why it is skipped."""
    if "answer" in record.values and record.values["answer"] in ANSWERS:
        return Skip(record.line, f"the annotator's answer is '{record.values['answer']}'", record.last)
    values: dict[str, str] = {}
    known, found = contract.normalized, record.values
    for name, field in contract.fields.items():
        value = found.get(name)
        repeated = (name, value) if name in REPEATED and isinstance(value, str) else None
        if repeated and (text := known.get(repeated)) is not None:
            values[name] = text
            continue
        try:
            values[name] = text = normalize(value, field)
        except ViolationError as violation:
            return Defect(record.line, name, str(violation), excerpt(value), record.last)
        if repeated and len(known) < MAX_NORMALIZED:
            known[repeated] = text
    if not values["id"]:
        values["id"] = derived_id(values["text"])
    return Row(**values)


def derived_id(text: str) -> str:
    """Return the id of a row that has none."""
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]


def span(item: Record | Defect | Skip) -> int:
    """Return the number of a row's physical lines; 0 if the format has no lines."""
    if item.line is None:
        return 0
    return 1 if item.last is None else item.last - item.line + 1


def normalize(value: object, field: Field) -> str:
    """Validate a value, and return it as the feature store keeps it; empty if it is missing and optional.

    Raises:
        ViolationError: The value violates the contract.
    """
    text = to_text(value, field)
    if field.name != "text":
        text = text.strip()
    if field.name == "split":
        text = text.lower()
    if not text.strip():
        return missing(field, "no" if value is None else "empty")
    check_characters(text, field)
    if has_line_break(text):
        if field.line_breaks == "refuse":
            raise ViolationError(f"a line break in the {field.name}")
        text = LINE_BREAK.sub(" ", text)
    if field.name != "text":
        text = identity(text, field.name)
        if not text:
            return missing(field, "empty")
    if field.values or field.null_words or field.name == "label":
        text = interpret(text, field)
        if not text:
            return text
    check_size(text, field)
    if field.allowed and text not in field.allowed:
        raise ViolationError(
            f"unknown {field.name} '{excerpt(text)}'; use {' or '.join(sorted(field.allowed))}"
            + (f", or say in [fields.{field.name}.values] what it is" if field.name == "label" else "")
        )
    return text


def has_line_break(text: str) -> bool:
    """Return whether LINE_BREAK occurs in a text; a search by the pattern takes ten times as long."""
    if "\n" in text or "\r" in text or "\x85" in text:
        return True
    return not text.isascii() and ("\u2028" in text or "\u2029" in text)


def missing(field: Field, fault: str) -> str:
    """Return the value of a missing field, which is empty, or refuse it if the field is required."""
    if field.required:
        raise ViolationError(f"{fault} {field.name}")
    return ""


def interpret(text: str, field: Field) -> str:
    """Replace a value by what the contract says that it stands for; refuse what stands for none."""
    if text in field.values:
        return field.values[text]
    if text in field.allowed:
        return text
    if text.casefold() in field.null_words:
        if field.required:
            raise ViolationError(f"'{excerpt(text)}' stands for no {field.name}; {remedy(text, field)}")
        return ""
    if field.name == "label" and is_fraction(text):
        raise ViolationError(f"{not_of_type(field)} but the fraction {excerpt(text)}; {remedy(text, field)}")
    return text


def remedy(text: str, field: Field) -> str:
    """Return how to make a refused text a value."""
    return f"if it is a value, add '{excerpt(text)}' to [fields.{field.name}.values] of contract.toml"


def not_of_type(field: Field) -> str:
    """Return the reason for a value of another type."""
    return f"{field.name} is not of type {' or '.join(sorted(field.types))}"


def to_text(value: object, field: Field) -> str:
    """Return a value of an allowed type as text; the contract's table shows which values are the same."""
    if value is None:
        return ""
    if isinstance(value, str):
        if "string" in field.types or is_integer(value):
            return value
    elif isinstance(value, bool):
        if field.name == "label" and "string" in field.types:
            return str(value).lower()
    elif isinstance(value, int):
        if "integer" in field.types:
            return str(value)
    elif isinstance(value, float | Decimal):
        if math.isnan(value):
            return ""
        if "integer" in field.types and math.isfinite(value):
            return number_text(value, field)
    elif isinstance(value, UUID) and "string" in field.types:
        return str(value)
    raise ViolationError(not_of_type(field))


def number_text(value: float | Decimal, field: Field) -> str:
    """Return a whole number as its digits, and a label's fraction as it is written."""
    exact = -EXACT < value < EXACT
    if value == int(value) and (exact or isinstance(value, Decimal)):
        return str(int(value))
    if field.name == "label" and exact:
        return f"{value:f}".rstrip("0") if isinstance(value, Decimal) else repr(value)
    raise ViolationError(not_of_type(field))


def is_integer(text: str) -> bool:
    """Return whether a cell holds an integer or nothing; CSV writes all values as text."""
    return not text.strip() or INTEGER.fullmatch(text.strip()) is not None


def check_characters(text: str, field: Field) -> None:
    """Refuse invalid text: bytes that are not UTF-8, a lone surrogate, NUL."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        if code in ESCAPED_BYTES:
            raise ViolationError(f"{field.name} is not UTF-8: byte 0x{code - 0xDC00:02x}") from error
        raise ViolationError(f"{field.name} holds half a surrogate pair") from error
    if "\0" in text:
        raise ViolationError(f"{field.name} holds a NUL character")


def check_size(text: str, field: Field) -> None:
    """Refuse text that is too short or too long."""
    if len(text.strip()) < field.min_length:
        raise ViolationError(
            f"{field.name} of {len(text.strip()):,} characters; at least {field.min_length:,}"
        )
    if len(text) > field.max_length:
        raise ViolationError(f"{field.name} of {len(text):,} characters; at most {field.max_length:,}")
    if len(text) * UTF8_BYTES > field.max_bytes and (size := len(text.encode())) > field.max_bytes:
        raise ViolationError(f"{field.name} of {size:,} bytes; at most {field.max_bytes:,}")


def excerpt(value: object) -> str:
    """Return a value truncated for a report; empty if there is none."""
    text = "" if value is None else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
