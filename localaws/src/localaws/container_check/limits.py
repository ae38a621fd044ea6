"""Limits on times and sizes, by default those of SageMaker."""

from dataclasses import dataclass

MB = 1 << 20
STARTING_SECONDS = 10.0  # tolerance for a slower start than before


@dataclass(frozen=True)
class Limits:
    """Limits in seconds unless the name has another unit.

    Attributes:
        training: for a training on the sample; SageMaker's limit is set in the request.
        healthy: until the first 200 of GET /ping.
        ping: for GET /ping.
        invocation: for a request to an endpoint.
        transform: for a request of a batch transform.
        training_stop: between SIGTERM and SIGKILL for a training job.
        serving_stop: between SIGTERM and SIGKILL for an endpoint.
        refusal: for a processing command without its input to exit.
        payload_mb: the size of a batch transform's request.
        request_mb: the size of a request to a real-time endpoint.
    """

    training: float = 900.0
    healthy: float = 480.0
    ping: float = 2.0
    invocation: float = 60.0
    transform: float = 600.0
    training_stop: float = 120.0
    serving_stop: float = 30.0
    refusal: float = 120.0
    payload_mb: int = 6
    request_mb: int = 25
