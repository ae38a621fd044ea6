"""Run a training job: measure on held-out rows, then fit on all rows and save the model."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from linear.calibration import fit_scale, held_out_probabilities, log_loss, probabilities
from linear.char_ngrams import CharNgrams
from linear.fitting import FittedModels, Labels, ModelShares, Solver, fit
from linear.hyperparameters import Hyperparameters, parse
from linear.model import View, assemble
from linear.vocabulary import VocabularyRows, build_vocabulary
from linear.word_ngrams import WordNgrams
from toolkit.errors import TrainingDataError
from toolkit.job import Job
from toolkit.rows import hold_out, label_indices, training_labels

CHAR_NGRAM_SPAN = 2  # longest minus shortest run of characters


def train(job: Job) -> None:
    """Train on the channels train and validation, and write the model.

    A model of the channel train is measured on the channel validation or, if that is missing or empty, on
    rows held out of train. The saved model is fitted on all rows: its fit starts from the measured one and
    takes half as many epochs at most. The vocabulary is built once, from all texts; it does not depend on
    labels.

    Raises:
        ContainerError: The hyperparameters or the data cannot be used.
    """
    settings = parse(job.hyperparameters)
    job.log(f"hyperparameters: {settings}")
    rows = job.read("train")
    labels = training_labels(rows)
    actual = label_indices(rows, labels)
    held = hold_out(actual, settings.validation_fraction, settings.seed)
    job.log(f"{len(rows):,} rows; labels: {', '.join(labels)}")
    validation = job.read("validation")
    if len(validation):
        held = np.repeat([False, True], [len(rows), len(validation)])
        actual = np.concatenate([actual, label_indices(validation, labels)])
        job.log(f"{len(validation):,} rows for validation")
    views, shares = make_views(settings)
    texts = rows.texts + validation.texts
    vocabularies = [build_vocabulary(view.rows(texts), view.bits, settings.min_documents) for view in views]
    job.log(f"{sum(len(one.columns) for one in vocabularies):,} n-grams")
    if not any(len(one.columns) for one in vocabularies):
        raise TrainingDataError("no text contains a word")
    solver = Solver(
        settings.smoothing,
        settings.inverse_regularization,
        settings.epochs,
        settings.tolerance,
        settings.seed,
    )
    measured = fit(vocabularies, shares, actual, np.flatnonzero(~held), solver) if held.any() else None
    scale = measure(job, measured, vocabularies, actual, held)
    if measured:
        solver = replace(solver, epochs=(settings.epochs + 1) // 2)
    fitted = fit(vocabularies, shares, actual, np.arange(len(actual)), solver, measured)
    model = assemble(labels, views, vocabularies, fitted, scale)
    model.save(job.model_dir)
    job.log(f"saved a model of {model.size:,} weights")


def make_views(settings: Hyperparameters) -> tuple[list[View], list[ModelShares]]:
    """Return the n-gram extractors, and the shares of their models."""

    def shares(view: float) -> ModelShares:
        return ModelShares(view * (1 - settings.idf_share), view * settings.idf_share)

    char_share = settings.char_ngrams_share if settings.char_ngrams else 0.0
    views: list[View] = [
        WordNgrams(settings.ngrams, settings.skips, settings.ending, settings.negation, settings.hash_bits)
    ]
    if not char_share:
        return views, [shares(1)]
    shortest = max(1, settings.char_ngrams - CHAR_NGRAM_SPAN)
    views.append(CharNgrams(shortest, settings.char_ngrams, settings.hash_bits))
    return views, [shares(1 - char_share), shares(char_share)]


def measure(
    job: Job,
    fitted: FittedModels | None,
    vocabularies: Sequence[VocabularyRows],
    actual: Labels,
    held: NDArray[np.bool_],
) -> float:
    """Report metrics on the training and the held-out rows; return the scale of the scores."""
    if fitted is None:
        job.log("no row is held out; skipping validation")
        return fit_scale(np.empty((0, 1)), np.empty(0, np.int64))
    scores = fitted.scores(vocabularies)
    scale = fit_scale(scores[held], actual[held])
    learned = probabilities(scores[~held], scale)
    unseen = held_out_probabilities(scores[held], actual[held])
    for name, predicted, true_labels in (
        ("train", learned, actual[~held]),
        ("validation", unseen, actual[held]),
    ):
        accuracy = float((predicted.argmax(axis=1) == true_labels).mean())
        job.report(name, rows=len(true_labels), accuracy=accuracy, log_loss=log_loss(predicted, true_labels))
    return scale
