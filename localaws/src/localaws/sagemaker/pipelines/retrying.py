"""Retry policies of steps: which failures are retried, and when.

Source: "Retry Policy for Pipeline Steps" of the SageMaker developer guide.
"""

from dataclasses import dataclass

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.shapes import Document

THROTTLING = "Step.THROTTLING"
SERVICE_FAULT = "Step.SERVICE_FAULT"
JOB_INTERNAL_ERROR = "SageMaker.JOB_INTERNAL_ERROR"
CAPACITY_ERROR = "SageMaker.CAPACITY_ERROR"
RESOURCE_LIMIT = "SageMaker.RESOURCE_LIMIT"
EXCEPTION_TYPES = (SERVICE_FAULT, THROTTLING, JOB_INTERNAL_ERROR, CAPACITY_ERROR, RESOURCE_LIMIT)
MAX_ATTEMPTS = 5  # default for policies with neither MaxAttempts nor ExpireAfterMin


@dataclass(frozen=True)
class RetryPolicy:
    """One retry policy.

    Attributes:
        exception_types: the failures that the policy retries.
        interval: seconds before the first retry.
        backoff_rate: factor between one interval and the next.
        max_attempts: maximum number of retries; None if expire_after is the limit.
        expire_after: seconds after the step's start at which retries end; None if max_attempts is the limit.
    """

    exception_types: frozenset[str]
    interval: float
    backoff_rate: float
    max_attempts: int | None
    expire_after: float | None

    @classmethod
    def parse(cls, policy: Document) -> "RetryPolicy":
        """Parse a policy of a definition.

        Raises:
            ValidationException: the policy has both MaxAttempts and ExpireAfterMin.
        """
        attempts, minutes = policy.get("MaxAttempts"), policy.get("ExpireAfterMin")
        if attempts is not None and minutes is not None:
            raise ValidationException("A retry policy has either MaxAttempts or ExpireAfterMin, and not both")
        return cls(
            frozenset(policy["ExceptionType"]),
            policy.get("IntervalSeconds", 1),
            policy.get("BackoffRate", 2.0),
            attempts if attempts is not None or minutes is not None else MAX_ATTEMPTS,
            minutes * 60 if minutes is not None else None,
        )

    def delay(self, retry: int, elapsed: float) -> float | None:
        """Return the seconds before a retry; None if the limit is reached.

        Args:
            retry: number of the retry, from 1.
            elapsed: seconds since the step's start.
        """
        if self.max_attempts is not None and retry > self.max_attempts:
            return None
        if self.expire_after is not None and elapsed > self.expire_after:
            return None
        return float(self.interval * self.backoff_rate ** (retry - 1))


def delay(policies: list[RetryPolicy], exception_type: str, retry: int, elapsed: float) -> float | None:
    """Return the seconds before a failed step's retry, by the first matching policy; None without a retry."""
    for policy in policies:
        if exception_type in policy.exception_types:
            return policy.delay(retry, elapsed)
    return None
