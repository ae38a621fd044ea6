from typing import Any

import numpy as np
import pytest

from linear import solver

ROWS, FEATURES = 60, 40


@pytest.fixture
def problem() -> Any:
    rng = np.random.default_rng(0)
    rows = [rng.choice(FEATURES, rng.integers(1, 9), replace=False) for _ in range(ROWS)]
    ends = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return solver.Problem(np.concatenate(rows).astype(np.int32), ends, rng.uniform(0.5, 1.5, ROWS))


SIGNS = np.where(np.random.default_rng(1).random(ROWS) < 0.4, 1.0, -1.0)
SIZES = np.random.default_rng(2).uniform(0.1, 2, (FEATURES, 2)).astype(np.float32)


def matrices(problem: Any, chosen: Any) -> Any:
    """Each model's rows as liblinear would be given them, a column of 1 for the intercept at the end."""
    dense = np.zeros((2, ROWS, FEATURES))
    for row in range(ROWS):
        features = problem.features[problem.ends[row] : problem.ends[row + 1]]
        dense[:, row, features] = problem.scales[row] * np.sqrt(SIZES[features].T)
    dense /= np.sqrt((dense[:, chosen] ** 2).sum(axis=2).mean(axis=1))[:, np.newaxis, np.newaxis]
    return np.concatenate([dense, np.ones((2, ROWS, 1))], axis=2)


@pytest.mark.parametrize("cost", [0.1, 1.0, 20.0])
def test_finds_the_optimum_of_both_models(problem: Any, cost: float) -> None:
    """The primal and the dual objective meet nowhere else."""
    duals, chosen = np.zeros((ROWS, 2)), np.arange(5, ROWS)
    weights, intercepts, epochs = solver.solve(problem, chosen, SIGNS, SIZES, cost, 5000, 1e-6, 1, duals)
    assert epochs < 5000
    assert (duals[:5] == 0).all()
    scores = solver.score(problem, weights) + intercepts
    for rows, dual, found, intercept in zip(
        matrices(problem, chosen), duals.T, scores.T, intercepts, strict=True
    ):
        solution = rows.T @ (dual * SIGNS)
        assert found == pytest.approx(rows @ solution, abs=1e-4)
        assert intercept == pytest.approx(solution[-1], abs=1e-4)
        losses = np.maximum(0, 1 - SIGNS * found)[chosen]
        primal = solution @ solution / 2 + cost * (losses**2).sum()
        assert primal == pytest.approx(
            dual.sum() - solution @ solution / 2 - dual @ dual / (4 * cost), rel=1e-4
        )


def test_the_seed_decides_the_order(problem: Any) -> None:
    def weights(seed: int) -> list[float]:
        found = solver.solve(problem, np.arange(ROWS), SIGNS, SIZES, 1.0, 2, 1e-9, seed, np.zeros((ROWS, 2)))
        return [float(weight) for weight in found[0].ravel()]

    assert weights(1) == weights(1)
    assert weights(1) != weights(2)


def test_starting_at_the_end_takes_an_epoch(problem: Any) -> None:
    duals = np.zeros((ROWS, 2))
    first = solver.solve(problem, np.arange(ROWS), SIGNS, SIZES, 1.0, 5000, 1e-6, 1, duals)
    again = solver.solve(problem, np.arange(ROWS), SIGNS, SIZES, 1.0, 5000, 1e-4, 1, duals)
    assert again[2] < first[2] / 3
    assert again[0] == pytest.approx(first[0], abs=1e-3)
