"""How a step ends when it does not succeed.

StepEnd
├── StepFailed    its message is the step's FailureReason
└── StepStopped   the execution was stopped
"""


class StepEnd(Exception):  # noqa: N818
    """A step did not succeed."""


class StepFailed(StepEnd):
    """A step did not succeed; the message is its FailureReason, "" where it has none.

    Attributes:
        exception_type: what retry policies call it, such as "SageMaker.RESOURCE_LIMIT"; "" for what none
            retries.
    """

    def __init__(self, reason: str, exception_type: str = "") -> None:
        super().__init__(reason)
        self.exception_type = exception_type


class StepStopped(StepEnd):
    """A step was stopped."""
