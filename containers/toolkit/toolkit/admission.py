"""Limit the load of a worker: a request beyond the limit is refused at once and does not wait."""

from toolkit.messages import Request, Response, refusal

RETRY_SECONDS = "1"


class AdmissionControl:
    """Count the requests in work or waiting, and the bytes of their bodies."""

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.in_work = 0
        self.held_bytes = 0

    def admit(self, request: Request) -> Response | None:
        """Admit a request, or return the refusal."""
        if self.in_work >= self.max_requests:
            return busy(f"{self.in_work:,} requests are in work or waiting")
        self.in_work += 1
        request.admitted = True
        return None

    def reserve(self, request: Request, size: int) -> Response | None:
        """Reserve memory for a part of the body, or return the refusal."""
        if self.held_bytes + size > self.max_bytes:
            return busy(f"{self.held_bytes:,} bytes of requests are in work or waiting")
        self.held_bytes += size
        request.held_bytes += size
        return None

    def discard(self, request: Request) -> None:
        """Discard the body and free its memory."""
        self.held_bytes -= request.held_bytes
        request.held_bytes = 0
        request.parts.clear()

    def release(self, request: Request) -> None:
        """Release a request that is answered or whose client has disconnected."""
        self.discard(request)
        self.in_work -= request.admitted
        request.admitted = False


def busy(reason: str) -> Response:
    """Return a 503 response that asks the client to retry."""
    return refusal(503, f"too busy: {reason}; try again", Retry_After=RETRY_SECONDS)
