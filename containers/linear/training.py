"""A training job: reads the channels, measures on rows held out, fits on all rows, saves the model."""

import json
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import hyperparameters
import numpy as np
from errors import LinearError, TrainingDataError
from features import ngram_rows
from fitting import Chosen, Labels, fit
from hyperparameters import Hyperparameters
from scipy.sparse import csr_array

FAILURE_CHARACTERS = 1024  # what SageMaker keeps as FailureReason


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled texts, column by column."""

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


def main(environment: Mapping[str, str] = os.environ) -> None:
    """Train; on an error leave its reason in output/failure and exit 1."""
    base = Path(environment.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    try:
        train(base)
    except LinearError as error:
        fail(base, str(error))
    except MemoryError:
        fail(base, "out of memory; choose an instance type with more")
    except Exception as error:
        traceback.print_exc()
        fail(base, f"{type(error).__name__}: {error}")


def fail(base: Path, reason: str) -> None:
    """Tell SageMaker why, and exit."""
    print(f"error: {reason}", file=sys.stderr, flush=True)
    file = base / "output/failure"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(reason[:FAILURE_CHARACTERS], "utf-8", "backslashreplace")
    sys.exit(1)


def train(base: Path) -> None:
    """Read input/data/{train,validation} and input/config/hyperparameters.json, write model/.

    A model of the channel train is measured on the channel validation, or, where that is missing or holds no
    row, a model of most of train on the rest. The model that is saved learns from all rows.

    Raises:
        LinearError: The hyperparameters or the data cannot be used.
    """
    settings = hyperparameters.load(base / "input/config/hyperparameters.json")
    log(f"hyperparameters: {settings}")
    rows = read(base / "input/data/train")
    if not rows.texts:
        raise TrainingDataError("the channel train holds no row")
    labels = known_labels(rows)
    actual = place(rows, labels)
    held = hold_out(actual, settings.validation_fraction, settings.seed)
    log(f"{len(rows.texts):,} rows; labels: {', '.join(labels)}")
    validation = read(base / "input/data/validation")
    if validation.texts:
        held = np.repeat([False, True], [len(rows.texts), len(validation.texts)])
        actual = np.concatenate([actual, place(validation, labels)])
        log(f"{len(validation.texts):,} rows for validation")
    features = ngram_rows(rows.texts + validation.texts, settings.ngrams, settings.hash_bits)
    log(f"{features.nnz:,} n-grams in all texts")
    measure(features, actual, held, labels, settings)
    model = fit(features, actual, labels, settings)
    model.save(base / "model")
    log(f"saved a model of {len(model.columns):,} n-grams")


def known_labels(rows: Rows) -> list[str]:
    """The labels that a model of these rows knows, in the order of its probabilities."""
    labels = sorted(set(rows.labels))
    if len(labels) < 2:
        raise TrainingDataError(f"all {len(rows.labels):,} rows have the label '{labels[0]}'; two are needed")
    return labels


def place(rows: Rows, labels: list[str]) -> Labels:
    """Each row's label, as its place in labels."""
    places = {label: i for i, label in enumerate(labels)}
    if unknown := set(rows.labels) - places.keys():
        raise TrainingDataError(f"the channel train has no row of the label '{min(unknown)}' of validation")
    return np.array([places[label] for label in rows.labels])


def measure(
    features: csr_array, actual: Labels, held: Chosen, labels: list[str], settings: Hyperparameters
) -> None:
    """Print how good a model of the other rows is on the rows held out."""
    if not held.any():
        log("no row is held out, so nothing is measured")
        return
    model = fit(features[~held], actual[~held], labels, settings)
    for name, chosen in (("train", ~held), ("validation", held)):
        probabilities = model.predict_rows(model.known(features[chosen]))
        right = probabilities.argmax(axis=1) == actual[chosen]
        given = np.take_along_axis(probabilities, actual[chosen][:, None], axis=1)
        loss = -np.log(np.maximum(given, np.finfo(np.float64).tiny)).mean()
        log(f"{name}:rows={chosen.sum()}; {name}:accuracy={right.mean():.4f}; {name}:log_loss={loss:.4f};")


def hold_out(actual: Labels, fraction: float, seed: int) -> Chosen:
    """Choose this fraction of each label's rows, rounded down, so that each keeps some to learn from."""
    random = np.random.default_rng(seed)
    held = np.zeros(len(actual), np.bool_)
    for label in np.unique(actual):
        members = random.permutation(np.flatnonzero(actual == label))
        held[members[: int(len(members) * fraction)]] = True
    return held


def read(folder: Path) -> Rows:
    """Read every JSON Lines file of a channel; one that is not there has none.

    Raises:
        TrainingDataError: A row is not what is expected.
    """
    rows = Rows()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open(encoding="utf-8") as file:
            try:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        add(rows, line, f"{path.name}, line {number}")
            except UnicodeDecodeError as error:
                raise TrainingDataError(f"{path.name} is not UTF-8 text: {error}") from error
    return rows


def add(rows: Rows, line: str, where: str) -> None:
    """Add one row."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TrainingDataError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise TrainingDataError(f"{where}: not a JSON object")
    for name in ("text", "label"):
        if not isinstance(row.get(name), str):
            raise TrainingDataError(f"{where}: no '{name}'")
    rows.texts.append(row["text"])
    rows.labels.append(sys.intern(row["label"]))


def log(message: str) -> None:
    """Print a line with the seconds since the process started to train."""
    print(f"[{monotonic() - STARTED:6.1f}s] {message}", flush=True)


STARTED = monotonic()
