"""Requests from many clients at the same time, by wrk."""

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
# Each client sends the bodies in turn, made ready before the clock starts.
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
    """What a number of clients got.

    Attributes:
        answered: Requests answered.
        per_second: Of them in a second.
        p50: Milliseconds that half of the answers took at most.
        p99: Milliseconds that 99 of 100 answers took at most.
        failed: Answers with another status than 2xx, and connections that broke.
    """

    clients: int
    answered: int
    per_second: float
    p50: float
    p99: float
    failed: int


@dataclass(frozen=True)
class Shots:
    """What clients send."""

    path: str
    headers: Mapping[str, str]
    bodies: Sequence[str]

    def write(self, file: Path) -> Path:
        """Write them as wrk reads them."""
        headers = ", ".join(
            f"[{json.dumps(name)}] = {json.dumps(text)}" for name, text in self.headers.items()
        )
        bodies = ", ".join(quoted(body) for body in self.bodies)
        file.write_text(SCRIPT.format(headers=headers, bodies=bodies, path=self.path), "utf-8")
        return file


def quoted(text: str) -> str:
    """A text as Lua reads it, to the byte."""
    return "".join(['"', *(escaped(byte) for byte in text.encode()), '"'])


def escaped(byte: int) -> str:
    """A byte in a string of Lua."""
    return chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}"


def fire(port: int, script: Path, clients: int, seconds: int) -> Load:
    """Let clients ask for some seconds, each for one thing after the other.

    Raises:
        CommandError: wrk got no answer.
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
        raise CommandError(f"wrk ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return read(done.stdout, clients)


def read(report: str, clients: int) -> Load:
    """What wrk says."""
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    return Load(
        clients=clients,
        answered=int(found(r"(\d+) requests in", report)),
        per_second=float(found(r"Requests/sec:\s+([\d.]+)", report)),
        p50=milliseconds(found(r"\s50%\s+(\S+)", report)),
        p99=milliseconds(found(r"\s99%\s+(\S+)", report)),
        failed=sum(map(int, broken.groups() if broken else ())) + int(refused[1] if refused else 0),
    )


def found(pattern: str, report: str) -> str:
    """A part of wrk's report."""
    match = re.search(pattern, report)
    if not match:
        raise CommandError(f"wrk says something else than it should:\n{report}")
    return match[1]


def milliseconds(text: str) -> float:
    """A time as wrk writes it: 1.50ms, 12.00us, 1.02s."""
    number, unit = found(r"([\d.]+)", text), found(r"([a-z]+)$", text)
    return float(number) * MILLISECONDS[unit]
