"""What passes between a connection and the application."""

import re
from dataclasses import dataclass, field
from secrets import token_hex
from time import perf_counter

import orjson

JSON = "application/json"
# SageMaker hands on an InferenceId that the caller chose; other callers name a request in their own way.
ID_HEADERS = (b"x-amzn-sagemaker-inference-id", b"x-request-id", b"x-amzn-requestid")
ID = re.compile(rb"[\x21-\x7e]{1,128}")


@dataclass(slots=True)
class Request:
    """A request, or as much of it as has arrived.

    Attributes:
        headers: Names in small letters; of a doubled one the last.
        held_bytes: Bytes of the body that count at the gate.
        refusal: What is wrong with it, found before its end.
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
        """The target without its query."""
        return self.target.partition(b"?")[0]

    @property
    def body(self) -> bytes:
        """The whole body."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)

    def header(self, name: bytes) -> str | None:
        """A header's value."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def identity(self) -> str:
        """The id that the caller gave, or a new one."""
        for name in ID_HEADERS:
            value = self.headers.get(name)
            if value and ID.fullmatch(value):
                return value.decode()
        return token_hex(8)


@dataclass(slots=True)
class Response:
    """An answer.

    Attributes:
        rows: How many texts were classified for it.
    """

    status: int
    body: bytes = b""
    type: str = JSON
    rows: int = 0
    headers: tuple[tuple[str, str], ...] = ()


def refusal(status: int, reason: str, **headers: str) -> Response:
    """Tell the client why; a header's underscores stand for hyphens."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status, orjson.dumps({"error": reason}), headers=named)
