"""Errors of the local SageMaker.

SageMakerError
├── ValidationException      the request, or a resource that it names, is invalid (400)
│   └── NotSupportedLocally  SageMaker supports it, localaws does not
├── AccessDeniedException    the caller's policies do not allow it (400)
├── ResourceNotFound         a resource that the request names does not exist (400)
│   └── FeatureGroupNotFound the same in the feature store's runtime (404)
├── ResourceInUse            the name is taken or the resource is busy (400)
├── ResourceLimitExceeded    a quota of SageMaker or of this machine (400)
├── ConflictException        the resource's state does not allow the change (400)
├── ValidationError          the runtime API's ValidationException (400)
├── ServiceUnavailable       the endpoint's container is not ready, or the server is shutting down (503)
├── ModelError               the model's container returned an error (424)
└── UnknownOperation         botocore's model has no such operation (400)

HostingError                 a model's container cannot serve; the message becomes a FailureReason
└── PingHealthCheckFailed    it exited, or did not return 200 for GET /ping in time

JobFailure                   the job ends with status Failed; the message is its FailureReason
├── ClientFailure            the user's data, image or role is at fault ("ClientError: …")
└── AlgorithmFailure         the container is at fault ("AlgorithmError: …")

The codes are AWS's: botocore raises the exception class with the same name.
"""

from typing import Any

FAILURE_REASON_CHARACTERS = 1024  # maximum length of a FailureReason


class SageMakerError(Exception):
    """An error response in AWS's format; the code defaults to the class's name."""

    code: str = ""
    status: int = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def body(self) -> dict[str, Any]:
        """Return the members of the response's JSON body."""
        return {"__type": self.code or type(self).__name__, "message": self.message, "Message": self.message}


class ValidationException(SageMakerError):  # noqa: N818
    """The request, or a resource that it names, is invalid."""


class NotSupportedLocally(ValidationException):
    """SageMaker supports it, localaws does not."""

    code = "ValidationException"

    def __init__(self, feature: str) -> None:
        super().__init__(f"{feature} is not supported locally")


class AccessDeniedException(SageMakerError):  # noqa: N818
    """The caller's policies do not allow it."""


class ResourceNotFound(SageMakerError):  # noqa: N818
    """A resource that the request names does not exist."""


class FeatureGroupNotFound(ResourceNotFound):
    """The feature store's runtime has no such group."""

    code = "ResourceNotFound"
    status = 404


class ResourceInUse(SageMakerError):  # noqa: N818
    """The name is taken, or the resource is busy."""


class ResourceLimitExceeded(SageMakerError):  # noqa: N818
    """A quota of SageMaker's, or of this machine, is reached."""


class ConflictException(SageMakerError):  # noqa: N818
    """The resource's state does not allow the change."""


class ValidationError(SageMakerError):
    """The runtime API's ValidationException."""


class ServiceUnavailable(SageMakerError):  # noqa: N818
    """The endpoint's container is not ready, or the server is shutting down."""

    status = 503


class UnknownOperation(SageMakerError):  # noqa: N818
    """botocore's model has no such operation."""

    code = "UnknownOperationException"


class ModelError(SageMakerError):
    """The model's container returned an error; `summary` omits the container's text."""

    status = 424

    def __init__(
        self, summary: str, message: str, original_status: int, original_message: str, log_stream_arn: str
    ) -> None:
        super().__init__(message)
        self.summary = summary
        self.original_status = original_status
        self.original_message = original_message
        self.log_stream_arn = log_stream_arn

    def body(self) -> dict[str, Any]:
        """Return the members of the response's JSON body."""
        return super().body() | {
            "OriginalStatusCode": self.original_status,
            "OriginalMessage": self.original_message,
            "LogStreamArn": self.log_stream_arn,
        }


class HostingError(Exception):
    """A model's container cannot serve; the message becomes a FailureReason."""


class PingHealthCheckFailed(HostingError):  # noqa: N818
    """The container exited, or did not return 200 for GET /ping in time."""


class JobFailure(Exception):  # noqa: N818
    """The job ends with status Failed; the message is its FailureReason."""


class ClientFailure(JobFailure):
    """The user's data, image or role is at fault."""

    def __init__(self, message: str) -> None:
        super().__init__(f"ClientError: {message}")


class AlgorithmFailure(JobFailure):
    """The container is at fault."""

    def __init__(self, message: str) -> None:
        super().__init__(f"AlgorithmError: {message}")
