import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.containers.toolkit.toolkit_server import CSV, JSON, JSON_LINES, TOOLKIT, Server

FOLDER = Path(__file__).parents[4] / "containers/linear"
ENVIRONMENT = {"PYTHONPATH": str(TOOLKIT)}
FILLER = "some more words of a text that is as long as a review may be " * 20


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `train` left of texts that one word decides."""
    base = tmp_path_factory.mktemp("linear")
    channel = base / "input/data/train"
    channel.mkdir(parents=True)
    rows = [{"text": f"{word} film number{i}", "label": word} for i in range(50) for word in ("bad", "good")]
    (channel / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    subprocess.run(
        [sys.executable, str(FOLDER / "train")],
        env={**os.environ, **ENVIRONMENT, "SAGEMAKER_BASE_DIR": str(base)},
        check=True,
        capture_output=True,
    )
    return base


@pytest.fixture(scope="module")
def server(base: Path) -> Iterator[Server]:
    server = Server(base, [str(FOLDER / "serve")])
    server.wait_until_it_answers()
    yield server
    server.kill()


def test_classifies_in_every_content_type(server: Server) -> None:
    one = server.invoke('{"text": "a good film", "id": 1}', JSON).content
    assert (one["id"], one["label"]) == (1, "good")
    assert one["probabilities"]["good"] > 0.5
    assert sum(one["probabilities"].values()) == pytest.approx(1, abs=2e-6)
    lines = server.invoke('{"text": "a bad film"}\n{"text": "a good film"}', JSON_LINES).lines()
    assert [line["label"] for line in lines] == ["bad", "good"]
    assert lines[1]["probabilities"] == one["probabilities"]
    assert server.invoke("a good film\n", CSV).body == f"good,{one['probabilities']['good']}\n"


@pytest.mark.parametrize("text", ["", "?!", "\x00", "☃ \U0001f600", "a" * 100_000])
def test_classifies_any_text(server: Server, text: str) -> None:
    assert server.classify(text).status == 200


def test_classifies_a_lone_surrogate(server: Server) -> None:
    assert server.invoke(r'{"text": "good \ud800"}', JSON).content["label"] == "good"


def test_pings_are_answered_during_a_batch_of_thousands(server: Server) -> None:
    """A server that answers nothing else meanwhile answers two at most: before the batch and after it."""
    line = json.dumps({"text": FILLER}) + "\n"
    count = (6 << 20) // len(line)

    def pings() -> int:
        answered = 0
        with ThreadPoolExecutor(1) as clients:
            batch = clients.submit(server.invoke, line * count, JSON_LINES)
            while not batch.done():
                assert server.request("GET", "/ping").status == 200
                answered += 1
        assert len(batch.result().lines()) == count
        return answered

    assert any(pings() > 2 for _ in range(5))  # the machine may have other things to do


def test_does_not_start_without_a_model(tmp_path: Path) -> None:
    server = Server(tmp_path, [str(FOLDER / "serve")])
    assert server.process.wait(60) == 1
    assert "error: there is no readable model in" in server.log.read_text()
