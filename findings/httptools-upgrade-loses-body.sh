#!/usr/bin/env bash
# A client that offers h2c (`Connection: Upgrade`, as Java's HttpClient does on its first request over http://) may
# be answered in HTTP/1.1, body and all. httptools ends such a request before its body: on_body is never called,
# on_message_complete is, then feed_data raises HttpParserUpgrade. A server that answers in on_message_complete
# predicts for an empty text, and takes the body that follows for a bad request. The documentation names the
# exception only.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check httptools==0.9.0
venv/bin/python - <<'PYTHON'
import sys

import httptools


class Events(list):
    def on_headers_complete(self) -> None:
        self.append("headers")

    def on_body(self, body: bytes) -> None:
        self.append(body)

    def on_message_complete(self) -> None:
        self.append("complete")


def parse(*offer: str) -> list[object]:
    lines = ["POST /invocations HTTP/1.1", "Host: model", "Content-Length: 5", *offer, "", "hello"]
    events = Events()
    try:
        httptools.HttpRequestParser(events).feed_data("\r\n".join(lines).encode())
    except httptools.HttpParserUpgrade as error:
        events.append(type(error).__name__)
    return list(events)


version = f"httptools {httptools.__version__}"
expected = ["headers", b"hello", "complete"]
seen = parse(), parse("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
documented = ["headers", b"hello", "complete"], ["headers", "complete", "HttpParserUpgrade"]
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
