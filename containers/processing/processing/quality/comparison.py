"""Compare two models on the same test rows, row by row."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from processing.quality.bootstrap import LEVEL, Estimate, draw_cells, draw_rows, estimate
from processing.quality.curves import rankings, weighted_auc
from processing.quality.metrics import macro_f1, multiclass_metrics
from processing.quality.predictions import Codes, Matrix, Scores
from processing.quality.significance import TEST, holm, mcnemar

ROUNDING = 1e-12  # of a difference of equal metrics
METRIC = "accuracy"  # the metric of the significance test


class Difference(NamedTuple):
    """A metric of both models, and the estimate of challenger minus champion."""

    challenger: float
    champion: float
    difference: Estimate
    loss_p_value: float  # one-sided, that the challenger is worse; by the same bootstrap


class LabelRecall(NamedTuple):
    """The recall of a label by both models."""

    label: str
    rows: int
    challenger: float
    champion: float
    loss_p_value: float  # McNemar's exact test that the challenger is worse, adjusted by Holm's method


class LeftOut(NamedTuple):
    """The rows of a label that one of the models, or both, cannot answer with."""

    label: str
    rows: int
    unknown_to: str


@dataclass(frozen=True)
class Comparison:
    """The comparison of challenger and champion."""

    champion_model: str
    rows: int
    challenger_only_right: int
    champion_only_right: int
    p_value: float
    metrics: dict[str, Difference]
    recalls: list[LabelRecall]
    left_out: list[LeftOut]

    @property
    def main(self) -> Difference:
        """Return the metric of the significance test."""
        return self.metrics[METRIC]


def find_left_out(
    actual: Iterable[str], challenger: set[str] | None, champion: set[str] | None
) -> list[LeftOut]:
    """Return the labels that a model does not know, with their rows.

    Args:
        actual: the label of each row.
        challenger: the labels that it knows; None for all.
        champion: the same.
    """
    who = {(False, True): "challenger", (True, False): "champion", (False, False): "both"}
    left_out = []
    for label, rows in sorted(Counter(actual).items()):
        known = (challenger is None or label in challenger, champion is None or label in champion)
        if known in who:
            left_out.append(LeftOut(label, rows, who[known]))
    return left_out


def compare_models(
    challenger: Scores, champion: Scores, champion_model: str, left_out: Iterable[LeftOut] = ()
) -> Comparison:
    """Compare on the same rows and labels; a label that a model lacks has probability 0.

    The rows of `left_out` are not among the scores.
    """
    only_challenger = int((challenger.right & ~champion.right).sum())
    only_champion = int((champion.right & ~challenger.right).sum())
    return Comparison(
        champion_model,
        len(challenger.actual),
        only_challenger,
        only_champion,
        mcnemar(only_challenger, only_champion),
        answer_differences(challenger, champion) | ranking_differences(challenger, champion),
        compare_recalls(challenger, champion),
        [*left_out],
    )


def compare_recalls(challenger: Scores, champion: Scores) -> list[LabelRecall]:
    """Test each label that has rows for a loss of recall, with p-values adjusted for the number of labels."""
    size = len(challenger.labels)
    rows, first, second, gained, lost = (
        np.bincount(challenger.actual[which], minlength=size).tolist()
        for which in (
            np.ones(len(challenger.actual), np.bool_),
            challenger.right,
            champion.right,
            challenger.right & ~champion.right,
            champion.right & ~challenger.right,
        )
    )
    places = [place for place in range(size) if rows[place]]
    adjusted = holm([mcnemar(lost[place], gained[place]) for place in places])
    return [
        LabelRecall(
            challenger.labels[place],
            rows[place],
            first[place] / rows[place],
            second[place] / rows[place],
            p_value,
        )
        for place, p_value in zip(places, adjusted, strict=True)
    ]


def answer_differences(challenger: Scores, champion: Scores) -> dict[str, Difference]:
    """Return the metrics of the predicted labels, with paired intervals.

    A row is described by its actual label and both predictions, so drawing these triples draws rows in pairs.
    """
    size = len(challenger.labels)
    triples = (challenger.actual * size + challenger.predicted) * size + champion.predicted
    observed, counts = np.unique(triples, return_counts=True)
    cells = observed // size, observed // size**2 * size + observed % size
    drawn = draw_cells(counts.astype(np.float64), max(len(observed), size**2))
    first, second = (all_metrics(marginal(drawn, cell, size)) for cell in cells)
    values = all_metrics(challenger.confusion()), all_metrics(champion.confusion())
    return {
        name: difference(float(value), float(values[1][name]), first[name] - second[name])
        for name, value in values[0].items()
    }


def all_metrics(confusion: Matrix) -> dict[str, Matrix]:
    """Return Model Monitor's metrics, and the macro-averaged F1, which counts rare labels fully."""
    return multiclass_metrics(confusion) | {"macro_f1": macro_f1(confusion)}


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
    """Return both values, the estimate of their difference, and the p-value of a loss.

    The p-value is the share of draws without a loss; the observed rows count as one of the draws, so that it
    is never 0 (Davison and Hinkley, Bootstrap Methods and their Application, 1997, 4.2).
    """
    known = drawn[~np.isnan(drawn)]
    p_value = (1 + int((known >= -ROUNDING).sum())) / (1 + len(known))
    return Difference(challenger, champion, estimate(challenger - champion, drawn), p_value)


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
                "loss_p_value": metric.loss_p_value,
            }
            for name, metric in comparison.metrics.items()
        },
        "recalls": [recall._asdict() for recall in comparison.recalls],
        "left_out": [label._asdict() for label in comparison.left_out],
    }


def interval(figure: Estimate) -> dict[str, float]:
    """Return a confidence interval as JSON."""
    return {"level": LEVEL, "low": figure.low, "high": figure.high}
