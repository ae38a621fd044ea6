"""Validate rows against the data contract."""

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from processing.ingestion.contract import UTF8_BYTES, Contract, Field

ID_DIGITS = 32  # hexadecimal digits of the text's SHA-256
SHOWN_CHARACTERS = 200
# AWS validates a feature's value with Java's pattern `.*`, so it must be one line. These are Java's line
# breaks.
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
INTEGER = re.compile(r"-?[0-9]+")
ESCAPED_BYTES = range(0xDC80, 0xDD00)  # the code points of bytes 0x80 to 0xff in `surrogateescape`


class Record(NamedTuple):
    """A row as read from a file; `line` is its first line, if the format has lines."""

    line: int | None
    values: Mapping[str, object]


class Defect(NamedTuple):
    """Why a row cannot be ingested; `field` is None if the whole row is invalid."""

    line: int | None
    field: str | None
    reason: str
    value: str


class Row(NamedTuple):
    """A valid row; `split` is empty if the file does not set it."""

    id: str
    text: str
    label: str
    split: str


class ViolationError(ValueError):
    """A value violates the contract; the message is the reason."""


def check(record: Record, contract: Contract) -> Row | Defect:
    """Return the valid row of a record, or its first defect."""
    values: dict[str, str] = {}
    for name, field in contract.fields.items():
        try:
            values[name] = normalize(record.values.get(name), field)
        except ViolationError as violation:
            return Defect(record.line, name, str(violation), excerpt(record.values.get(name)))
    if not values["id"]:
        values["id"] = hashlib.sha256(values["text"].encode()).hexdigest()[:ID_DIGITS]
    return Row(**values)


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
        if field.required:
            raise ViolationError(f"no {field.name}" if value is None else f"empty {field.name}")
        return ""
    check_characters(text, field)
    if LINE_BREAK.search(text):
        if field.line_breaks == "refuse":
            raise ViolationError(f"a line break in the {field.name}")
        text = LINE_BREAK.sub(" ", text)
    check_size(text, field)
    if field.allowed and text not in field.allowed:
        raise ViolationError(
            f"unknown {field.name} '{excerpt(text)}'; use {' or '.join(sorted(field.allowed))}"
        )
    return text


def to_text(value: object, field: Field) -> str:
    """Return a value of an allowed type as text."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and "integer" in field.types:
        return str(value)
    if isinstance(value, str) and ("string" in field.types or is_integer(value)):
        return value
    raise ViolationError(f"{field.name} is not of type {' or '.join(sorted(field.types))}")


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
