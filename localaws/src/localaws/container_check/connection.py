"""Send HTTP requests to a container and read its responses."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from typing import Self

from localaws.container_check.errors import Broken

CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Response:
    """A container's HTTP response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def summary(self) -> str:
        """The status and the beginning of the body."""
        text = " ".join(self.body[:120].decode("utf-8", "replace").split())
        return f"{self.status} {text}".rstrip()


class Connection:
    """A connection to a container, kept alive if the container keeps it alive."""

    def __init__(self, http: HTTPConnection) -> None:
        self._http = http

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def request(
        self, path: str, body: bytes | None, headers: Mapping[str, str], *, chunked: bool = False
    ) -> Response:
        """Send a request, GET without a body and otherwise POST, and read the complete response.

        Raises:
            Broken: the container sent no complete response within the timeout.
        """
        started = time.monotonic()
        self.send(path, body, headers, chunked=chunked)
        return replace(self.receive(path), seconds=time.monotonic() - started)

    def send(
        self, path: str, body: bytes | None, headers: Mapping[str, str], *, chunked: bool = False
    ) -> None:
        """Send a request; a server that rejects the body unread may close the connection early."""
        method = "GET" if body is None else "POST"
        content = _chunks(body) if chunked and body is not None else body
        try:
            self._http.request(method, path, content, dict(headers), encode_chunked=chunked)
        except (BrokenPipeError, ConnectionResetError):
            pass
        except OSError as error:
            raise Broken(f"{method} {path}: {_reason(error, self._http.timeout)}") from error

    def receive(self, path: str) -> Response:
        """Read the response to the request of `send`.

        Raises:
            Broken: the container sent no complete response within the timeout.
        """
        started = time.monotonic()
        try:
            response = self._http.getresponse()
            body = response.read()
        except (OSError, HTTPException) as error:
            raise Broken(f"{path}: {_reason(error, self._http.timeout)}") from error
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, headers, body, time.monotonic() - started)

    @property
    def open(self) -> bool:
        """Whether the connection can be reused; http.client closes it after `Connection: close`."""
        return self._http.sock is not None


def run_parallel(requests: Sequence[Callable[[], Response]]) -> list[Response | Broken]:
    """Run the requests concurrently and return their responses or failures in order."""
    responses: list[Response | Broken] = [Broken("no response")] * len(requests)

    def run(index: int, request: Callable[[], Response]) -> None:
        try:
            responses[index] = request()
        except Broken as finding:
            responses[index] = finding

    threads = [threading.Thread(target=run, args=item) for item in enumerate(requests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return responses


def _chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), CHUNK_BYTES):
        yield body[start : start + CHUNK_BYTES]


def _reason(error: Exception, timeout: float | None) -> str:
    if isinstance(error, TimeoutError):
        return f"no response within {timeout:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return f"the connection was closed before a complete response ({type(error).__name__})"
