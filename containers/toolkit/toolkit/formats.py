"""Parse requests into texts, and render probabilities, per content type."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from numpy.typing import NDArray

from toolkit.classifier import Weights
from toolkit.content_types import CSV, JSON, JSON_LINES
from toolkit.decoding import decode
from toolkit.errors import RequestError

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


def parse(body: bytes, content_type: str, *, header: bool = False) -> Inputs:
    """Read a request of a supported content type.

    Args:
        body: The request's body.
        content_type: The supported type.
        header: Whether the first record of CSV names the columns.

    Raises:
        RequestError: The body does not match its content type; the message names the line.
    """
    body = body.removeprefix(BYTE_ORDER_MARK)
    inputs = parse_csv(body, header=True) if header else PARSERS[content_type](body)
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


def parse_csv(body: bytes, *, header: bool = False) -> Inputs:
    """Parse one text per record; a text with a comma, quote or line break is quoted (RFC 4180).

    With a header, the text is in the column `text`, or in the only column; a column `id` is optional.
    """
    inputs = Inputs()
    csv.field_size_limit(MAX_TEXT_CHARACTERS)
    reader = csv.reader(io.StringIO(to_text(body), newline=""), strict=True)
    columns: Columns | None = None
    line = 1
    try:
        for record in reader:
            if record and header and columns is None:
                columns = find_columns(record, f"line {line}")
            elif record:
                inputs.add(f"line {line}", csv_row(record, columns, f"line {line}"))
            line = reader.line_num + 1
    except csv.Error as error:
        raise row_error(f"line {line}", f"not CSV: {error}") from error
    return inputs


class Columns(NamedTuple):
    """The header of a CSV request: the number of columns, and the places of the text and the id."""

    width: int
    text: int
    id: int | None


def find_columns(names: list[str], where: str) -> Columns:
    """Find the columns of a CSV request by its header."""
    names = [name.strip().lower() for name in names]
    if len(names) == 1:
        return Columns(1, 0, None)
    if names.count("text") != 1 or names.count("id") > 1:
        raise row_error(where, f"the columns are {','.join(names)}; text[,id] are needed, each once")
    return Columns(len(names), names.index("text"), names.index("id") if "id" in names else None)


def csv_row(record: list[str], columns: Columns | None, where: str) -> dict[str, str]:
    """Return the row of a record; without a header, it is one text."""
    if columns is None:
        if len(record) > 1:
            raise row_error(where, f"{len(record)} columns; quote a text that holds a comma")
        return {"text": record[0]}
    if len(record) != columns.width:
        raise row_error(where, f"{len(record)} columns, but the header has {columns.width}")
    key = {} if columns.id is None else {"id": record[columns.id]}
    return {"text": record[columns.text], **key}


PARSERS: dict[str, Callable[[bytes], Inputs]] = {
    JSON: parse_json,
    JSON_LINES: parse_json_lines,
    CSV: parse_csv,
}


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
    """Render the answers as a supported type.

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
