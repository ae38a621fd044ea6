"""How much a worker takes on: beyond it a request is refused at once, rather than kept waiting."""

from toolkit.messages import Request, Response, refusal

RETRY_SECONDS = "1"


class AdmissionControl:
    """Counts the requests in work and waiting, and the bytes of their bodies."""

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.in_work = 0
        self.held_bytes = 0

    def admit(self, request: Request) -> Response | None:
        """Let a request in, or say why not."""
        if self.in_work >= self.max_requests:
            return busy(f"{self.in_work:,} requests are in work or waiting")
        self.in_work += 1
        request.admitted = True
        return None

    def reserve(self, request: Request, size: int) -> Response | None:
        """Make room for some of its body, or say why not."""
        if self.held_bytes + size > self.max_bytes:
            return busy(f"{self.held_bytes:,} bytes of requests are in work or waiting")
        self.held_bytes += size
        request.held_bytes += size
        return None

    def discard(self, request: Request) -> None:
        """Forget what was held of its body."""
        self.held_bytes -= request.held_bytes
        request.held_bytes = 0
        request.parts.clear()

    def release(self, request: Request) -> None:
        """It is answered, or its client is gone."""
        self.discard(request)
        self.in_work -= request.admitted
        request.admitted = False


def busy(reason: str) -> Response:
    """Ask the client to come again."""
    return refusal(503, f"too busy: {reason}; try again", Retry_After=RETRY_SECONDS)
