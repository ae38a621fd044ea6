"""Test whether one classifier is right more often than another on the same rows."""

import math
from collections.abc import Sequence

TEST = "McNemar exact, one-sided"


def mcnemar(better: int, worse: int) -> float:
    """Return the p-value of McNemar's exact test that the challenger is more often right.

    McNemar, Psychometrika 12, 1947: among the rows on which exactly one model is right, under the null
    hypothesis each is the challenger's with probability 1/2, so the p-value is the upper tail of a binomial.
    """
    discordant = better + worse
    return min(
        math.fsum(math.exp(log_half_binomial(discordant, k)) for k in range(better, discordant + 1)), 1.0
    )


def log_half_binomial(n: int, k: int) -> float:
    """Return the log probability of k heads in n fair tosses."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for their number (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min((len(p_values) - rank) * p_values[place], 1.0))
        adjusted[place] = largest
    return adjusted
