"""A server of the toolkit in a process of its own, with a model that its requests control.

`toolkit_server.py` itself is its `serve`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOOLKIT = Path(__file__).parents[4] / "containers/toolkit"
JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"
START_SECONDS = 300


class Obedient:
    """A text is an order (`sleep 0.5`, `fail`, `lose`, `die`, `wrong`), or its good and bad words count.

    `hold FILE` takes until there is the file.
    """

    labels = ("neg", "pos")

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the probabilities, of shape (texts, labels)."""
        for text in texts:
            if text.startswith("sleep "):
                time.sleep(float(text.removeprefix("sleep ")))
            elif text.startswith("hold "):
                while not Path(text.removeprefix("hold ")).exists():
                    time.sleep(0.01)
            elif text == "fail":
                raise ZeroDivisionError(text)
            elif text == "lose":
                from toolkit.errors import DeviceError

                raise DeviceError("CUDA error: an illegal memory access was encountered")
            elif text == "die":
                os._exit(9)
        if "wrong" in texts:
            return np.zeros((1, 3))
        score = np.array([text.count("good") - text.count("bad") for text in texts], np.float64)
        positive = 1 / (1 + np.exp(-score))
        return np.stack([1 - positive, positive], axis=1)


class Explaining(Obedient):
    """Tells its words."""

    def explain(self, texts: Sequence[str], top: int) -> list[list[tuple[str, float]]]:
        """Return the words with their weights."""
        weights = {"good": 1.0, "bad": -1.0}
        return [[(word, weights[word]) for word in text.split() if word in weights][:top] for text in texts]


class Gathering(Obedient):
    """Has requests put together."""

    workers = 1

    def __init__(self) -> None:
        from toolkit.classifier import Batching

        self.batching = Batching(texts=8, milliseconds=100)


class Starting(Obedient):
    """Starts a process."""

    def __init__(self) -> None:
        self.started = subprocess.Popen(["sleep", "600"])


class Signalled(Obedient):
    """Its first worker is asked to end when it has just been made."""

    def __init__(self) -> None:
        fork = os.fork

        def signalled() -> int:
            os.fork = fork
            process = fork()
            if not process:
                os.kill(os.getpid(), signal.SIGTERM)
            return process

        os.fork = signalled


MODELS = {model.__name__: model for model in (Obedient, Explaining, Gathering, Starting, Signalled)}


@dataclass
class Answer:
    """An answer's status, headers (in small letters) and body."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def type(self) -> str:
        """Its content type."""
        return self.headers["content-type"]

    @property
    def content(self) -> Any:
        """Its body, if that is JSON."""
        return json.loads(self.body)

    def lines(self) -> list[Any]:
        """Its body, if that is JSON Lines."""
        return [json.loads(line) for line in self.body.splitlines()]


class Server:
    """A running server."""

    def __init__(self, base: Path, command: Sequence[str], **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        settings = {
            "PYTHONPATH": str(TOOLKIT),
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        }
        self.log = base / "serve.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                env={**os.environ, **settings, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_it_answers(self) -> None:
        """Wait for /ping."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                assert self.request("GET", "/ping").status == 200
            except ConnectionError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(f"serve does not answer: {self.log.read_text()}")

    def connect(self) -> socket.socket:
        """A connection, to say what no client of HTTP says."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Ask; a header's underscores stand for hyphens."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            headers_by_name = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers_by_name, response.read().decode())
        finally:
            connection.close()

    def invoke(
        self, body: str | bytes, content_type: str, accept: str | None = None, **headers: str
    ) -> Answer:
        """POST /invocations."""
        content = body.encode() if isinstance(body, str) else body
        headers |= {"Content_Type": content_type} | ({"Accept": accept} if accept else {})
        return self.request("POST", "/invocations", content, **headers)

    def classify(self, text: str) -> Answer:
        """Classify one text."""
        return self.invoke(json.dumps({"text": text}), JSON)

    def metric(self, name: str) -> float:
        """A number of /metrics, its labels in its name."""
        lines = self.request("GET", "/metrics").body.splitlines()
        [value] = [line.rpartition(" ")[2] for line in lines if line.rpartition(" ")[0] == name]
        return float(value)

    def access_log(self) -> list[dict[str, Any]]:
        """The lines of the access log."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """End it with all of its workers."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def obedient(base: Path, model: str = "Obedient", **environment: str) -> Server:
    """Start one, wait until it answers."""
    server = Server(base, [__file__, model], **environment)
    try:
        server.wait_until_it_answers()
    except BaseException:
        server.kill()
        raise
    return server


if __name__ == "__main__":
    from toolkit.serving import main

    main(lambda folder: MODELS[sys.argv[1]]())
