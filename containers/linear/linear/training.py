"""A training job: reads the channels, measures on rows held out, fits on all rows, saves the model."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from toolkit.errors import TrainingDataError
from toolkit.job import Job
from toolkit.rows import hold_out, known_labels, places

from linear.calibration import fit_scale, held_out_probabilities, log_loss, probabilities
from linear.char_ngrams import Letters
from linear.fitting import Fitted, Labels, Shares, Solver, fit
from linear.hyperparameters import Hyperparameters, parse
from linear.model import View, assemble
from linear.vocabulary import Known, know
from linear.word_ngrams import Words

LETTERS_BETWEEN = 2  # the longest run of letters and the shortest


def train(job: Job) -> None:
    """Read the channels train and validation, write the model.

    A model of the channel train is measured on the channel validation, or, where that is missing or holds no
    row, a model of most of train on the rest. The model that is saved learns from all rows: its fit begins
    where the measured one ended, and takes half as many epochs at most. Which n-grams are frequent enough is
    told once, by all texts, not by labels.

    Raises:
        ContainerError: The hyperparameters or the data cannot be used.
    """
    settings = parse(job.hyperparameters)
    job.log(f"hyperparameters: {settings}")
    rows = job.read("train")
    labels = known_labels(rows)
    actual = places(rows, labels)
    held = hold_out(actual, settings.validation_fraction, settings.seed)
    job.log(f"{len(rows):,} rows; labels: {', '.join(labels)}")
    validation = job.read("validation")
    if len(validation):
        held = np.repeat([False, True], [len(rows), len(validation)])
        actual = np.concatenate([actual, places(validation, labels)])
        job.log(f"{len(validation):,} rows for validation")
    views, shares = looks(settings)
    texts = rows.texts + validation.texts
    known = [know(view.rows(texts), view.bits, settings.min_documents) for view in views]
    job.log(f"{sum(len(one.columns) for one in known):,} n-grams")
    if not any(len(one.columns) for one in known):
        raise TrainingDataError("no text holds a word")
    solver = Solver(
        settings.smoothing,
        settings.inverse_regularization,
        settings.epochs,
        settings.tolerance,
        settings.seed,
    )
    measured = fit(known, shares, actual, np.flatnonzero(~held), solver) if held.any() else None
    scale = measure(job, measured, known, actual, held)
    if measured:
        solver = replace(solver, epochs=(settings.epochs + 1) // 2)
    fitted = fit(known, shares, actual, np.arange(len(actual)), solver, measured)
    model = assemble(labels, views, known, fitted, scale)
    model.save(job.model_dir)
    job.log(f"saved a model of {model.size:,} weights")


def looks(settings: Hyperparameters) -> tuple[list[View], list[Shares]]:
    """How texts are looked at, and how much each view's models count."""

    def shares(view: float) -> Shares:
        return Shares(view * (1 - settings.idf_share), view * settings.idf_share)

    letters = settings.letters_share if settings.letters else 0.0
    views: list[View] = [
        Words(settings.ngrams, settings.skips, settings.ending, settings.negation, settings.hash_bits)
    ]
    if not letters:
        return views, [shares(1)]
    shortest = max(1, settings.letters - LETTERS_BETWEEN)
    views.append(Letters(shortest, settings.letters, settings.hash_bits))
    return views, [shares(1 - letters), shares(letters)]


def measure(
    job: Job, fitted: Fitted | None, known: Sequence[Known], actual: Labels, held: NDArray[np.bool_]
) -> float:
    """Print how good a model of the other rows is on the rows held out; return the factor of its scores."""
    if fitted is None:
        job.log("no row is held out, so nothing is measured")
        return fit_scale(np.empty((0, 1)), np.empty(0, np.int64))
    scores = fitted.scores(known)
    scale = fit_scale(scores[held], actual[held])
    learned = probabilities(scores[~held], scale)
    unseen = held_out_probabilities(scores[held], actual[held])
    for name, given, right in (("train", learned, actual[~held]), ("validation", unseen, actual[held])):
        accuracy = float((given.argmax(axis=1) == right).mean())
        job.report(name, rows=len(right), accuracy=accuracy, log_loss=log_loss(given, right))
    return scale
