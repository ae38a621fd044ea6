from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "containers/linear"
LoadModule = Callable[[str | Path], ModuleType]
ROWS, FEATURES = 60, 40


@pytest.fixture
def solver(load_module: LoadModule) -> ModuleType:
    return load_module(FOLDER / "solver.py")


@pytest.fixture
def problem(solver: ModuleType) -> Any:
    rng = np.random.default_rng(0)
    rows = [rng.choice(FEATURES, rng.integers(1, 9), replace=False) for _ in range(ROWS)]
    ends = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return solver.Problem(np.concatenate(rows).astype(np.int32), ends, rng.uniform(0.5, 1.5, ROWS))


SIGNS = np.where(np.random.default_rng(1).random(ROWS) < 0.4, 1.0, -1.0)
SIZES = np.random.default_rng(2).uniform(0.1, 2, FEATURES).astype(np.float32)


def matrix(problem: Any) -> Any:
    """Rows as liblinear would be given them, a column of 1 for the intercept at the end."""
    dense = np.zeros((ROWS, FEATURES + 1))
    dense[:, -1] = 1
    for row in range(ROWS):
        features = problem.features[problem.ends[row] : problem.ends[row + 1]]
        dense[row, features] = problem.scales[row] * np.sqrt(SIZES[features])
    return dense


@pytest.mark.parametrize("cost", [0.1, 1.0, 20.0])
def test_finds_the_optimum(solver: ModuleType, problem: Any, cost: float) -> None:
    """The primal and the dual objective meet nowhere else."""
    duals, chosen = np.zeros(ROWS), np.arange(5, ROWS)
    weights, intercept, epochs = solver.solve(problem, chosen, SIGNS, SIZES, cost, 5000, 1e-6, 1, duals)
    assert epochs < 5000
    rows = matrix(problem)
    solution = np.append(weights / np.sqrt(SIZES), intercept)
    assert solution == pytest.approx(rows.T @ (duals * SIGNS), abs=1e-4)
    losses = np.maximum(0, 1 - SIGNS * (rows @ solution))[chosen]
    primal = solution @ solution / 2 + cost * (losses**2).sum()
    dual = duals.sum() - solution @ solution / 2 - duals @ duals / (4 * cost)
    assert primal == pytest.approx(dual, rel=1e-4)
    assert (duals[:5] == 0).all()
    scores = np.empty(ROWS)
    solver.score(*problem, weights, intercept, scores)
    assert scores == pytest.approx(rows @ solution, abs=1e-4)


def test_the_seed_tells_the_order(solver: ModuleType, problem: Any) -> None:
    def weights(seed: int) -> list[float]:
        found = solver.solve(problem, np.arange(ROWS), SIGNS, SIZES, 1.0, 2, 1e-9, seed, np.zeros(ROWS))
        return [float(weight) for weight in found[0]]

    assert weights(1) == weights(1)
    assert weights(1) != weights(2)


def test_starting_at_the_end_takes_an_epoch(solver: ModuleType, problem: Any) -> None:
    duals = np.zeros(ROWS)
    first = solver.solve(problem, np.arange(ROWS), SIGNS, SIZES, 1.0, 5000, 1e-6, 1, duals)
    again = solver.solve(problem, np.arange(ROWS), SIGNS, SIZES, 1.0, 5000, 1e-4, 1, duals)
    assert again[2] < first[2] / 3
    assert again[0] == pytest.approx(first[0], abs=1e-3)
