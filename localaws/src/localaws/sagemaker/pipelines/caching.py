"""Step caching: a successful earlier run of the same step with the same key is reused.

Source: "Caching pipeline steps" and "Default cache key attributes by pipeline step type" of the SageMaker
developer guide. One thing is added: the key holds the content of the step's images too, since here an image
is a folder whose code changes under one name.
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

# ISO 8601, and as AWS's own examples write it: "30d", "T16m", "30dT5h".
_DURATION = re.compile(
    r"P?(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?",
    re.IGNORECASE,
)
_DAYS = {"years": 365, "months": 30, "weeks": 7, "days": 1}


def duration(text: str) -> timedelta:
    """How long ExpireAfter says; a month counts as 30 days, a year as 365.

    Raises:
        ValidationException: it is no duration.
    """
    found = _DURATION.fullmatch(text)
    parts = {unit: int(count) for unit, count in found.groupdict().items() if count} if found else {}
    if not parts:
        raise ValidationException(
            f"{text!r} is no ISO 8601 duration: write such as 'P30D' (30 days) or 'PT16M' (16 minutes)"
        )
    days = sum(_DAYS.get(unit, 0) * count for unit, count in parts.items())
    try:
        return timedelta(days, **{unit: count for unit, count in parts.items() if unit not in _DAYS})
    except OverflowError:
        return timedelta.max


def expiry(step: Document) -> timedelta | None:
    """How old the run may be that is reused in place of a step; None where none is.

    Raises:
        ValidationException: caching is on, and for how long is not told or is no duration.
    """
    config: Document = step.get("CacheConfig") or {}
    limit = duration(config["ExpireAfter"]) if "ExpireAfter" in config else None
    if not config.get("Enabled", False):
        return None
    if limit is None:
        raise ValidationException("CacheConfig with Enabled true needs ExpireAfter, such as 'P30D'")
    return limit


def key(step_type: str, arguments: Document, images: Mapping[str, str]) -> str:
    """What two runs of a step have in common when one can be reused for the other.

    Args:
        step_type: such as "Training".
        arguments: without references.
        images: digests of the images' contents, by their URIs.
    """
    attributes = {path: _at(arguments, path) for path in STEP_TYPES[step_type].cache_attributes}
    content = json.dumps([attributes, dict(images)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class Run:
    """A successful run of a step.

    Attributes:
        execution_arn: the execution that it was part of.
        ended: when.
        metadata: of its record; names the job.
        properties: what later steps may refer to.
    """

    execution_arn: str
    ended: datetime
    metadata: Document
    properties: Document


class StepCache:
    """The most recent successful run for each pipeline, step and key."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str, str], Run] = {}
        self._lock = threading.Lock()

    def find(
        self, pipeline_arn: str, step: str, step_key: str, now: datetime, limit: timedelta
    ) -> Run | None:
        """The run to reuse: one that ended not longer ago than the limit."""
        with self._lock:
            run = self._runs.get((pipeline_arn, step, step_key))
        return run if run is not None and now - run.ended <= limit else None

    def remember(self, pipeline_arn: str, step: str, step_key: str, run: Run) -> None:
        """Keep a run, in place of any earlier one."""
        with self._lock:
            self._runs[pipeline_arn, step, step_key] = run

    def forget(self, pipeline_arn: str) -> None:
        """Drop a pipeline's runs: one that is created under its name is another."""
        with self._lock:
            self._runs = {place: run for place, run in self._runs.items() if place[0] != pipeline_arn}


def _at(arguments: Document, path: str) -> Any:
    value: Any = arguments
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
