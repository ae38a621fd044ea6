"""Errors that end a step.

StepEnd
├── StepFailed    the message is the step's FailureReason
└── StepStopped   the execution was stopped
"""


class StepEnd(Exception):  # noqa: N818
    """A step did not succeed."""


class StepFailed(StepEnd):
    """A step failed; the message is its FailureReason and can be "".

    Attributes:
        exception_type: the name for retry policies, such as "SageMaker.RESOURCE_LIMIT"; "" if none applies.
    """

    def __init__(self, reason: str, exception_type: str = "") -> None:
        super().__init__(reason)
        self.exception_type = exception_type


class StepStopped(StepEnd):
    """A step was stopped with its execution."""
