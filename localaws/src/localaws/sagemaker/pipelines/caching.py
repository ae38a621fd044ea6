"""Step caching: a successful earlier run of the same step with the same key is reused.

Source: "Caching pipeline steps" and "Default cache key attributes by pipeline step type" of the SageMaker
developer guide. In addition, the key contains the content digests of the step's images, since here an image
is a folder whose code changes without a new URI.
"""

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.pipelines.steps import STEP_TYPES

# ISO 8601, and the short forms of AWS's examples: "30d", "T16m", "30dT5h".
_DURATION = re.compile(
    r"P?(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?",
    re.IGNORECASE,
)
_DAYS = {"years": 365, "months": 30, "weeks": 7, "days": 1}


def duration(text: str) -> timedelta:
    """Parse the duration of ExpireAfter; a month counts as 30 days, a year as 365.

    Raises:
        ValidationException: the text is not a duration.
    """
    found = _DURATION.fullmatch(text)
    parts = {unit: int(count) for unit, count in found.groupdict().items() if count} if found else {}
    if not parts:
        raise ValidationException(
            f"{text!r} is not an ISO 8601 duration, such as 'P30D' (30 days) or 'PT16M' (16 minutes)"
        )
    days = sum(_DAYS.get(unit, 0) * count for unit, count in parts.items())
    try:
        return timedelta(days, **{unit: count for unit, count in parts.items() if unit not in _DAYS})
    except OverflowError:
        return timedelta.max


def expiry(step: Document) -> timedelta | None:
    """Return the maximum age of a cached run that a step can reuse; None if its caching is off.

    Raises:
        ValidationException: ExpireAfter is not a duration, or is missing while caching is on.
    """
    config: Document = step.get("CacheConfig") or {}
    limit = duration(config["ExpireAfter"]) if "ExpireAfter" in config else None
    if not config.get("Enabled", False):
        return None
    if limit is None:
        raise ValidationException("CacheConfig with Enabled true requires ExpireAfter, such as 'P30D'")
    return limit


def key(step_type: str, arguments: Document, images: Mapping[str, str]) -> str:
    """Return the cache key of a step's run: a hash of its cache attributes and images.

    Args:
        step_type: the step's type, such as "Training".
        arguments: the step's arguments, with references resolved.
        images: digests of the images' contents, by URI.
    """
    attributes = {path: _at(arguments, path) for path in STEP_TYPES[step_type].cache_attributes}
    content = json.dumps([attributes, dict(images)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class Run:
    """A successful run of a step.

    Attributes:
        execution_arn: the execution that the run was part of.
        ended: the time of its end.
        metadata: the Metadata of the step's record; it has the job's ARN.
        properties: the step's properties, to which later steps can refer.
    """

    execution_arn: str
    ended: datetime
    metadata: Document
    properties: Document


class StepCache:
    """The most recent successful run per pipeline, step and key."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str, str], Run] = {}
        self._lock = threading.Lock()

    def find(
        self, pipeline_arn: str, step: str, step_key: str, now: datetime, limit: timedelta
    ) -> Run | None:
        """Return the run to reuse, if one ended at most `limit` ago; None otherwise."""
        with self._lock:
            run = self._runs.get((pipeline_arn, step, step_key))
        return run if run is not None and now - run.ended <= limit else None

    def remember(self, pipeline_arn: str, step: str, step_key: str, run: Run) -> None:
        """Store a run; it replaces an earlier one with the same key."""
        with self._lock:
            self._runs[pipeline_arn, step, step_key] = run

    def forget(self, pipeline_arn: str) -> None:
        """Remove the runs of a deleted pipeline; a new pipeline with its name must not reuse them."""
        with self._lock:
            self._runs = {key: run for key, run in self._runs.items() if key[0] != pipeline_arn}


def _at(arguments: Document, path: str) -> Any:
    value: Any = arguments
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
