"""Early stopping of a tuning job's training jobs."""

import statistics
from collections.abc import Sequence

FIRST_EPOCH = 2  # a job that reports a single value does so at its end, where stopping saves nothing


def falls_behind(current: Sequence[float], previous: Sequence[Sequence[float]], maximize: bool) -> bool:
    """Return whether to stop a training job, by SageMaker's median rule.

    The job's latest value is compared with the median of the previous jobs' running averages up to the same
    epoch.

    Args:
        current: the job's objective values so far, one per epoch.
        previous: the values of jobs that have ended.
        maximize: whether greater is better.
    """
    epoch = len(current)
    comparable = [values[:epoch] for values in previous if len(values) >= epoch]
    if epoch < FIRST_EPOCH or not comparable:
        return False
    median = statistics.median(map(statistics.fmean, comparable))
    return current[-1] < median if maximize else current[-1] > median
