import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

import toolkit.job
from linear import model
from linear.training import train
from toolkit.errors import TrainingDataError

FOLDER = Path(__file__).parents[4] / "containers/linear"
TOOLKIT = FOLDER.parent / "toolkit"
WORDS = [f"word{i}" for i in range(200)]
SIGNS = {"bad": "not good at all", "fine": "so very pleasing", "meh": "neither here nor there"}


def texts(count: int, labels: list[str], seed: int = 0) -> list[dict[str, str]]:
    """Texts of the same words; a few words in the middle decide the label."""
    source = random.Random(seed)
    rows = []
    for i in range(count):
        label = labels[i % len(labels)]
        words = source.choices(WORDS, k=20)
        words[10:10] = [SIGNS[label]]
        rows.append({"id": f"train/{i}", "text": " ".join(words), "label": label})
    return rows


def lines(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


class Job:
    def __init__(self, base: Path) -> None:
        self.base = base

    def put(self, rows: list[dict[str, str]], **hyperparameters: str) -> None:
        self.put_text(lines(rows), **hyperparameters)

    def put_validation(self, content: str) -> None:
        channel = self.base / "input/data/validation"
        channel.mkdir(parents=True)
        (channel / "validation.jsonl").write_text(content)

    def put_text(self, text: str, **hyperparameters: str) -> None:
        channel, config = self.base / "input/data/train", self.base / "input/config"
        channel.mkdir(parents=True, exist_ok=True)
        config.mkdir(parents=True, exist_ok=True)
        (channel / "train.jsonl").write_text(text)
        (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))

    def run(self) -> None:
        train(toolkit.job.Job(self.base))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.mark.parametrize("labels", [["bad", "fine"], ["bad", "fine", "meh"]])
def test_learns_labels_and_prints_metrics(
    job: Job, capsys: pytest.CaptureFixture[str], labels: list[str]
) -> None:
    job.put(texts(300, labels))
    job.run()
    output = capsys.readouterr().out
    [accuracy] = re.findall(r"validation:accuracy=([0-9.]+)", output)
    assert float(accuracy) >= 0.95
    assert re.findall(r"train:accuracy=([0-9.]+)", output) == ["1.000000"]
    trained = model.load(job.base / "model")
    assert trained.labels == tuple(labels)
    fresh = texts(60, labels, seed=1)
    probabilities = trained.predict([row["text"] for row in fresh])
    assert probabilities.shape == (60, len(labels))
    assert probabilities.sum(axis=1) == pytest.approx(1)
    answers = [labels[i] for i in probabilities.argmax(axis=1)]
    assert sum(answer == row["label"] for answer, row in zip(answers, fresh, strict=True)) >= 58


def test_validation_channel_is_what_the_model_is_measured_on_and_then_learns_from(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every row for validation is labelled wrongly, which only a model that did not learn them gets wrong."""
    job.put(texts(100, ["bad", "fine"]), validation_fraction="0.5")
    marked = [row | {"text": f"unheard {row['text']}"} for row in texts(20, ["bad", "fine"], seed=1)]
    job.put_validation(lines([row | {"label": "fine" if row["label"] == "bad" else "bad"} for row in marked]))
    job.run()
    output = capsys.readouterr().out
    assert "train:rows=100; train:accuracy=1.000000;" in output
    assert "validation:rows=20; validation:accuracy=0.000000;" in output
    trained = model.load(job.base / "model")
    alone = job.base / "alone"
    measured = Job(alone)
    measured.put(texts(100, ["bad", "fine"]), validation_fraction="0")
    measured.run()
    others = model.load(alone / "model")
    assert trained.size > others.size


def test_empty_validation_channel_is_as_none(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    job.put(texts(100, ["bad", "fine"]), validation_fraction="0.2")
    job.put_validation("")
    job.run()
    assert "validation:rows=20;" in capsys.readouterr().out


def test_validation_of_a_label_that_train_lacks_is_refused(job: Job) -> None:
    job.put(texts(10, ["bad", "fine"]))
    job.put_validation(lines(texts(3, ["meh"])))
    with pytest.raises(
        TrainingDataError, match="validation has the label 'meh', which the channel train lacks"
    ):
        job.run()


def test_objective_of_a_tuning_job_is_read_from_the_log_by_its_pattern(job: Job) -> None:
    job.put(
        texts(100, ["bad", "fine"]),
        inverse_regularization="30.517",
        min_documents="2",
        _tuning_objective_metric="validation:accuracy",
    )
    done = execute(job.base)
    assert done.returncode == 0, done.stderr
    [accuracy] = re.findall(r"validation:accuracy=([0-9.]+);", done.stdout)
    assert 0 <= float(accuracy) <= 1


def test_same_seed_gives_the_same_bytes(job: Job) -> None:
    def trained(seed: str) -> tuple[bytes, bytes]:
        job.put(texts(200, ["bad", "fine", "meh"]), seed=seed, preset="accurate")
        job.run()
        weights, settings = (job.base / "model" / name for name in ("weights.npz", "model.json"))
        return weights.read_bytes(), settings.read_bytes()

    assert trained("3") == trained("3")
    assert trained("3") != trained("4")


def test_labels_are_arbitrary_and_text_may_be_strange(job: Job) -> None:
    rows = [
        {"text": "\ud800 good ☃ " + "x" * 100_000, "label": "1 ☆"},
        {"text": "bad, bad", "label": "0,no"},
        {"text": "", "label": "0,no"},
    ]
    job.put(rows * 5)
    job.run()
    trained = model.load(job.base / "model")
    assert trained.labels == ("0,no", "1 ☆")
    assert trained.predict(["bad bad", "good ☃", "", "\udfff"]).argmax(axis=1).tolist()[:2] == [0, 1]
    assert trained.predict([]).shape == (0, 2)


def test_rows_too_few_to_hold_out_are_still_learned_from(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    job.put([{"text": "good", "label": "a"}, {"text": "bad", "label": "b"}])
    job.run()
    assert "no row is held out" in capsys.readouterr().out
    assert model.load(job.base / "model").predict(["good", "bad"]).argmax(axis=1).tolist() == [0, 1]


def execute(base: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "train")]
    environment = os.environ | {"SAGEMAKER_BASE_DIR": str(base), "PYTHONPATH": str(TOOLKIT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_executable_trains(job: Job) -> None:
    job.put(texts(100, ["bad", "fine"]), validation_fraction="0.2")
    done = execute(job.base)
    assert done.returncode == 0, done.stderr
    assert "validation:rows=20; validation:accuracy=" in done.stdout
    assert sorted(path.name for path in (job.base / "model").iterdir()) == ["model.json", "weights.npz"]
    assert not (job.base / "output/failure").exists()


def test_executable_leaves_the_reason_of_its_failure(job: Job) -> None:
    job.put(texts(10, ["bad", "fine"]), rounds="3")
    assert execute(job.base).returncode == 1
    assert (job.base / "output/failure").read_text().startswith("unknown hyperparameter 'rounds'")


def test_texts_without_a_word_are_refused(job: Job) -> None:
    job.put([{"text": ".", "label": "x"}, {"text": ";", "label": "y"}])
    with pytest.raises(TrainingDataError, match="no text contains a word"):
        job.run()
