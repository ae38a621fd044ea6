"""Hyperparameters of the training: a preset, and values that override it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from toolkit import hyperparameters
from toolkit.hyperparameters import Range

PRESETS: Mapping[str, Mapping[str, str]] = {
    "fast": {"skips": "0", "ending": "0", "negation": "0"},
    "default": {},
    "accurate": {"ngrams": "4", "char_ngrams": "8", "idf_share": "0.35"},
}


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Hyperparameters; README.md describes each.

    The defaults were chosen by cross-validation on IMDB's training split, with each film in one fold only.
    """

    preset: Literal["fast", "default", "accurate"] = "default"
    ngrams: Annotated[int, Range(1, 5)] = 3
    skips: Annotated[int, Range(0, 5)] = 2
    ending: Annotated[int, Range(0, 1000)] = 30
    negation: Annotated[int, Range(0, 20)] = 4
    char_ngrams: Annotated[int, Range(0, 12)] = 0
    char_ngrams_share: Annotated[float, Range(0, 1)] = 0.2
    idf_share: Annotated[float, Range(0, 1)] = 0.25
    hash_bits: Annotated[int, Range(10, 26)] = 24
    min_documents: Annotated[int, Range(1, 255)] = 4
    smoothing: Annotated[float, Range(1e-3, 1e3)] = 3.0
    inverse_regularization: Annotated[float, Range(1e-4, 1e4)] = 1.0
    tolerance: Annotated[float, Range(1e-4, 1)] = 0.1
    epochs: Annotated[int, Range(1, 1000)] = 3
    validation_fraction: Annotated[float, Range(0, 0.5)] = 0.1
    seed: Annotated[int, Range(0, 2**31 - 1)] = 1


def parse(values: Mapping[str, str]) -> Hyperparameters:
    """Return the preset's hyperparameters, overridden by `values`.

    Raises:
        HyperparameterError: A name is unknown, or a value is out of its range.
    """
    preset = PRESETS.get(values.get("preset", "default"), {})
    return hyperparameters.parse(Hyperparameters, {**preset, **values})
