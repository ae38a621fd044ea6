"""Retry policies: matching failures, number of retries and delays."""

import pytest

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.pipelines import retrying
from localaws.sagemaker.pipelines.retrying import RetryPolicy

LIMIT = {
    "BackoffRate": 2.0,
    "IntervalSeconds": 3,
    "MaxAttempts": 2,
    "ExceptionType": ["SageMaker.RESOURCE_LIMIT"],
}
FAULTS = {
    "BackoffRate": 2.0,
    "IntervalSeconds": 1,
    "ExpireAfterMin": 1,
    "ExceptionType": ["Step.SERVICE_FAULT", "Step.THROTTLING"],
}
POLICIES = [RetryPolicy.parse(policy) for policy in (LIMIT, FAULTS)]


@pytest.mark.parametrize(
    ("exception_type", "retry", "elapsed", "expected"),
    [
        (retrying.RESOURCE_LIMIT, 1, 0, 3),
        (retrying.RESOURCE_LIMIT, 2, 999, 6),
        (retrying.RESOURCE_LIMIT, 3, 0, None),
        (retrying.THROTTLING, 9, 59, 256),
        (retrying.SERVICE_FAULT, 1, 61, None),
        (retrying.JOB_INTERNAL_ERROR, 1, 0, None),
        ("", 1, 0, None),
    ],
)
def test_a_policy_retries_its_exception_types_up_to_its_limit(
    exception_type: str, retry: int, elapsed: float, expected: float | None
) -> None:
    assert retrying.delay(POLICIES, exception_type, retry, elapsed) == expected


def test_five_attempts_are_the_default_and_two_limits_are_rejected() -> None:
    policy = RetryPolicy.parse({"ExceptionType": [retrying.THROTTLING]})
    assert (policy.delay(5, 0), policy.delay(6, 0)) == (16, None)
    with pytest.raises(ValidationException, match="and not both"):
        RetryPolicy.parse({"ExceptionType": [], "MaxAttempts": 1, "ExpireAfterMin": 1})
