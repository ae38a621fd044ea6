"""The ranges that a tuning job searches, as its request states them."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from localaws.sagemaker.api.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.api.shapes import Document

Combination = dict[str, str]
"""A value for each tuned hyperparameter, as the training job gets it."""

Scale = Literal["Linear", "Logarithmic", "ReverseLogarithmic"]

MAX_RANGES = 30
AUTO_LOGARITHMIC_RATIO = 100  # a positive range that spans two orders of magnitude is searched by them


@dataclass(frozen=True)
class Numbers:
    """A hyperparameter between two numbers, both included.

    Attributes:
        name: the hyperparameter.
        low: the smallest value.
        high: the greatest value.
        scale: on which values are spread evenly.
        integer: whether only whole numbers count.
    """

    name: str
    low: float
    high: float
    scale: Scale
    integer: bool

    @property
    def size(self) -> float:
        """How many values there are."""
        if self.low == self.high:
            return 1
        return self.high - self.low + 1 if self.integer else math.inf

    def values(self) -> Iterable[float]:
        """All values, of a range that has a finite size."""
        return range(int(self.low), int(self.high) + 1) if self.integer else (self.low,)

    def text(self, value: float) -> str:
        """A value as the training job gets it."""
        return str(int(value) if self.integer else float(value))


@dataclass(frozen=True)
class Categories:
    """A hyperparameter that is one of several words."""

    name: str
    words: tuple[str, ...]

    @property
    def size(self) -> float:
        """How many values there are."""
        return len(self.words)

    def values(self) -> Iterable[str]:
        """All values."""
        return self.words


Range = Numbers | Categories


def parse_ranges(document: Document) -> tuple[Range, ...]:
    """The ranges of a request's ParameterRanges.

    Raises:
        ValidationException: one is not a range, or a name stands twice.
    """
    if document.get("AutoParameters"):
        raise NotSupportedLocally("The member HyperParameterTuningJobConfig.ParameterRanges.AutoParameters")
    ranges = tuple(_parsed(document))
    names = [item.name for item in ranges]
    if not 0 < len(names) <= MAX_RANGES:
        raise ValidationException(
            f"ParameterRanges needs between 1 and {MAX_RANGES} hyperparameters, and has {len(names)}"
        )
    if len(set(names)) < len(names):
        raise ValidationException(f"Each hyperparameter can have one range only: {', '.join(names)}")
    return ranges


def combinations(ranges: tuple[Range, ...]) -> float:
    """How many combinations of values there are; infinite with a continuous range."""
    return math.prod(item.size for item in ranges)


def _parsed(document: Document) -> Iterator[Range]:
    for item in document.get("IntegerParameterRanges", []):
        yield _numbers(item, integer=True)
    for item in document.get("ContinuousParameterRanges", []):
        yield _numbers(item, integer=False)
    for item in document.get("CategoricalParameterRanges", []):
        values = tuple(item["Values"])
        if len(set(values)) < len(values):
            raise ValidationException(f"The values of {item['Name']} have to differ: {', '.join(values)}")
        yield Categories(item["Name"], values)


def _numbers(item: Document, integer: bool) -> Numbers:
    name = item["Name"]
    low, high = _number(name, item["MinValue"], integer), _number(name, item["MaxValue"], integer)
    if low > high:
        raise ValidationException(f"MinValue {low} of {name} is greater than its MaxValue {high}")
    return Numbers(name, low, high, _scale(item, low, high, integer), integer)


def _number(name: str, text: str, integer: bool) -> float:
    try:
        value = int(text) if integer else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        kind = "an integer" if integer else "a number"
        raise ValidationException(f"The range of {name} has to be from {kind} to {kind}, not {text!r}")
    return value


def _scale(item: Document, low: float, high: float, integer: bool) -> Scale:
    name = item["Name"]
    match item.get("ScalingType", "Auto"):
        case "Logarithmic":
            if low <= 0:
                raise ValidationException(
                    f"Logarithmic scaling of {name} needs values greater than 0, not from {low}"
                )
            return "Logarithmic"
        case "ReverseLogarithmic":
            if integer or low < 0 or high >= 1:
                raise ValidationException(
                    f"ReverseLogarithmic scaling of {name} needs a continuous range within 0 <= x < 1.0, "
                    f"not from {low} to {high}"
                )
            return "ReverseLogarithmic"
        case "Auto" if low > 0 and high / low >= AUTO_LOGARITHMIC_RATIO:
            return "Logarithmic"
        case _:
            return "Linear"
