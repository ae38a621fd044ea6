"""Compile every function ahead of the first training; an image build runs this."""

import json
import tempfile
from pathlib import Path

from linear.hyperparameters import PRESETS
from linear.model import load
from linear.training import train
from toolkit.job import Job

ROWS = [{"text": f"{word} {word}, it is not {word}!", "label": word} for word in ("bad", "good", "fair")] * 5


def main() -> None:
    """Run a training and a prediction with each preset, for two labels and for three."""
    for preset in PRESETS:
        for labels in (2, 3):
            with tempfile.TemporaryDirectory() as folder:
                exercise(Path(folder), preset, labels)


def exercise(base: Path, preset: str, labels: int) -> None:
    """Train on a tiny job, and use its model."""
    names = sorted({row["label"] for row in ROWS})[:labels]
    channel, config = base / "input/data/train", base / "input/config"
    channel.mkdir(parents=True)
    config.mkdir(parents=True)
    rows = [json.dumps(row) for row in ROWS if row["label"] in names]
    (channel / "train.jsonl").write_text("\n".join(rows), "utf-8")
    (config / "hyperparameters.json").write_text(json.dumps({"preset": preset, "validation_fraction": "0.4"}))
    job = Job(base)
    train(job)
    load(job.model_dir).explain([ROWS[0]["text"]], 3)
