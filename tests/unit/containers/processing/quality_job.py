"""A base folder for the commands `evaluate` and `compare` of the image folder `processing`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from processing.quality.compare import compare
from processing.quality.evaluate import evaluate

FOLDER = Path(__file__).parents[4] / "containers/processing"
Records = list[dict[str, Any]]
DATASET = {
    "asOf": "2026-01-31T23:59:59.999Z",
    "query": "SELECT record_id FROM records",
    "rows": 6,
    "sha256": "5e" * 32,
    "splits": {
        "train": {"rows": 3, "labels": {"neg": 1, "pos": 2}},
        "validation": {"rows": 1, "labels": {"neg": 1}},
        "test": {"rows": 2, "labels": {"neg": 1, "pos": 1}},
    },
    "sources": {"raw/a.csv": 4, "raw/b.csv": 2},
    "trainTextsAlsoInTest": 1,
    "ingested": {
        "records": 1234,
        "quarantinedRows": 5,
        "quarantinedFiles": {"raw/<b>.csv": "empty file"},
        "newLabels": {"meh": 12},
        "heldLabels": [{"label": "<Pos>", "like": "pos", "rows": 4}],
    },
    "omittedLabels": {f"rare {number}": 2 for number in range(14)},
    "invalidRecords": {"of an unknown split": "1, such as record '6' of raw/a.csv"},
}


class Job:
    def __init__(self, base: Path) -> None:
        self.base = base
        self.put_dataset(DATASET)

    def put_dataset(self, content: Any) -> None:
        file = self.base / "processing/input/dataset/dataset.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))

    def put_plan(self, keys: Sequence[str]) -> None:
        file = self.base / "processing/input/plan/plan.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"objects": [{"key": key, "etag": "e"} for key in keys]}))

    def put(self, name: str, rows: Records) -> None:
        file = self.base / f"processing/input/{name}/{name}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def put_test(self, actual: Sequence[str], source: str = "raw/a.csv") -> None:
        lengths = np.random.default_rng(0).permutation(len(actual)) + 1
        rows = [
            (f"test/{i}", label, int(n)) for i, (label, n) in enumerate(zip(actual, lengths, strict=True))
        ]
        self.put("test", [{"id": key, "text": "x" * n} for key, _, n in rows])
        self.put("labels", [{"id": key, "label": label, "source": source} for key, label, _ in rows])

    def put_answers(self, name: str, predicted: Sequence[str]) -> None:
        answers = [
            {"id": f"test/{i}", "label": label, "probabilities": {label: 0.75}}
            for i, label in enumerate(predicted)
        ]
        self.put(name, answers[::-1])

    def put_labels(self, actual: Sequence[str], predicted: Sequence[str]) -> None:
        self.put_test(actual)
        self.put_answers("predictions", predicted)

    def put_probabilities(self, name: str, labels: Sequence[str], probabilities: Any) -> None:
        self.put(
            name,
            [
                {
                    "id": f"test/{i}",
                    "label": labels[int(np.argmax(row))],
                    "probabilities": dict(zip(labels, map(float, row), strict=True)),
                }
                for i, row in enumerate(probabilities)
            ],
        )

    def run(self, environment: Mapping[str, str] | None = None) -> None:
        evaluate(self.base, environment or {})

    def compare(self, champion: str = "retrain-1", note: str = "live on retrain-realtime") -> Any:
        compare(self.base, {"CHAMPION_MODEL_NAME": champion, "CHAMPION_NOTE": note})
        return json.loads((self.base / "processing/output/comparison/comparison.json").read_text())

    def read(self, name: str) -> Any:
        return json.loads(self.read_text(f"quality/{name}"))

    def read_text(self, name: str) -> str:
        return (self.base / "processing/output" / name).read_text("utf-8")

    def samples(self) -> Records:
        return [json.loads(line) for line in self.read_text("quality/samples.jsonl").splitlines()]


def draw(labels: int, rows: int) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(labels)
    actual = random.integers(0, labels, rows) * random.integers(0, 2, rows)
    wrong = random.random(rows) < 0.3
    predicted = np.where(wrong, random.integers(0, labels, rows), actual)
    return [f"l{i}" for i in actual], [f"l{i}" for i in predicted]


def draw_scores(labels: int, rows: int, seed: int = 0, digits: int = 2) -> tuple[Any, Any]:
    """Actual label numbers and probabilities that know something of them; few digits make ties."""
    random = np.random.default_rng(seed)
    actual = random.permutation(np.arange(rows) % labels)
    scores = random.normal(size=(rows, labels))
    scores[np.arange(rows), actual] += 1
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    first = shares[:, :-1].round(digits)
    return actual, np.column_stack([first, (1 - first.sum(axis=1)).clip(0, 1)])
