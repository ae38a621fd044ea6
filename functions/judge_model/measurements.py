"""What the steps EvaluateQuality and CompareModels measured, as far as it is judged."""

from __future__ import annotations

from pydantic import BaseModel, Field, FiniteFloat


class Constant(BaseModel):
    """The best constant answer; `p_value` is of the one-sided test that the model is better."""

    label: str
    accuracy: FiniteFloat
    p_value: FiniteFloat


class TestRows(BaseModel):
    """The number of test rows, and of those of each label of the dataset."""

    rows: int
    labels: dict[str, int]


class Details(BaseModel):
    """details.json."""

    constant_classifier: Constant
    test_rows: TestRows


class Loss(BaseModel):
    """A measure of both models; `loss_p_value` is of the one-sided test that the new model is worse."""

    challenger: FiniteFloat
    champion: FiniteFloat
    loss_p_value: FiniteFloat


class LabelRecall(Loss):
    """The recall of one label; its p-value is adjusted for the number of labels."""

    label: str


class LeftOut(BaseModel):
    """The rows of a label that one of the models cannot answer with; they are not compared."""

    label: str
    rows: int
    unknown_to: str


class Comparison(BaseModel):
    """comparison.json: the new model and the champion on the same rows.

    `p_value` is the one-sided p-value of a paired test.
    """

    metric: str
    challenger: FiniteFloat
    champion: FiniteFloat
    difference: FiniteFloat
    p_value: FiniteFloat
    metrics: dict[str, Loss]
    recalls: list[LabelRecall] = Field(min_length=1)
    rows: int
    left_out: list[LeftOut]
