"""How much a worker takes on: beyond it a request is refused at once, rather than kept waiting."""

from toolkit.messages import Request, Response, refusal

RETRY_SECONDS = "1"


class Gate:
    """Counts the requests in work and waiting, and the bytes of their bodies."""

    def __init__(self, requests: int, total_bytes: int) -> None:
        self.requests = requests
        self.total_bytes = total_bytes
        self.inside = 0
        self.held = 0

    def enter(self, request: Request) -> Response | None:
        """Let a request in, or say why not."""
        if self.inside >= self.requests:
            return busy(f"{self.inside:,} requests are in work or waiting")
        self.inside += 1
        request.admitted = True
        return None

    def hold(self, request: Request, size: int) -> Response | None:
        """Make room for some of its body, or say why not."""
        if self.held + size > self.total_bytes:
            return busy(f"{self.held:,} bytes of requests are in work or waiting")
        self.held += size
        request.held += size
        return None

    def drop(self, request: Request) -> None:
        """Forget what was held of its body."""
        self.held -= request.held
        request.held = 0
        request.parts.clear()

    def leave(self, request: Request) -> None:
        """It is answered, or its client is gone."""
        self.drop(request)
        self.inside -= request.admitted
        request.admitted = False


def busy(reason: str) -> Response:
    """Ask the client to come again."""
    return refusal(503, f"too busy: {reason}; try again", Retry_After=RETRY_SECONDS)
