"""The hyperparameter ranges of a tuning job."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from localaws.sagemaker.api.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.api.shapes import Document

Combination = dict[str, str]
"""One value per tuned hyperparameter, as a string for the training job."""

Scale = Literal["Linear", "Logarithmic", "ReverseLogarithmic"]

MAX_RANGES = 30
AUTO_LOGARITHMIC_RATIO = 100  # ScalingType Auto is logarithmic for ranges that span this factor


@dataclass(frozen=True)
class Numbers:
    """A hyperparameter between two numbers, both included.

    Attributes:
        name: the hyperparameter's name.
        low: the smallest value.
        high: the greatest value.
        scale: the scale on which values are sampled uniformly.
        integer: whether the values are integers.
    """

    name: str
    low: float
    high: float
    scale: Scale
    integer: bool

    @property
    def size(self) -> float:
        """The number of values; infinite for a continuous range."""
        if self.low == self.high:
            return 1
        return self.high - self.low + 1 if self.integer else math.inf

    def values(self) -> Iterable[float]:
        """Return all values; only for a range of finite size."""
        return range(int(self.low), int(self.high) + 1) if self.integer else (self.low,)

    def text(self, value: float) -> str:
        """Return a value as a string for the training job."""
        return str(int(value) if self.integer else float(value))


@dataclass(frozen=True)
class Categories:
    """A categorical hyperparameter."""

    name: str
    categories: tuple[str, ...]

    @property
    def size(self) -> float:
        """The number of categories."""
        return len(self.categories)

    def values(self) -> Iterable[str]:
        """Return all categories."""
        return self.categories


Range = Numbers | Categories


def parse_ranges(document: Document) -> tuple[Range, ...]:
    """Parse a request's ParameterRanges.

    Raises:
        ValidationException: a range is invalid, or a hyperparameter has two ranges.
        NotSupportedLocally: the request has AutoParameters.
    """
    if document.get("AutoParameters"):
        raise NotSupportedLocally("The member HyperParameterTuningJobConfig.ParameterRanges.AutoParameters")
    ranges = tuple(_parse(document))
    names = [item.name for item in ranges]
    if not 0 < len(names) <= MAX_RANGES:
        raise ValidationException(
            f"ParameterRanges must have between 1 and {MAX_RANGES} hyperparameters, not {len(names)}"
        )
    if len(set(names)) < len(names):
        raise ValidationException(f"Each hyperparameter can have only one range: {', '.join(names)}")
    return ranges


def combinations(ranges: tuple[Range, ...]) -> float:
    """Return the number of combinations of values; infinite with a continuous range."""
    return math.prod(item.size for item in ranges)


def _parse(document: Document) -> Iterator[Range]:
    for item in document.get("IntegerParameterRanges", []):
        yield _numbers(item, integer=True)
    for item in document.get("ContinuousParameterRanges", []):
        yield _numbers(item, integer=False)
    for item in document.get("CategoricalParameterRanges", []):
        values = tuple(item["Values"])
        if len(set(values)) < len(values):
            raise ValidationException(f"The values of {item['Name']} must be unique: {', '.join(values)}")
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
        kind = "integers" if integer else "numbers"
        raise ValidationException(f"The limits of the range of {name} must be {kind}, not {text!r}")
    return value


def _scale(item: Document, low: float, high: float, integer: bool) -> Scale:
    name = item["Name"]
    match item.get("ScalingType", "Auto"):
        case "Logarithmic":
            if low <= 0:
                raise ValidationException(
                    f"Logarithmic scaling of {name} requires a MinValue greater than 0, not {low}"
                )
            return "Logarithmic"
        case "ReverseLogarithmic":
            if integer or low < 0 or high >= 1:
                raise ValidationException(
                    f"ReverseLogarithmic scaling of {name} requires a continuous range within 0 <= x < 1.0, "
                    f"not from {low} to {high}"
                )
            return "ReverseLogarithmic"
        case "Auto" if low > 0 and high / low >= AUTO_LOGARITHMIC_RATIO:
            return "Logarithmic"
        case _:
            return "Linear"
