"""The exit code for each result of a run."""

from typing import Any

import pytest

from demo.history import State
from demo.predictions import Exchange, Prediction, Review
from demo.progress import Outcome, Progress, outcome
from demo.verdict import Finding, exit_code

GOOD, SPAM = Prediction("pos", 0.9), Prediction("neg", 0.8)
REVIEW = Review("lovely", "pos")


def finding(
    end: str = "Deployed",
    status: str = "SUCCEEDED",
    endpoints: tuple[str, str] = ("InService", "InService"),
    exchanges: tuple[Exchange, ...] = (Exchange(REVIEW, GOOD, GOOD),),
    expect_sense: bool = True,
) -> Finding:
    progress = Progress("arn:aws:states:us-east-1:1:execution:retrain:one", status)
    progress.history.states[end] = State(end, "Succeed")
    progress.endpoints = dict(zip(("real", "async"), endpoints, strict=True))
    return Finding(progress, exchanges, expect_sense)


def test_a_deployed_model_that_responds_is_a_success() -> None:
    assert exit_code(finding()) == 0


@pytest.mark.parametrize(
    ("it", "fault"),
    [
        (finding(endpoints=("InService", "Updating")), "async is Updating"),
        (finding(exchanges=(Exchange(REVIEW, GOOD, SPAM),)), "disagree on 'lovely'"),
        (finding(exchanges=(Exchange(REVIEW, GOOD, Prediction("pos", 0.91)),)), "disagree on 'lovely'"),
        (finding(exchanges=(Exchange(REVIEW, SPAM, SPAM),)), "label of 'lovely' is neg"),
        (finding(exchanges=()), "not invoked"),
    ],
)
def test_a_deployed_run_with_a_fault_is_a_failure(it: Finding, fault: str) -> None:
    assert exit_code(it) == 1
    assert fault in " ".join(it.faults)


def test_labels_are_only_checked_for_real_reviews() -> None:
    assert exit_code(finding(exchanges=(Exchange(REVIEW, SPAM, SPAM),), expect_sense=False)) == 0


def judged(**rows: tuple[float | None, float, str]) -> dict[str, Any]:
    """Return a judgement as in the workflow's data; rows are value, bound and verdict by metric."""
    table = [
        {"metric": metric, "value": value, "relation": ">=", "bound": bound, "verdict": verdict}
        for metric, (value, bound, verdict) in rows.items()
    ]
    return {"evaluation": {"approved": False, "table": table}}


GOOD_ENOUGH: dict[str, Any] = {"accuracy": (0.91, 0.8, "pass"), "weighted_f1": (0.91, 0.8, "pass")}
NO_BETTER: dict[str, Any] = {"improvement": (0.0, 0.001, "fail"), "p_value": (0.5, 0.05, "fail")}


def rejected(judgement: dict[str, Any], exchanges: tuple[Exchange, ...] = ()) -> Finding:
    it = finding(end="Rejected", exchanges=exchanges)
    it.progress.history.states["JudgeModel"] = State("JudgeModel", "Task", output=judgement)
    return it


def test_a_good_model_that_is_not_better_than_the_live_one_is_not_a_failure() -> None:
    it = rejected(judged(**GOOD_ENOUGH, **NO_BETTER), (Exchange(REVIEW, GOOD, GOOD),))
    assert it.champion_kept
    assert exit_code(it) == 0


def test_an_insignificant_improvement_is_not_a_failure() -> None:
    chance = {"improvement": (0.002, 0.001, "pass"), "p_value": (0.2, 0.05, "fail")}
    assert exit_code(rejected(judged(**GOOD_ENOUGH, **chance), (Exchange(REVIEW, GOOD, GOOD),))) == 0


def test_a_live_model_with_wrong_predictions_is_a_failure() -> None:
    it = rejected(judged(**GOOD_ENOUGH, **NO_BETTER), (Exchange(REVIEW, GOOD, SPAM),))
    assert exit_code(it) == 1
    assert exit_code(rejected(judged(**GOOD_ENOUGH, **NO_BETTER))) == 1


@pytest.mark.parametrize(
    "judgement",
    [
        judged(accuracy=(0.7, 0.8, "fail"), weighted_f1=(0.91, 0.8, "pass"), **NO_BETTER),
        judged(accuracy=(0.91, 0.8, "pass"), weighted_f1=(None, 0.8, "missing"), **NO_BETTER),
        judged(accuracy=(0.7, 0.8, "fail"), weighted_f1=(0.7, 0.8, "fail")),
        judged(
            accuracy=(0.8001, 0.8, "pass"),
            weighted_f1=(0.91, 0.8, "pass"),
            improvement=(0.0002, 0.001, "fail"),
            p_value=(0.5, 0.05, "fail"),
        ),
        {},
    ],
)
def test_a_model_below_a_threshold_is_rejected(judgement: dict[str, Any]) -> None:
    it = rejected(judgement, (Exchange(REVIEW, GOOD, GOOD),))
    assert not it.champion_kept
    assert exit_code(it) == 3


def test_rejection_has_its_own_exit_code() -> None:
    assert exit_code(finding(end="Rejected", exchanges=())) == 3


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_anything_else_is_a_failure(status: str) -> None:
    assert exit_code(finding(status=status)) == 1


@pytest.mark.parametrize(
    ("status", "states", "expected"),
    [
        ("RUNNING", ["PlanRun"], Outcome.RUNNING),
        ("SUCCEEDED", ["PlanRun", "Deployed"], Outcome.DEPLOYED),
        ("SUCCEEDED", ["RejectModel", "Rejected"], Outcome.REJECTED),
        ("SUCCEEDED", ["OutcomeNothingNew", "NothingNew"], Outcome.NOTHING_NEW),
        ("SUCCEEDED", ["AlreadyRunning"], Outcome.ALREADY_RUNNING),
        ("SUCCEEDED", ["Somewhere"], Outcome.FAILED),
        ("FAILED", ["OutcomeDeployed", "Failed"], Outcome.FAILED),
    ],
)
def test_the_outcome_is_the_end_state(status: str, states: list[str], expected: Outcome) -> None:
    assert outcome(status, dict.fromkeys(states)) is expected
