"""The training's settings; SageMaker passes each as a string."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from errors import HyperparameterError

# What AWS's SDK adds for its own toolkits, and a tuning job for the algorithm to know its objective.
NOT_OURS = ("sagemaker_", "_tuning_objective_metric")


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Chosen on a fifth of IMDB's training split; README.md says what each does."""

    ngrams: int = 2
    hash_bits: int = 22
    min_documents: int = 3
    smoothing: float = 1.0
    inverse_regularization: float = 30.0
    validation_fraction: float = 0.1
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Range:
    """The values that a hyperparameter may take, both ends among them."""

    kind: Callable[[str], int | float]
    low: float
    high: float


RANGES = {
    "ngrams": Range(int, 1, 4),
    "hash_bits": Range(int, 10, 26),
    "min_documents": Range(int, 1, 1000),
    "smoothing": Range(float, 1e-3, 1e3),
    "inverse_regularization": Range(float, 1e-4, 1e4),
    "validation_fraction": Range(float, 0, 0.5),
    "seed": Range(int, 0, 2**31 - 1),
}


def load(file: Path) -> Hyperparameters:
    """Read the job's hyperparameters; without a file they are the defaults."""
    if not file.exists():
        return Hyperparameters()
    try:
        values = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise HyperparameterError(f"{file.name} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise HyperparameterError(f"{file.name} is not a JSON object")
    return parse(values)


def parse(values: Mapping[str, str]) -> Hyperparameters:
    """Check every name and value.

    Raises:
        HyperparameterError: A name is unknown, or a value is not in its range.
    """
    own = {name: value for name, value in values.items() if not name.startswith(NOT_OURS)}
    changes: dict[str, Any] = {name: parse_value(name, value) for name, value in own.items()}
    return replace(Hyperparameters(), **changes)


def parse_value(name: str, value: str) -> int | float:
    """Return a value as a number of its range."""
    if name not in RANGES:
        known = [field.name for field in fields(Hyperparameters)]
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise HyperparameterError(f"unknown hyperparameter '{name}'; {hint}")
    allowed = RANGES[name]
    kind = "a whole number" if allowed.kind is int else "a number"
    wanted = f"{name} must be {kind} from {allowed.low:g} to {allowed.high:g}, not '{value}'"
    try:
        number = allowed.kind(str(value))
    except ValueError as error:
        raise HyperparameterError(wanted) from error
    if not allowed.low <= number <= allowed.high:
        raise HyperparameterError(wanted)
    return number
