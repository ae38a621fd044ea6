"""Completion criteria of tuning jobs."""

from collections.abc import Sequence

from localaws.sagemaker.api.shapes import Document

IMPROVEMENT = 0.01  # minimum improvement on the previous best objective, relative to it


def not_improving(values: Sequence[float], maximize: bool) -> int:
    """Return the number of objectives since the last improvement on the best.

    Args:
        values: the training jobs' objectives, in the order of the jobs' ends.
        maximize: whether greater is better.
    """
    count, best = 0, None
    for value in values if maximize else [-value for value in values]:
        count = 0 if best is None or value > best + IMPROVEMENT * abs(best) else count + 1
        best = value if best is None else max(best, value)
    return count


def is_met(criteria: Document, values: Sequence[float], maximize: bool) -> bool:
    """Return whether the objectives so far meet one of a request's TuningJobCompletionCriteria."""
    if not values:
        return False
    target = criteria.get("TargetObjectiveMetricValue")
    if target is not None and (max(values) >= target if maximize else min(values) <= target):
        return True
    patience = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
    return patience is not None and not_improving(values, maximize) >= patience
