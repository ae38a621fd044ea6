"""Send requests of many concurrent clients with wrk."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import CommandError

THREADS = 1
GRACE_SECONDS = 30
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
# Each client sends the bodies in turn. The requests are formatted before the measurement.
SCRIPT = """
local headers = {{ {headers} }}
local bodies = {{ {bodies} }}
local ready, sent = {{}}, 0
function init(arguments)
    for place, body in ipairs(bodies) do ready[place] = wrk.format("POST", "{path}", headers, body) end
end
function request()
    sent = sent + 1
    return ready[sent % #ready + 1]
end
"""


@dataclass(frozen=True)
class Load:
    """The measurements for a number of clients.

    Attributes:
        answered: the number of responses.
        per_second: responses per second.
        p50: the median latency in milliseconds.
        p99: the 99th percentile of the latency in milliseconds.
        failed: responses with another status than 2xx, and socket errors.
    """

    clients: int
    answered: int
    per_second: float
    p50: float
    p99: float
    failed: int


@dataclass(frozen=True)
class Requests:
    """The requests that the clients send."""

    path: str
    headers: Mapping[str, str]
    bodies: Sequence[str]

    def write(self, file: Path) -> Path:
        """Write the requests as a Lua script for wrk."""
        headers = ", ".join(
            f"[{json.dumps(name)}] = {json.dumps(text)}" for name, text in self.headers.items()
        )
        bodies = ", ".join(quoted(body) for body in self.bodies)
        file.write_text(SCRIPT.format(headers=headers, bodies=bodies, path=self.path), "utf-8")
        return file


def quoted(text: str) -> str:
    """Return a Lua string literal with exactly the text's bytes."""
    return "".join(['"', *(escaped(byte) for byte in text.encode()), '"'])


def escaped(byte: int) -> str:
    """Return a byte as in a Lua string literal."""
    return chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}"


def run_wrk(port: int, script: Path, clients: int, seconds: int) -> Load:
    """Run wrk with concurrent clients, each of which sends one request after the other.

    Raises:
        CommandError: wrk failed.
    """
    command = ["wrk", f"-t{THREADS}", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
    done = subprocess.run(
        [*command, "-s", str(script), f"http://127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        timeout=seconds + GRACE_SECONDS,
        check=False,
    )
    if done.returncode:
        raise CommandError(f"wrk failed with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return read(done.stdout, clients)


def read(report: str, clients: int) -> Load:
    """Parse the report of wrk."""
    socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
    bad_statuses = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    return Load(
        clients=clients,
        answered=int(found(r"(\d+) requests in", report)),
        per_second=float(found(r"Requests/sec:\s+([\d.]+)", report)),
        p50=milliseconds(found(r"\s50%\s+(\S+)", report)),
        p99=milliseconds(found(r"\s99%\s+(\S+)", report)),
        failed=sum(map(int, socket_errors.groups() if socket_errors else ()))
        + int(bad_statuses[1] if bad_statuses else 0),
    )


def found(pattern: str, report: str) -> str:
    """Return the first group of a pattern in wrk's report.

    Raises:
        CommandError: The pattern does not match.
    """
    match = re.search(pattern, report)
    if not match:
        raise CommandError(f"unexpected output of wrk:\n{report}")
    return match[1]


def milliseconds(text: str) -> float:
    """Convert a time of wrk, such as 1.50ms, 12.00us or 1.02s, to milliseconds."""
    number, unit = found(r"([\d.]+)", text), found(r"([a-z]+)$", text)
    return float(number) * MILLISECONDS[unit]
