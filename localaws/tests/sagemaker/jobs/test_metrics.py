import time

import pytest

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.jobs.metrics import Metrics


def test_the_last_match_is_the_final_value() -> None:
    metrics = Metrics(
        [{"Name": "loss", "Regex": r"loss=([0-9.e+-]+)"}, {"Name": "never", "Regex": "never=(.)"}]
    )
    for line in ("epoch 1: loss=0.5; loss=0.25;", "nothing here", "loss=1e-3", "loss=e"):
        metrics.read(line)
    (metric,) = metrics.final()
    assert (metric["MetricName"], metric["Value"]) == ("loss", 1e-3)
    assert metrics.values("loss") == [0.5, 0.25, 1e-3]
    assert metrics.values("never") == []


def test_values_that_are_not_finite_numbers_are_ignored() -> None:
    metrics = Metrics([{"Name": "loss", "Regex": "loss=(.*)|(none)"}])
    for line in ("loss=nan", "loss=inf", "loss=", "none"):
        metrics.read(line)
    assert metrics.final() == []


def test_a_slow_pattern_times_out() -> None:
    metrics = Metrics([{"Name": "slow", "Regex": r"(a|aa)+$"}])
    started = time.monotonic()
    metrics.read("a" * 100 + "b")
    assert time.monotonic() - started < 120  # it would take years


@pytest.mark.parametrize("pattern", ["(", "no group"])
def test_a_pattern_without_a_group_is_rejected(pattern: str) -> None:
    with pytest.raises(ValidationException, match="Invalid metric regex"):
        Metrics([{"Name": "m", "Regex": pattern}])
