"""The download from a real local HTTP server."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from demo import download

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Archive(BaseHTTPRequestHandler):
    requests: list[str | None]
    stop_after: int | None = None

    def do_GET(self) -> None:
        requested = self.headers.get("Range")
        self.requests.append(requested)
        start = int(requested.removeprefix("bytes=").removesuffix("-")) if requested else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[start:]
        self.send_response(206 if requested else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: type(self).stop_after])

    def log_message(self, format: str, *args: object) -> None:
        """Do not log requests."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[Archive]]]:
    handler = type("Handler", (Archive,), {"requests": [], "stop_after": None})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as it:
        thread = threading.Thread(target=it.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{it.server_address[1]}/aclImdb_v1.tar.gz", handler
        it.shutdown()
        thread.join()


def fetch(target: Path, url: str) -> Path:
    return download.fetch(target, Console(quiet=True), url, SHA256)


def test_the_file_is_downloaded_once(tmp_path: Path, server: tuple[str, type[Archive]]) -> None:
    url, handler = server
    target = tmp_path / "deep" / "a.tar.gz"
    assert fetch(target, url).read_bytes() == CONTENT
    fetch(target, url)
    assert handler.requests == [None]
    assert [path.name for path in target.parent.iterdir()] == ["a.tar.gz"]


def test_an_incomplete_download_is_resumed(tmp_path: Path, server: tuple[str, type[Archive]]) -> None:
    url, handler = server
    handler.stop_after = 1000
    with pytest.raises(download.Unreachable, match="1,000 of 1,024,000 bytes"):
        fetch(tmp_path / "a.tar.gz", url)
    assert not (tmp_path / "a.tar.gz").exists()
    handler.stop_after = None
    assert fetch(tmp_path / "a.tar.gz", url).read_bytes() == CONTENT
    assert handler.requests == [None, "bytes=1000-"]


def test_a_complete_part_is_used(tmp_path: Path, server: tuple[str, type[Archive]]) -> None:
    (tmp_path / "a.tar.gz.part").write_bytes(CONTENT)
    assert fetch(tmp_path / "a.tar.gz", server[0]).read_bytes() == CONTENT


def test_other_content_is_deleted(tmp_path: Path, server: tuple[str, type[Archive]]) -> None:
    with pytest.raises(download.Unreachable, match="SHA-256 differs"):
        download.fetch(tmp_path / "a.tar.gz", Console(quiet=True), server[0], "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_port_is_unreachable(tmp_path: Path, server: tuple[str, type[Archive]]) -> None:
    with pytest.raises(download.Unreachable, match=r"http://127\.0\.0\.1:1/"):
        fetch(tmp_path / "a.tar.gz", "http://127.0.0.1:1/x")
