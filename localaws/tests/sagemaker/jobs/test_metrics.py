import time

import pytest

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.jobs.metrics import Metrics


def test_the_last_value_counts_wherever_it_stands() -> None:
    metrics = Metrics(
        [{"Name": "loss", "Regex": r"loss=([0-9.e+-]+)"}, {"Name": "never", "Regex": "never=(.)"}]
    )
    for line in ("epoch 1: loss=0.5; loss=0.25;", "nothing here", "loss=1e-3", "loss=e"):
        metrics.read(line)
    (metric,) = metrics.final()
    assert (metric["MetricName"], metric["Value"]) == ("loss", 1e-3)
    assert metrics.values("loss") == [0.5, 0.25, 1e-3]
    assert metrics.values("never") == []


def test_what_is_no_finite_number_is_left_out() -> None:
    metrics = Metrics([{"Name": "loss", "Regex": "loss=(.*)|(none)"}])
    for line in ("loss=nan", "loss=inf", "loss=", "none"):
        metrics.read(line)
    assert metrics.final() == []


def test_a_pattern_that_never_ends_does_not_hold_up_the_job() -> None:
    metrics = Metrics([{"Name": "slow", "Regex": r"(a|aa)+$"}])
    began = time.monotonic()
    metrics.read("a" * 100 + "b")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("pattern", ["(", "no group"])
def test_a_pattern_without_a_value_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationException, match="Invalid metric regex"):
        Metrics([{"Name": "m", "Regex": pattern}])
