"""Requests and responses, as a connection and the application exchange them."""

import re
from dataclasses import dataclass, field
from secrets import token_hex
from time import perf_counter

import orjson

JSON = "application/json"
# SageMaker passes on an InferenceId of the caller; other callers use other headers.
ID_HEADERS = (b"x-amzn-sagemaker-inference-id", b"x-request-id", b"x-amzn-requestid")
ID = re.compile(rb"[\x21-\x7e]{1,128}")


@dataclass(slots=True)
class Request:
    """A request, or the part of it that has arrived.

    Attributes:
        headers: By lower-case name; the last of repeated ones.
        held_bytes: Bytes of the body that admission control counts.
        refusal: The error response, if the request is refused before its end.
    """

    method: bytes = b""
    target: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    admitted: bool = False
    held_bytes: int = 0
    refusal: "Response | None" = None
    keep_alive: bool = True
    started: float = field(default_factory=perf_counter)

    @property
    def path(self) -> bytes:
        """Return the target without its query."""
        return self.target.partition(b"?")[0]

    @property
    def body(self) -> bytes:
        """Return the whole body."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)

    def header(self, name: bytes) -> str | None:
        """Return a header's value."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def identity(self) -> str:
        """Return the caller's id of the request, or a new one."""
        for name in ID_HEADERS:
            value = self.headers.get(name)
            if value and ID.fullmatch(value):
                return value.decode()
        return token_hex(8)


@dataclass(slots=True)
class Response:
    """A response.

    Attributes:
        rows: The number of texts that were classified.
    """

    status: int
    body: bytes = b""
    type: str = JSON
    rows: int = 0
    headers: tuple[tuple[str, str], ...] = ()


def refusal(status: int, reason: str, **headers: str) -> Response:
    """Return an error response; underscores in header names stand for hyphens."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status, orjson.dumps({"error": reason}), headers=named)
