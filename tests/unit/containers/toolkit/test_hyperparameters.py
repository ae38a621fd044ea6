from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from toolkit.errors import HyperparameterError
from toolkit.hyperparameters import Range, parse


@dataclass(frozen=True, slots=True)
class Settings:
    ngrams: Annotated[int, Range(1, 4)] = 2
    rate: Annotated[float, Range(1e-4, 1e4)] = 30.0
    precise: bool = False
    solver: Literal["dual", "primal"] = "dual"
    base: str = "small"


@dataclass(frozen=True, slots=True)
class Demanding:
    base: str


def test_strings_become_the_fields_types() -> None:
    values = {"ngrams": "3", "rate": "1e-3", "precise": "true", "solver": "primal", "base": "large"}
    assert parse(Settings, values) == Settings(3, 0.001, True, "primal", "large")


def test_missing_values_have_their_default() -> None:
    assert parse(Settings, {"ngrams": "1"}) == Settings(ngrams=1)


def test_names_that_sagemaker_adds_are_passed_over() -> None:
    added = {"sagemaker_program": "train.py", "_tuning_objective_metric": "validation:accuracy"}
    assert parse(Settings, added) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ngram", "2", "unknown hyperparameter 'ngram'; did you mean ngrams?"),
        (
            "epochs",
            "2",
            "unknown hyperparameter 'epochs'; the hyperparameters are ngrams, rate, precise, solver, base",
        ),
        ("ngrams", "2.5", "ngrams must be a whole number from 1 to 4, not '2.5'"),
        ("ngrams", "9", "ngrams must be a whole number from 1 to 4, not '9'"),
        ("rate", "nan", "rate must be a number from 0.0001 to 10000, not 'nan'"),
        ("precise", "yes", "precise must be true or false, not 'yes'"),
        ("solver", "sag", "solver must be dual or primal, not 'sag'"),
    ],
)
def test_a_wrong_one_is_refused_with_what_would_be_right(name: str, value: str, reason: str) -> None:
    with pytest.raises(HyperparameterError) as caught:
        parse(Settings, {name: value})
    assert str(caught.value) == reason


def test_a_hyperparameter_without_a_default_is_required() -> None:
    assert parse(Demanding, {"base": "large"}) == Demanding("large")
    with pytest.raises(HyperparameterError, match="the hyperparameter 'base' is required"):
        parse(Demanding, {})
