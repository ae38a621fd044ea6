"""Compare two models on the same test rows, row by row."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from processing.quality.bootstrap import LEVEL, Estimate, draw_cells, draw_rows, estimate
from processing.quality.curves import rankings, weighted_auc
from processing.quality.metrics import multiclass_metrics
from processing.quality.predictions import Codes, Matrix, Scores

METRIC = "accuracy"  # the metric of the significance test
TEST = "McNemar exact, one-sided"


class Difference(NamedTuple):
    """A metric of both models, and the estimate of challenger minus champion."""

    challenger: float
    champion: float
    difference: Estimate


@dataclass(frozen=True)
class Comparison:
    """The comparison of challenger and champion."""

    champion_model: str
    rows: int
    challenger_only_right: int
    champion_only_right: int
    p_value: float
    metrics: dict[str, Difference]

    @property
    def main(self) -> Difference:
        """Return the metric of the significance test."""
        return self.metrics[METRIC]


def compare_models(challenger: Scores, champion: Scores, champion_model: str) -> Comparison:
    """Compare on the same rows and labels; a label that a model lacks has probability 0."""
    only_challenger = int((challenger.right & ~champion.right).sum())
    only_champion = int((champion.right & ~challenger.right).sum())
    return Comparison(
        champion_model,
        len(challenger.actual),
        only_challenger,
        only_champion,
        mcnemar(only_challenger, only_champion),
        answer_differences(challenger, champion) | ranking_differences(challenger, champion),
    )


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


def answer_differences(challenger: Scores, champion: Scores) -> dict[str, Difference]:
    """Return the metrics of the predicted labels, with paired intervals.

    A row is described by its actual label and both predictions, so drawing these triples draws rows in pairs.
    """
    size = len(challenger.labels)
    triples = (challenger.actual * size + challenger.predicted) * size + champion.predicted
    observed, counts = np.unique(triples, return_counts=True)
    cells = observed // size, observed // size**2 * size + observed % size
    drawn = draw_cells(counts.astype(np.float64), max(len(observed), size**2))
    first, second = (multiclass_metrics(marginal(drawn, cell, size)) for cell in cells)
    values = multiclass_metrics(challenger.confusion()), multiclass_metrics(champion.confusion())
    return {
        name: difference(float(value), float(values[1][name]), first[name] - second[name])
        for name, value in values[0].items()
    }


def marginal(drawn: Matrix, cells: Codes, size: int) -> Matrix:
    """Return one model's confusion matrices, shape (draws, size, size), from draws of observed cells."""
    order = np.argsort(cells, kind="stable")
    present, starts = np.unique(cells[order], return_index=True)
    confusions = np.zeros((len(drawn), size * size))
    confusions[:, present] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return confusions.reshape(-1, size, size)


def ranking_differences(challenger: Scores, champion: Scores) -> dict[str, Difference]:
    """Return the AUC with its paired interval; empty if the test rows have one label only."""
    ranked, actual = (rankings(challenger), rankings(champion)), challenger.actual
    if not ranked[0]:
        return {}
    drawn = [
        weighted_auc(ranked[0], actual, sample) - weighted_auc(ranked[1], actual, sample)
        for sample in draw_rows(len(actual), 2 * len(ranked[0]))
    ]
    name = "weighted_auc" if challenger.positive is None else "auc"
    first, second = (weighted_auc(each, actual) for each in ranked)
    return {name: difference(first, second, np.array(drawn))}


def difference(challenger: float, champion: float, drawn: Matrix) -> Difference:
    """Return both values, and the estimate of their difference."""
    return Difference(challenger, champion, estimate(challenger - champion, drawn))


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """Return the content of comparison.json."""
    main = comparison.main
    return {
        "metric": METRIC,
        "rows": comparison.rows,
        "challenger": main.challenger,
        "champion": main.champion,
        "difference": main.difference.value,
        "confidence_interval": interval(main.difference),
        "test": TEST,
        "discordant": {
            "challenger_only_right": comparison.challenger_only_right,
            "champion_only_right": comparison.champion_only_right,
        },
        "p_value": comparison.p_value,
        "champion_model": comparison.champion_model,
        "metrics": {
            name: {
                "challenger": metric.challenger,
                "champion": metric.champion,
                "difference": metric.difference.value,
                "confidence_interval": interval(metric.difference),
            }
            for name, metric in comparison.metrics.items()
        },
    }


def interval(figure: Estimate) -> dict[str, float]:
    """Return a confidence interval as JSON."""
    return {"level": LEVEL, "low": figure.low, "high": figure.high}
