"""Requests to texts, probabilities to answers, in each content type."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from errors import RequestError
from numpy.typing import NDArray

JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"
TYPES = (JSON_LINES, JSON, CSV)
TEXT_CHARACTERS = 1 << 20
ROWS = 200_000
DIGITS = 6  # of a probability

Answers = list[dict[str, Any]]


@dataclass(slots=True)
class Request:
    """A request's texts, and what each answer repeats of its row."""

    texts: list[str] = field(default_factory=list)
    keys: list[dict[str, str | int]] = field(default_factory=list)
    wrap: Callable[[Answers], Any] = list

    def add(self, where: str, row: object) -> None:
        """Add one row: an object with a text and perhaps an id, or a bare string."""
        row = {"text": row} if isinstance(row, str) else row
        if not isinstance(row, dict):
            raise bad(where, "not an object with a 'text'")
        text, key = row.get("text"), row.get("id")
        if not isinstance(text, str):
            raise bad(where, "no 'text'" if text is None else "'text' is not a string")
        if len(text) > TEXT_CHARACTERS:
            raise bad(where, f"'text' of {len(text):,} characters; at most {TEXT_CHARACTERS:,}")
        if not isinstance(key, str | int | None) or isinstance(key, bool):
            raise bad(where, "'id' is neither a string nor a whole number")
        if len(self.texts) == ROWS:
            raise RequestError(413, f"more than {ROWS:,} rows; send fewer at a time")
        self.texts.append(text)
        self.keys.append({} if key is None else {"id": key})


def parse(body: bytes, content_type: str) -> Request:
    """Read a request of one of TYPES.

    Raises:
        RequestError: The body is not what its content type says; names the line.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise bad(f"line {line}", f"not UTF-8: byte 0x{body[error.start]:02x}") from error
    request = {JSON: parse_json, JSON_LINES: parse_json_lines, CSV: parse_csv}[content_type](text)
    if not request.texts:
        raise RequestError(400, "the request holds no row")
    return request


def parse_json(text: str) -> Request:
    """One row, a list of them, or {"instances": a list}."""
    content = load(text, "")
    if isinstance(content, dict) and "instances" in content:
        rows, request = content["instances"], Request(wrap=lambda answers: {"predictions": answers})
        if not isinstance(rows, list):
            raise RequestError(400, "'instances' is not a list")
    elif isinstance(content, list):
        rows, request = content, Request()
    else:
        rows, request = [content], Request(wrap=lambda answers: answers[0])
    for number, row in enumerate(rows, 1):
        request.add(f"row {number}", row)
    return request


def parse_json_lines(text: str) -> Request:
    """A row a line; empty lines are passed over."""
    request = Request()
    for number, line in enumerate(text.split("\n"), 1):
        if line and not line.isspace():
            request.add(f"line {number}", load(line, f"line {number}"))
    return request


def parse_csv(text: str) -> Request:
    """One text a record, quoted where it holds a comma, a quote or a line's end (RFC 4180)."""
    request = Request()
    csv.field_size_limit(TEXT_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for record in reader:
            if len(record) > 1:
                raise bad(f"line {line}", f"{len(record)} columns; quote a text that holds a comma")
            if record:
                request.add(f"line {line}", record[0])
            line = reader.line_num + 1
    except csv.Error as error:
        raise bad(f"line {line}", f"not CSV: {error}") from error
    return request


def load(text: str, where: str) -> Any:
    """Parse JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad(where, f"not JSON: {error}") from error


def bad(where: str, reason: str) -> RequestError:
    """A row's error."""
    return RequestError(400, f"{where}: {reason}" if where else reason)


def render(request: Request, labels: Sequence[str], probabilities: NDArray[Any], accept: str) -> bytes:
    """Write the answers as one of TYPES."""
    best = probabilities.argmax(axis=1).tolist()
    rounded = probabilities.round(DIGITS).tolist()
    if accept == CSV:
        target = io.StringIO()
        answers = ((labels[i], row[i]) for i, row in zip(best, rounded, strict=True))
        csv.writer(target, lineterminator="\n").writerows(answers)
        return target.getvalue().encode("utf-8", "replace")
    rows: Answers = [
        key | {"label": labels[i], "probabilities": dict(zip(labels, row, strict=True))}
        for key, i, row in zip(request.keys, best, rounded, strict=True)
    ]
    if accept == JSON:
        return json.dumps(request.wrap(rows)).encode()
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def request_type(header: str | None) -> str:
    """The content type that a request's header names."""
    media = media_type(header or "")
    if media not in TYPES:
        raise RequestError(415, f"content type '{media}' is not known; send {', '.join(TYPES)}")
    return media


def answer_type(header: str | None, content_type: str) -> str:
    """The most wanted of TYPES; where all are alike to the client, that of its request."""
    ranges = [part for part in (header or "*/*").split(",") if part.strip()]
    for accepted in sorted(ranges, key=quality, reverse=True):
        media = media_type(accepted)
        for known in (content_type, *TYPES):
            if quality(accepted) > 0 and media in (known, "*/*", known.partition("/")[0] + "/*"):
                return known
    raise RequestError(406, f"'{header}' is not answered; accept {', '.join(TYPES)}")


def media_type(header: str) -> str:
    """A header's value without its parameters."""
    return header.partition(";")[0].strip().lower()


def quality(accepted: str) -> float:
    """The q of one accepted range (RFC 9110, section 12.4.2)."""
    for parameter in accepted.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0
    return 1
