"""A training job's metrics, parsed from its log lines."""

import contextlib
import math
from collections.abc import Sequence

import regex

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.platform.records import now

SEARCH_SECONDS = 0.2  # timeout of one pattern on one line; the line is then skipped for this pattern


class Metrics:
    """The values per MetricDefinition of a job, in the order of the log."""

    def __init__(self, definitions: Sequence[Document]) -> None:
        self._patterns = {item["Name"]: compile_regex(item["Regex"]) for item in definitions}
        self._values: dict[str, list[float]] = {name: [] for name in self._patterns}
        self._last: dict[str, Document] = {}

    def read(self, line: str) -> None:
        """Search a log line for metrics; the first group of a match is the value."""
        for name, pattern in self._patterns.items():
            with contextlib.suppress(TimeoutError, ValueError, TypeError):
                for match in pattern.finditer(line, timeout=SEARCH_SECONDS):
                    value = float(match[1])
                    if math.isfinite(value):
                        self._values[name].append(value)
                        self._last[name] = {"MetricName": name, "Value": value, "Timestamp": now()}

    def values(self, name: str) -> list[float]:
        """Return all values of a metric so far."""
        return list(self._values[name])

    def final(self) -> list[Document]:
        """Return FinalMetricDataList: the last value per metric."""
        return [self._last[name] for name in self._patterns if name in self._last]


def compile_regex(pattern: str) -> regex.Pattern[str]:
    """Compile the Regex of a MetricDefinition.

    Raises:
        ValidationException: the pattern is invalid, or has no group.
    """
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise ValidationException(f"Invalid metric regex {pattern!r}: {error}") from error
    if not compiled.groups:
        raise ValidationException(f"Invalid metric regex {pattern!r}: it has no group for the value")
    return compiled
