"""Parse requests into texts, and render probabilities, per content type."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson
from numpy.typing import NDArray

from toolkit.classifier import Weights
from toolkit.decoding import decode
from toolkit.errors import RequestError

JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"
TYPES = (JSON_LINES, JSON, CSV)
CHARSET = {JSON: JSON, JSON_LINES: JSON_LINES, CSV: "text/csv; charset=utf-8"}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_TEXT_CHARACTERS = 1 << 20
MAX_ROWS = 200_000
MAX_EXPLANATION = 100  # features per text
DIGITS = 6  # of a probability

Answers = list[dict[str, Any]]


@dataclass(slots=True)
class Inputs:
    """The texts of a request, and what each answer repeats from its row.

    Attributes:
        explain: Row index to the number of features to explain.
        wrap: Wraps the answers in the shape of the request's body.
    """

    texts: list[str] = field(default_factory=list)
    keys: list[dict[str, str | int]] = field(default_factory=list)
    explain: dict[int, int] = field(default_factory=dict)
    wrap: Callable[[Answers], Any] = list

    def add(self, where: str, row: object) -> None:
        """Add one row: a string, or an object with `text` and optionally `id` and `explain`."""
        row = {"text": row} if isinstance(row, str) else row
        if not isinstance(row, dict):
            raise row_error(where, "not an object with a 'text'")
        text, key, explain = row.get("text"), row.get("id"), row.get("explain", 0)
        if not isinstance(text, str):
            raise row_error(where, "no 'text'" if text is None else "'text' is not a string")
        if len(text) > MAX_TEXT_CHARACTERS:
            raise row_error(where, f"'text' of {len(text):,} characters; at most {MAX_TEXT_CHARACTERS:,}")
        if not isinstance(key, str | int | None) or isinstance(key, bool):
            raise row_error(where, "'id' is neither a string nor a whole number")
        if type(explain) is not int or not 0 <= explain <= MAX_EXPLANATION:
            raise row_error(where, f"'explain' is not a whole number from 0 to {MAX_EXPLANATION}")
        if len(self.texts) == MAX_ROWS:
            raise RequestError(413, f"more than {MAX_ROWS:,} rows; send fewer at a time")
        if explain:
            self.explain[len(self.texts)] = explain
        self.texts.append(text)
        self.keys.append({} if key is None else {"id": key})


def parse(body: bytes, content_type: str) -> Inputs:
    """Read a request of one of TYPES.

    Raises:
        RequestError: The body does not match its content type; the message names the line.
    """
    body = body.removeprefix(BYTE_ORDER_MARK)
    inputs = PARSERS[content_type](body)
    if not inputs.texts:
        raise RequestError(400, "the request has no rows")
    return inputs


def parse_json(body: bytes) -> Inputs:
    """Parse one row, a list of rows, or {"instances": [rows]}."""
    content = load(body, body, "")
    if isinstance(content, dict) and "instances" in content:
        rows, inputs = content["instances"], Inputs(wrap=lambda answers: {"predictions": answers})
        if not isinstance(rows, list):
            raise RequestError(400, "'instances' is not a list")
    elif isinstance(content, list):
        rows, inputs = content, Inputs()
    else:
        rows, inputs = [content], Inputs(wrap=lambda answers: answers[0])
    for number, row in enumerate(rows, 1):
        inputs.add(f"row {number}", row)
    return inputs


def parse_json_lines(body: bytes) -> Inputs:
    """Parse one row per line; skip empty lines."""
    inputs = Inputs()
    for number, line in enumerate(body.split(b"\n"), 1):
        if line and not line.isspace():
            inputs.add(f"line {number}", load(line, body, f"line {number}"))
    return inputs


def parse_csv(body: bytes) -> Inputs:
    """Parse one text per record; a text with a comma, quote or line break is quoted (RFC 4180)."""
    inputs = Inputs()
    csv.field_size_limit(MAX_TEXT_CHARACTERS)
    reader = csv.reader(io.StringIO(to_text(body), newline=""), strict=True)
    line = 1
    try:
        for record in reader:
            if len(record) > 1:
                raise row_error(f"line {line}", f"{len(record)} columns; quote a text that holds a comma")
            if record:
                inputs.add(f"line {line}", record[0])
            line = reader.line_num + 1
    except csv.Error as error:
        raise row_error(f"line {line}", f"not CSV: {error}") from error
    return inputs


PARSERS = {JSON: parse_json, JSON_LINES: parse_json_lines, CSV: parse_csv}


def load(content: bytes, body: bytes, where: str) -> Any:
    """Parse the JSON of a part of the body."""
    try:
        return decode(content)
    except ValueError as error:
        to_text(body)
        raise row_error(where, f"not JSON: {error}") from error


def to_text(body: bytes) -> str:
    """Decode a body as UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise row_error(f"line {line}", f"not UTF-8: byte 0x{body[error.start]:02x}") from error


def row_error(where: str, reason: str) -> RequestError:
    """Return the error of a row."""
    return RequestError(400, f"{where}: {reason}" if where else reason)


def render(
    inputs: Inputs,
    labels: Sequence[str],
    probabilities: NDArray[Any],
    explanations: dict[int, Weights],
    accept: str,
) -> bytes:
    """Render the answers as one of TYPES.

    Args:
        probabilities: Of shape (texts, labels).
        explanations: By row index, for the rows of `inputs.explain`.
    """
    rows: list[list[float]] = probabilities.tolist()
    best = [row.index(max(row)) for row in rows]
    if accept == CSV:
        target = io.StringIO()
        answers = ((labels[i], round(row[i], DIGITS)) for i, row in zip(best, rows, strict=True))
        csv.writer(target, lineterminator="\n").writerows(answers)
        return target.getvalue().encode("utf-8", "replace")
    rounded = [dict(zip(labels, [round(p, DIGITS) for p in row], strict=True)) for row in rows]
    objects: Answers = [
        key | {"label": labels[i], "probabilities": row}
        for key, i, row in zip(inputs.keys, best, rounded, strict=True)
    ]
    for place, weights in explanations.items():
        explanation = [{"text": text, "weight": round(float(weight), DIGITS)} for text, weight in weights]
        objects[place]["explanation"] = explanation
    if accept == JSON:
        return orjson.dumps(inputs.wrap(objects))
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in objects)


@lru_cache(256)
def request_type(header: str | None) -> str:
    """Return the content type that a request's header names."""
    media = media_type(header or "")
    if media not in TYPES:
        raise RequestError(415, f"content type '{media}' is not supported; send {', '.join(TYPES)}")
    return media


@lru_cache(256)
def answer_type(header: str | None, content_type: str) -> str:
    """Return the type of TYPES that the client prefers; for equal preference, the request's own."""
    ranges = [part for part in (header or "*/*").split(",") if part.strip()]
    for accepted in sorted(ranges, key=quality, reverse=True):
        media = media_type(accepted)
        for offered in (content_type, *TYPES):
            if quality(accepted) > 0 and media in (offered, "*/*", offered.partition("/")[0] + "/*"):
                return offered
    raise RequestError(406, f"'{header}' is not supported; accept {', '.join(TYPES)}")


def media_type(header: str) -> str:
    """Return a header's value without its parameters."""
    return header.partition(";")[0].strip().lower()


def quality(accepted: str) -> float:
    """Return the quality value of an accepted range (RFC 9110, section 12.4.2)."""
    for parameter in accepted.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0
    return 1
