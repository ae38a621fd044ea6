"""Requests to a container over HTTP, and its answers."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from typing import Self

from localaws.container_check.errors import Broken

CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Answer:
    """What a container answered; the headers' names are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def summary(self) -> str:
        """It in a few words."""
        text = " ".join(self.body[:120].decode("utf-8", "replace").split())
        return f"{self.status} {text}".rstrip()


class Connection:
    """One connection, kept alive if the container does."""

    def __init__(self, http: HTTPConnection) -> None:
        self._http = http

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(
        self, path: str, body: bytes | None, headers: Mapping[str, str], *, chunked: bool = False
    ) -> Answer:
        """Send a request and read the whole answer.

        Raises:
            Broken: no whole answer, or none in time.
        """
        started = time.monotonic()
        self.send(path, body, headers, chunked=chunked)
        return replace(self.receive(path), seconds=time.monotonic() - started)

    def send(
        self, path: str, body: bytes | None, headers: Mapping[str, str], *, chunked: bool = False
    ) -> None:
        """Send a request; who refuses a body unread may have answered and closed before its end."""
        method = "GET" if body is None else "POST"
        content = _chunks(body) if chunked and body is not None else body
        try:
            self._http.request(method, path, content, dict(headers), encode_chunked=chunked)
        except (BrokenPipeError, ConnectionResetError):
            pass
        except OSError as error:
            raise Broken(f"{method} {path}: {_reason(error, self._http.timeout)}") from error

    def receive(self, path: str) -> Answer:
        """Read the answer to what was sent.

        Raises:
            Broken: it did not come, or not whole.
        """
        started = time.monotonic()
        try:
            response = self._http.getresponse()
            body = response.read()
        except (OSError, HTTPException) as error:
            raise Broken(f"{path}: {_reason(error, self._http.timeout)}") from error
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, body, time.monotonic() - started)

    @property
    def open(self) -> bool:
        """Whether it is still connected: a container that closes it says so in its answer."""
        return self._http.sock is not None


def run_parallel(asks: Sequence[Callable[[], Answer]]) -> list[Answer | Broken]:
    """Do all of them at the same time."""
    answers: list[Answer | Broken] = [Broken("no answer")] * len(asks)

    def keep(index: int, ask: Callable[[], Answer]) -> None:
        try:
            answers[index] = ask()
        except Broken as finding:
            answers[index] = finding

    threads = [threading.Thread(target=keep, args=item) for item in enumerate(asks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), CHUNK_BYTES):
        yield body[start : start + CHUNK_BYTES]


def _reason(error: Exception, timeout: float | None) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {timeout:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens"
    return f"it hung up without a whole answer ({type(error).__name__})"
