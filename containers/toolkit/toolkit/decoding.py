"""Parse untrusted JSON."""

import json
import re
from typing import Any

import orjson

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
SURROGATE_ERROR = "surrogate in string"  # of orjson's messages


def decode(content: bytes | str) -> Any:
    """Parse JSON (RFC 8259): no NaN, at most 1,024 levels deep; the last of repeated keys counts.

    A lone surrogate (Python's json writes one as an escape, UTF-8 cannot hold it) becomes U+FFFD.

    Raises:
        ValueError: The content is not JSON; the message gives the position.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if SURROGATE_ERROR not in str(error):
            raise
    try:
        lenient = json.loads(content, parse_constant=_refuse)
        return orjson.loads(
            LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", json.dumps(lenient, ensure_ascii=False))
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
