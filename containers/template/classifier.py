"""Naive Bayes on the words of a text: replace it with your own classifier."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ModelError
from toolkit.hyperparameters import Range, parse
from toolkit.job import Job
from toolkit.rows import Rows, hold_out, label_indices, training_labels

WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """The hyperparameters."""

    smoothing: Annotated[float, Range(0.001, 100)] = 1.0  # added to each word count
    validation_fraction: Annotated[float, Range(0.01, 0.5)] = (
        0.1  # held out if there is no channel validation
    )
    seed: Annotated[int, Range(0, 2**31)] = 1


@dataclass(frozen=True)
class Classifier:
    """A model with weights of shape (words, labels): the log frequency of each word in a label's texts."""

    labels: Sequence[str]
    words: Mapping[str, int]
    weights: NDArray[np.float32]

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the probabilities, of shape (texts, labels)."""
        scores = np.stack(
            [self.weights[columns(text, self.words)].sum(axis=0, dtype=float) for text in texts]
        )
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
        return probabilities


def train(job: Job) -> None:
    """Fit on the channel train, evaluate on the channel validation, and save the model."""
    settings = parse(Hyperparameters, job.hyperparameters)
    rows, validation = job.read("train"), job.read("validation")
    labels = training_labels(rows)
    if not len(validation):
        held = hold_out(label_indices(rows, labels), settings.validation_fraction, settings.seed)
        rows, validation = chosen(rows, ~held), chosen(rows, held)
    model = fit(rows, labels, settings.smoothing)
    for split, of in (("train", rows), ("validation", validation)):
        if not len(of):  # too few rows to hold any out
            continue
        probabilities = model.predict(of.texts)
        likelihoods = probabilities[np.arange(len(of)), label_indices(of, labels)]
        accuracy = (likelihoods == probabilities.max(axis=1)).mean()
        job.report(split, rows=len(of), accuracy=accuracy, log_loss=-np.log(likelihoods.clip(1e-15)).mean())
    np.save(job.model_dir / "weights.npy", model.weights)
    (job.model_dir / "words.json").write_text(json.dumps({"labels": labels, "words": list(model.words)}))


def fit(rows: Rows, labels: list[str], smoothing: float) -> Classifier:
    """Count the texts of each label that contain each word."""
    found = sorted({word for text in rows.texts for word in WORD.findall(text.lower())})
    words = {word: column for column, word in enumerate(found)}
    counts = np.full((len(words), len(labels)), smoothing)
    for text, label in zip(rows.texts, label_indices(rows, labels), strict=True):
        counts[columns(text, words), label] += 1
    return Classifier(labels, words, np.log(counts / counts.sum(axis=0)).astype(np.float32))


def columns(text: str, words: Mapping[str, int]) -> NDArray[np.intp]:
    """Return the distinct columns of a text's words."""
    found = {words[word] for word in WORD.findall(text.lower()) if word in words}
    return np.fromiter(sorted(found), np.intp, len(found))


def chosen(rows: Rows, mask: NDArray[np.bool_]) -> Rows:
    """Return the rows of a mask."""
    where = np.flatnonzero(mask)
    return Rows([rows.texts[row] for row in where], [rows.labels[row] for row in where])


def load(folder: Path) -> Classifier:
    """Load the saved model."""
    try:
        content = json.loads((folder / "words.json").read_text())
        weights = np.load(folder / "weights.npy")
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} holds no model: {error}") from error
    return Classifier(content["labels"], {word: n for n, word in enumerate(content["words"])}, weights)
