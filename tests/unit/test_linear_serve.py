import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "containers/linear"
LoadModule = Callable[[str | Path], ModuleType]
JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"

START_SECONDS = 60
MEGABYTES = 8


@dataclass
class Answer:
    status: int
    type: str
    body: str

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


class Server:
    """`serve` as SageMaker runs it: a process, an environment, a port."""

    def __init__(self, base: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        environment = os.environ | {
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(MEGABYTES),
        }
        self.log = base / "serve.log"
        with self.log.open("w") as log:
            command = [sys.executable, str(FOLDER / "serve")]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                assert self.ask("GET", "/ping").status == 200
            except ConnectionError:
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"serve does not answer: {self.log.read_text()}")

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, response.getheader("Content-Type", ""), response.read().decode())
        finally:
            connection.close()

    def invoke(self, body: str | bytes, content_type: str, accept: str | None = None) -> Answer:
        content = body.encode() if isinstance(body, str) else body
        headers = {"Content_Type": content_type} | ({"Accept": accept} if accept else {})
        return self.ask("POST", "/invocations", content, **headers)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def save_model(folder: Path, load_module: LoadModule) -> None:
    """A model that knows two words."""
    features = load_module(FOLDER / "features.py")
    model = load_module(FOLDER / "model.py")
    bad, good = (int(features.ngram_rows([word], 1, 16).indices[0]) for word in ("bad", "good"))
    weights = {bad: -3.0, good: 3.0}
    columns = np.array(sorted(weights), np.int32)
    model.Model(
        labels=("neg", "pos"),
        ngrams=1,
        hash_bits=16,
        columns=columns,
        weights=np.array([[weights[int(column)]] for column in columns], np.float32),
        intercepts=np.array([0.5], np.float32),
    ).save(folder)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def running() -> Iterator[list[Server]]:
    servers: list[Server] = []
    yield servers
    for server in servers:
        server.process.kill()
        server.process.wait()


@pytest.fixture
def server(base: Path, running: list[Server], load_module: LoadModule) -> Server:
    if not running:
        save_model(base / "model", load_module)
        running.append(Server(base))
        running[0].wait_until_it_answers()
    return running[0]


def probability(score: float) -> float:
    return float(1 / (1 + np.exp(-score)))


def test_answers_json_lines(server: Server) -> None:
    answer = server.invoke(
        '{"id": "a", "text": "so good"}\n\n{"text": "bad", "id": 7}\r\n{"text": "?"}', JSON_LINES
    )
    assert (answer.status, answer.type) == (200, JSON_LINES)
    first, second, third = answer.lines()
    assert (first["id"], first["label"]) == ("a", "pos")
    assert first["probabilities"]["pos"] == pytest.approx(probability(3.5), abs=1e-5)
    assert (second["id"], second["label"]) == (7, "neg")
    assert second["probabilities"]["neg"] == pytest.approx(1 - probability(-2.5), abs=1e-5)
    assert "id" not in third
    assert third["probabilities"]["pos"] == pytest.approx(probability(0.5), abs=1e-5)


def test_answers_json_in_the_form_of_the_request(server: Server) -> None:
    one = json.loads(server.invoke('{"text": "bad"}', JSON).body)
    assert one["label"] == "neg"
    assert json.loads(server.invoke('[{"text": "bad"}]', JSON + "; charset=utf-8").body) == [one]
    assert json.loads(server.invoke('{"instances": ["bad", {"text": "bad"}]}', JSON).body) == {
        "predictions": [one, one]
    }


def test_answers_csv(server: Server) -> None:
    answer = server.invoke('\ufeffbad\r\n"good, ""good""\nand so on"\r\n\r\n?\r\n', CSV)
    assert (answer.status, answer.type) == (200, "text/csv; charset=utf-8")
    labels, probabilities = zip(*(line.split(",") for line in answer.body.splitlines()), strict=True)
    assert labels == ("neg", "pos", "pos")
    assert float(probabilities[1]) == pytest.approx(probability(3.5), abs=1e-5)


@pytest.mark.parametrize(
    ("accept", "type_"),
    [
        (JSON, JSON),
        ("text/csv", "text/csv; charset=utf-8"),
        ("text/html, application/jsonlines;q=0.5, application/json;q=0.9", JSON),
        ("text/*", "text/csv; charset=utf-8"),
        ("*/*", JSON_LINES),
    ],
)
def test_accept_chooses_the_type(server: Server, accept: str, type_: str) -> None:
    answer = server.invoke('{"text": "bad"}', JSON_LINES, accept)
    assert (answer.status, answer.type) == (200, type_)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        ('{"text": "a"}\n{"text": "b"', JSON_LINES, 400, "line 2: not JSON"),
        ('{"text": "a"}\n[1]', JSON_LINES, 400, "line 2: not an object with a 'text'"),
        ('{"txt": "a"}', JSON_LINES, 400, "line 1: no 'text'"),
        ('{"text": 1}', JSON_LINES, 400, "line 1: 'text' is not a string"),
        ('{"text": "a", "id": []}', JSON_LINES, 400, "line 1: 'id' is neither a string nor a whole number"),
        (json.dumps({"text": "a" * 1_100_000}), JSON_LINES, 400, "line 1: 'text' of 1,100,000 characters"),
        (b'{"text": "a"}\n\xff', JSON_LINES, 400, "line 2: not UTF-8: byte 0xff"),
        ("", JSON_LINES, 400, "the request holds no row"),
        ("[]", JSON, 400, "the request holds no row"),
        ('{"instances": 1}', JSON, 400, "'instances' is not a list"),
        ('[{"text": "a"}, {}]', JSON, 400, "row 2: no 'text'"),
        ("[" * 200_000, JSON, 400, "not JSON"),
        ("a\nb, c", CSV, 400, "line 2: 2 columns; quote a text that holds a comma"),
        ('"a\nb"\n"c', CSV, 400, "line 3: not CSV"),
        (
            "\n" * 3 + "{}\n" * 9_000_000,
            JSON_LINES,
            413,
            f"the request is larger than {MEGABYTES << 20:,} bytes",
        ),
        ('""\n' * 200_001, CSV, 413, "more than 200,000 rows"),
        ("a", "image/png", 415, "content type 'image/png' is not known; send application/jsonlines"),
    ],
)
def test_refuses_with_a_reason(
    server: Server, body: str | bytes, content_type: str, status: int, reason: str
) -> None:
    answer = server.invoke(body, content_type)
    assert (answer.status, answer.type) == (status, JSON)
    assert json.loads(answer.body)["error"].startswith(reason)


def test_refuses_an_answer_type_that_it_does_not_have(server: Server) -> None:
    answer = server.invoke("a", CSV, "image/png, text/csv;q=0")
    assert answer.status == 406
    assert "accept application/jsonlines" in json.loads(answer.body)["error"]


def test_a_request_without_a_length_has_the_limit_too(server: Server) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    chunks = (b"x" * (1 << 20) for _ in range(MEGABYTES + 1))
    connection.request("POST", "/invocations", chunks, {"Content-Type": CSV}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_other_paths_and_methods(server: Server) -> None:
    assert server.ask("GET", "/elsewhere").status == 404
    assert server.ask("GET", "/invocations").status == 405
    parameters = json.loads(server.ask("GET", "/execution-parameters").body)
    assert parameters["BatchStrategy"] == "MULTI_RECORD"
    assert parameters["MaxPayloadInMB"] == 6


def test_pings_are_answered_during_a_batch_of_thousands(server: Server) -> None:
    line = json.dumps({"text": "good and bad words " * 60}) + "\n"
    count = (6 << 20) // len(line)
    answers: list[Answer] = []
    batch = threading.Thread(target=lambda: answers.append(server.invoke(line * count, JSON_LINES)))
    started = time.monotonic()
    batch.start()
    waits = []
    while batch.is_alive():
        asked = time.monotonic()
        assert server.ask("GET", "/ping").status == 200
        waits.append(time.monotonic() - asked)
    batch.join()
    assert answers[0].status == 200
    assert len(answers[0].lines()) == count
    assert max(waits) < (time.monotonic() - started) / 2


def test_ends_with_success_after_it_answered_what_was_asked(server: Server, running: list[Server]) -> None:
    line = json.dumps({"text": "good and bad words " * 60}) + "\n"
    answers: list[Answer] = []
    batch = threading.Thread(target=lambda: answers.append(server.invoke(line * 5000, JSON_LINES)))
    batch.start()
    time.sleep(0.3)
    running.clear()
    assert server.stop() == 0
    batch.join()
    assert answers[0].status == 200
    assert len(answers[0].lines()) == 5000


def test_does_not_start_without_a_model(tmp_path: Path) -> None:
    server = Server(tmp_path)
    assert server.process.wait(START_SECONDS) == 1
    assert "error: there is no readable model in" in server.log.read_text()
