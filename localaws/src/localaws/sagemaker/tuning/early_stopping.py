"""Which training jobs of a tuning job are not worth going on with."""

import statistics
from collections.abc import Sequence

FIRST_EPOCH = 2  # an objective that is told once is told at the end, when there is nothing left to save


def falls_behind(current: Sequence[float], previous: Sequence[Sequence[float]], maximize: bool) -> bool:
    """Whether a training job is to be stopped, by SageMaker's median rule.

    Its latest value is held against the median of the previous jobs' running averages up to the same epoch.

    Args:
        current: the objective's values so far, one an epoch.
        previous: the values of jobs that ended before.
        maximize: whether greater is better.
    """
    epoch = len(current)
    comparable = [values[:epoch] for values in previous if len(values) >= epoch]
    if epoch < FIRST_EPOCH or not comparable:
        return False
    median = statistics.median(map(statistics.fmean, comparable))
    return current[-1] < median if maximize else current[-1] > median
