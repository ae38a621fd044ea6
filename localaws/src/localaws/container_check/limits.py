"""How long and how much: SageMaker's own figures."""

from dataclasses import dataclass

MB = 1 << 20
STARTING_SECONDS = 10.0  # by which a process may start later than one did before


@dataclass(frozen=True)
class Limits:
    """Seconds, unless a name says otherwise.

    Attributes:
        training: of one training on the sample; SageMaker's own is what a job asks for.
        healthy: until the first 200 from GET /ping.
        ping: of one GET /ping.
        answer: of one request to an endpoint.
        transform: of one request of a batch transform.
        training_stop: from SIGTERM to SIGKILL for a training job.
        serving_stop: the same for an endpoint.
        refusal: until a processing command without its input has given up.
        payload_mb: of a batch transform's request, in megabytes.
        request_mb: of a request to a real-time endpoint.
    """

    training: float = 900.0
    healthy: float = 480.0
    ping: float = 2.0
    answer: float = 60.0
    transform: float = 600.0
    training_stop: float = 120.0
    serving_stop: float = 30.0
    refusal: float = 120.0
    payload_mb: int = 6
    request_mb: int = 25
