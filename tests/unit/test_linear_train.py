import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "containers/linear"
LoadModule = Callable[[str | Path], ModuleType]

WORDS = [f"word{i}" for i in range(200)]
SIGNS = {"bad": "not good at all", "fine": "so very pleasing", "meh": "neither here nor there"}


def texts(count: int, labels: list[str], seed: int = 0) -> list[dict[str, str]]:
    """Texts of the same words; a few words in the middle tell the label."""
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
    def __init__(self, base: Path, training: ModuleType) -> None:
        self.base, self.training = base, training

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
        self.training.train(self.base)


@pytest.fixture
def job(tmp_path: Path, load_module: LoadModule) -> Job:
    return Job(tmp_path, load_module(FOLDER / "training.py"))


@pytest.fixture
def model(load_module: LoadModule) -> ModuleType:
    return load_module(FOLDER / "model.py")


@pytest.mark.parametrize("labels", [["bad", "fine"], ["bad", "fine", "meh"]])
def test_learns_labels_and_prints_metrics(
    job: Job, model: ModuleType, capsys: pytest.CaptureFixture[str], labels: list[str]
) -> None:
    job.put(texts(300, labels))
    job.run()
    output = capsys.readouterr().out
    [accuracy] = re.findall(r"validation:accuracy=([0-9.]+)", output)
    assert float(accuracy) >= 0.95
    assert re.findall(r"train:accuracy=([0-9.]+)", output) == ["1.0000"]
    trained = model.load(job.base / "model")
    assert trained.labels == tuple(labels)
    fresh = texts(60, labels, seed=1)
    probabilities = trained.predict([row["text"] for row in fresh])
    assert probabilities.shape == (60, len(labels))
    assert probabilities.sum(axis=1) == pytest.approx(1)
    answers = [labels[i] for i in probabilities.argmax(axis=1)]
    assert sum(answer == row["label"] for answer, row in zip(answers, fresh, strict=True)) >= 58


def test_validation_channel_is_what_the_model_is_measured_on_and_then_learns_from(
    job: Job, model: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every row for validation is labelled wrongly, which only a model that did not learn them gets wrong."""
    job.put(texts(100, ["bad", "fine"]), validation_fraction="0.5")
    marked = [row | {"text": f"unheard {row['text']}"} for row in texts(20, ["bad", "fine"], seed=1)]
    job.put_validation(lines([row | {"label": "fine" if row["label"] == "bad" else "bad"} for row in marked]))
    job.run()
    output = capsys.readouterr().out
    assert "train:rows=100; train:accuracy=1.0000;" in output
    assert "validation:rows=20; validation:accuracy=0.0000;" in output
    trained = model.load(job.base / "model")
    alone = job.base / "alone"
    measured = Job(alone, job.training)
    measured.put(texts(100, ["bad", "fine"]), validation_fraction="0")
    measured.run()
    others = model.load(alone / "model")
    assert len(trained.columns) > len(others.columns)


def test_empty_validation_channel_is_as_none(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    job.put(texts(100, ["bad", "fine"]), validation_fraction="0.2")
    job.put_validation("")
    job.run()
    assert "validation:rows=20;" in capsys.readouterr().out


def test_validation_of_a_label_that_train_lacks_is_refused(job: Job) -> None:
    job.put(texts(10, ["bad", "fine"]))
    job.put_validation(lines(texts(3, ["meh"])))
    with pytest.raises(
        job.training.TrainingDataError, match="train has no row of the label 'meh' of validation"
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


def test_small_weights_of_many_labels_are_pruned(load_module: LoadModule) -> None:
    fitting = load_module(FOLDER / "fitting.py")
    weights = np.array([0.001, -3, 0.02, 4, -0.01, 0.3], np.float32)
    assert fitting.prune(weights).tolist() == pytest.approx([0, -3, 0, 4, 0, 0.3])
    assert fitting.prune(np.zeros(3, np.float32)).tolist() == [0, 0, 0]


def test_same_seed_gives_the_same_bytes(job: Job) -> None:
    def trained(seed: str) -> tuple[bytes, str]:
        job.put(texts(200, ["bad", "fine"]), seed=seed)
        job.run()
        return (job.base / "model/weights.npz").read_bytes(), (job.base / "model/model.json").read_text()

    assert trained("3") == trained("3")


def test_labels_are_arbitrary_and_text_may_be_strange(job: Job, model: ModuleType) -> None:
    rows = [
        {"text": "\ud800 good ☃ " + "x" * 100_000, "label": "1 ☆"},
        {"text": "bad, bad", "label": "0,no"},
        {"text": "", "label": "0,no"},
    ]
    job.put(rows * 5)
    job.run()
    trained = model.load(job.base / "model")
    assert trained.labels == ("0,no", "1 ☆")
    assert trained.predict(["bad", "good", "", "\udfff"]).argmax(axis=1).tolist()[:2] == [0, 1]
    assert trained.predict([]).shape == (0, 2)


def test_rows_too_few_to_hold_out_are_still_learned_from(
    job: Job, model: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    job.put([{"text": "good", "label": "a"}, {"text": "bad", "label": "b"}])
    job.run()
    assert "no row is held out" in capsys.readouterr().out
    assert model.load(job.base / "model").predict(["good", "bad"]).argmax(axis=1).tolist() == [0, 1]


def test_held_out_rows_are_a_share_of_each_label(job: Job) -> None:
    actual = np.array([0] * 100 + [1] * 50 + [2] * 3)
    held = job.training.hold_out(actual, 0.2, 1)
    assert np.bincount(actual[held], minlength=3).tolist() == [20, 10, 0]
    assert (held == job.training.hold_out(actual, 0.2, 1)).all()
    assert (held != job.training.hold_out(actual, 0.2, 2)).any()


def test_model_is_no_pickle(job: Job, model: ModuleType) -> None:
    job.put(texts(50, ["bad", "fine"]))
    job.run()
    with np.load(job.base / "model/weights.npz", allow_pickle=False) as arrays:
        assert {name: arrays[name].dtype.str for name in arrays} == {
            "columns": "<i4",
            "weights": "<f2",
            "intercepts": "<f4",
        }
    (job.base / "model/weights.npz").write_bytes(b"damaged")
    with pytest.raises(model.ModelError, match="there is no readable model in"):
        model.load(job.base / "model")


def test_model_of_another_format_is_refused(job: Job, model: ModuleType) -> None:
    (job.base / "model").mkdir()
    (job.base / "model/model.json").write_text('{"format": 99}')
    with pytest.raises(model.ModelError, match="format 99, this image reads 1"):
        model.load(job.base / "model")


def test_ngrams_are_those_of_each_text_alone(
    load_module: LoadModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = load_module(FOLDER / "features.py")

    def grams(texts: list[str], count: int) -> list[set[int]]:
        rows = features.ngram_rows(texts, count, 22)
        assert rows.shape == (len(texts), 1 << 22)
        return [set(rows.indices[a:b].tolist()) for a, b in zip(rows.indptr, rows.indptr[1:], strict=False)]

    some = ["A b a b c", "", "b c", "c b", "don't!"]
    assert [len(row) for row in grams(some, 1)] == [3, 0, 2, 2, 2]
    assert [len(row) for row in grams(some, 2)] == [6, 0, 3, 3, 3]
    assert [len(row) for row in grams(some, 3)] == [9, 0, 3, 3, 3]
    whole = grams(some, 2)
    assert whole[2] < whole[0]
    assert whole[2] != whole[3]
    monkeypatch.setattr(features, "CHUNK_TEXTS", 2)
    assert grams(some, 2) == whole


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ngram", "2", "unknown hyperparameter 'ngram'; did you mean ngrams?"),
        ("epochs", "2", "unknown hyperparameter 'epochs'; there are ngrams, hash_bits"),
        ("ngrams", "2.5", "ngrams must be a whole number from 1 to 4, not '2.5'"),
        ("ngrams", "9", "ngrams must be a whole number from 1 to 4, not '9'"),
        (
            "inverse_regularization",
            "nan",
            "inverse_regularization must be a number from 0.0001 to 10000, not 'nan'",
        ),
        ("validation_fraction", "0.9", "validation_fraction must be a number from 0 to 0.5"),
    ],
)
def test_hyperparameters_are_checked(load_module: LoadModule, name: str, value: str, reason: str) -> None:
    hyperparameters = load_module(FOLDER / "hyperparameters.py")
    with pytest.raises(hyperparameters.HyperparameterError) as caught:
        hyperparameters.parse({name: value})
    assert str(caught.value).startswith(reason)


def test_hyperparameters_are_strings_and_have_defaults(load_module: LoadModule, tmp_path: Path) -> None:
    hyperparameters = load_module(FOLDER / "hyperparameters.py")
    defaults = hyperparameters.load(tmp_path / "none.json")
    assert set(hyperparameters.RANGES) == set(defaults.__slots__)
    (tmp_path / "some.json").write_text('{"seed": "8", "smoothing": "0.5", "sagemaker_program": "train.py"}')
    changed = hyperparameters.load(tmp_path / "some.json")
    assert (changed.seed, changed.smoothing, changed.ngrams) == (8, 0.5, defaults.ngrams)


def execute(base: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "train")]
    environment = os.environ | {"SAGEMAKER_BASE_DIR": str(base)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_executable_trains(job: Job) -> None:
    job.put(texts(100, ["bad", "fine"]), validation_fraction="0.2")
    done = execute(job.base)
    assert done.returncode == 0, done.stderr
    assert "validation:rows=20; validation:accuracy=" in done.stdout
    assert sorted(path.name for path in (job.base / "model").iterdir()) == ["model.json", "weights.npz"]
    assert not (job.base / "output/failure").exists()


def test_executable_leaves_the_reason_of_its_failure(job: Job) -> None:
    job.put(texts(10, ["bad", "fine"]), epochs="3")
    assert execute(job.base).returncode == 1
    assert (job.base / "output/failure").read_text().startswith("unknown hyperparameter 'epochs'")


GOOD_LINE = '{"text": "a", "label": "x"}\n'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the channel train holds no row"),
        (GOOD_LINE * 3, "all 3 rows have the label 'x'; two are needed"),
        (GOOD_LINE + "nonsense\n", "train.jsonl, line 2: not JSON"),
        (GOOD_LINE + "[]\n", "train.jsonl, line 2: not a JSON object"),
        (GOOD_LINE + '{"text": "a"}\n', "train.jsonl, line 2: no 'label'"),
        ('{"text": ".", "label": "x"}\n{"text": ";", "label": "y"}\n', "no text holds a word"),
    ],
)
def test_failure_says_what_is_wrong_with_the_data(job: Job, content: str, reason: str) -> None:
    job.put_text(content)
    with pytest.raises(SystemExit) as caught:
        job.training.main({"SAGEMAKER_BASE_DIR": str(job.base)})
    assert caught.value.code == 1
    assert (job.base / "output/failure").read_text().startswith(reason)


def test_failure_of_the_code_names_the_exception(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("by nothing " * 200)

    job.put(texts(10, ["bad", "fine"]))
    monkeypatch.setattr(job.training, "fit", broken)
    with pytest.raises(SystemExit):
        job.training.main({"SAGEMAKER_BASE_DIR": str(job.base)})
    failure = (job.base / "output/failure").read_text()
    assert failure.startswith("ZeroDivisionError: by nothing")
    assert len(failure) == 1024
