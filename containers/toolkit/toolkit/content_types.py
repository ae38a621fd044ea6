"""Read the headers that name content types: of a request, and of the response that its client prefers."""

from functools import lru_cache

from toolkit.errors import RequestError

JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"
TYPES = (JSON_LINES, JSON, CSV)
CHARSET = {JSON: JSON, JSON_LINES: JSON_LINES, CSV: "text/csv; charset=utf-8"}


@lru_cache(256)
def request_type(header: str | None) -> str:
    """Return the content type that a request's header names."""
    media = media_type(header or "")
    if media not in TYPES:
        raise RequestError(415, f"content type '{media}' is not supported; send {', '.join(TYPES)}")
    return media


@lru_cache(256)
def has_header(header: str | None) -> bool:
    """Return whether a request's content type says that its CSV begins with the columns' names (RFC 4180)."""
    value = parameters(header or "").get("header", "absent").strip('"').lower()
    if value not in ("present", "absent"):
        raise RequestError(415, f"header={value} is not supported; send header=present or header=absent")
    if value == "present" and media_type(header or "") != CSV:
        raise RequestError(415, f"header=present is for {CSV} only")
    return value == "present"


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


def parameters(header: str) -> dict[str, str]:
    """Return a header's parameters, by their names in lower case."""
    parts = (parameter.partition("=") for parameter in header.split(";")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in parts}


def quality(accepted: str) -> float:
    """Return the quality value of an accepted range (RFC 9110, section 12.4.2)."""
    try:
        return float(parameters(accepted).get("q", "1"))
    except ValueError:
        return 0
