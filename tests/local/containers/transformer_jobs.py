"""Jobs of the image `transformer`: their input, their processes, and what these say."""

import json
import os
import random
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import psutil

from localaws.runtimes.container import Container, ContainerSpec
from localaws.runtimes.process import ProcessRuntime
from tests.local.containers import tiny_bert

ROOT = Path(__file__).parents[3]
CONTAINERS = ROOT / "containers"
ENVIRONMENTS = ROOT / ".localaws/environments"  # a gigabyte: once for `make up` and for the tests
IMAGE = "team/transformer:latest"
PATIENCE = 600.0  # seconds
ONE_CORE = {"OMP_NUM_THREADS": "1"}  # the model is too small to share among more
WITHOUT_GPU = {"CUDA_VISIBLE_DEVICES": ""}
SETTINGS = {
    "epochs": "5",
    "learning_rate": "0.003",
    "batch_size": "32",
    "log_steps": "1",
    "evaluations_per_epoch": "1",
}
STEPS = 50
JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"


def rows(count: int, seed: int) -> list[dict[str, str]]:
    """Texts of which one word decides the label."""
    source = random.Random(seed)
    made = []
    for number in range(count):
        label = ["bad", "fine"][number % 2]
        words = source.choices(tiny_bert.WORDS, k=source.randint(2, 30))
        words.insert(source.randint(0, len(words)), tiny_bert.SIGNS[label])
        made.append({"id": str(number), "text": " ".join(words), "label": label})
    return made


def lay_out(base: Path, **changes: str) -> Path:
    """A job's input."""
    for channel, count, seed in (("train", 320, 1), ("validation", 80, 2)):
        file = base / "input/data" / channel / "rows.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows(count, seed)))
    tiny_bert.write(base / "input/data/pretrained")
    (base / "input/config").mkdir(parents=True)
    (base / "input/config/hyperparameters.json").write_text(json.dumps(SETTINGS | changes))
    return base


def after(interrupted: Path, base: Path, **changes: str) -> Path:
    """The input on a new instance, with what outlives an interruption."""
    lay_out(base, **changes)
    shutil.copytree(interrupted / "checkpoints", base / "checkpoints")
    return base


def weights(base: Path) -> bytes:
    """The model that a job saved."""
    return (base / "model/model.safetensors").read_bytes()


class Running:
    """A container, and its output; instances whose folders lie together are of one job."""

    def __init__(self, runtime: ProcessRuntime, base: Path, *command: str, **environment: str) -> None:
        self.base = base
        self.lines: list[str] = []
        self.job = f"{base.parent.name}-{os.getpid()}"
        own = {**ONE_CORE, "TRAINING_JOB_NAME": self.job, **environment}
        self.container: Container = runtime.start(ContainerSpec(IMAGE, command, base, own, self.lines.append))

    @property
    def output(self) -> str:
        """All its lines."""
        return "\n".join(self.lines)

    def wait_for(self, pattern: str) -> None:
        """Wait for a line of output."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.output):
            assert self.container.wait(0.01) is None, self.output
            assert time.monotonic() < deadline, self.output

    def finish(self) -> "Running":
        """Until it ends well."""
        assert self.container.wait(PATIENCE) == 0, self.output
        return self

    def interrupt(self) -> "Running":
        """Stop it by SIGTERM, on which it saves a checkpoint."""
        assert self.container.stop(PATIENCE) == 0, self.output
        return self

    def metric(self, name: str) -> list[float]:
        """The values that it printed."""
        return [float(value) for value in re.findall(rf"{name}=([0-9.]+);", self.output)]

    def addresses(self) -> set[str]:
        """Those on which the job's processes listen."""
        found = set()
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if process.environ().get("TRAINING_JOB_NAME") == self.job:
                    sockets = process.net_connections("tcp")
                    found |= {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN}
        return found


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(runtime: ProcessRuntime, base: Path, **environment: str) -> Iterator[int]:
    """The port on which `serve` answers for a job's model."""
    chosen = free_port()
    variables = {"SAGEMAKER_BIND_TO_HOST": "127.0.0.1", "SAGEMAKER_BIND_TO_PORT": str(chosen), **environment}
    server = Running(runtime, base, "serve", **variables)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            assert request(chosen, "GET", "/ping", b"")[0] == 200
            break
        except ConnectionError:
            assert server.container.wait(0.05) is None, server.output
            assert time.monotonic() < deadline, server.output
    yield chosen
    server.interrupt()


def request(port: int, method: str, path: str, body: bytes, content_type: str = JSON) -> tuple[int, str]:
    """A request's answer: its status and its body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {"Content-Type": content_type})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def classify(port: int, texts: list[dict[str, str]]) -> list[dict[str, float]]:
    """Each row's probabilities, by label."""
    body = "".join(json.dumps({"id": row["id"], "text": row["text"]}) + "\n" for row in texts)
    status, answer = request(port, "POST", "/invocations", body.encode(), JSON_LINES)
    assert status == 200, answer
    answers = [json.loads(line) for line in answer.splitlines()]
    assert [each["id"] for each in answers] == [row["id"] for row in texts]
    return [each["probabilities"] for each in answers]
