"""A training job's metrics, found in what it prints."""

import contextlib
import math
from collections.abc import Sequence

import regex

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.platform.records import now

SEARCH_SECONDS = 0.2  # a pattern that takes longer on one line is left alone there


class Metrics:
    """The values of each of the job's MetricDefinitions, in the order in which they were printed."""

    def __init__(self, definitions: Sequence[Document]) -> None:
        self._patterns = {item["Name"]: compiled(item["Regex"]) for item in definitions}
        self._values: dict[str, list[float]] = {name: [] for name in self._patterns}
        self._last: dict[str, Document] = {}

    def read(self, line: str) -> None:
        """Take in a line: where a pattern matches, its first group is the value."""
        for name, pattern in self._patterns.items():
            with contextlib.suppress(TimeoutError, ValueError, TypeError):
                for match in pattern.finditer(line, timeout=SEARCH_SECONDS):
                    value = float(match[1])
                    if math.isfinite(value):
                        self._values[name].append(value)
                        self._last[name] = {"MetricName": name, "Value": value, "Timestamp": now()}

    def values(self, name: str) -> list[float]:
        """What the metric has been so far."""
        return list(self._values[name])

    def final(self) -> list[Document]:
        """What FinalMetricDataList tells."""
        return [self._last[name] for name in self._patterns if name in self._last]


def compiled(pattern: str) -> regex.Pattern[str]:
    """A definition's pattern.

    Raises:
        ValidationException: it is none, or has no group.
    """
    try:
        found = regex.compile(pattern)
    except regex.error as error:
        raise ValidationException(f"Invalid metric regex {pattern!r}: {error}") from error
    if not found.groups:
        raise ValidationException(f"Invalid metric regex {pattern!r}: it has no group for the value")
    return found
