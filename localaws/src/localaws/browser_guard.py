"""Keeps web pages out: a browser reaches loopback too, and the account's root key is no secret."""

from collections.abc import Mapping
from typing import Any

from localaws.asgi import AsgiApp

OWN_HOSTS = ("127.0.0.1", "localhost")
REFUSAL = b"localaws answers AWS tools on this machine, not web pages.\n"


def refuses(headers: Mapping[str, str]) -> bool:
    """Whether a browser sends this on behalf of a page: no AWS tool does.

    Args:
        headers: by names in small letters.
    """
    host = headers.get("host", "").partition(":")[0]
    # A page's own name may resolve to loopback (DNS rebinding): then its requests have no Origin.
    own = host in OWN_HOSTS or host.endswith(tuple(f".{name}" for name in OWN_HOSTS))
    # "none": typed into the address bar; anything else comes from a page, "same-origin" from one of ours.
    site = headers.get("sec-fetch-site", "none")
    return "origin" in headers or site not in ("none", "same-origin") or not own


def guarded(application: AsgiApp) -> AsgiApp:
    """The application, behind a door that only AWS tools pass."""

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope.get("headers", [])
        }
        if scope["type"] == "lifespan" or not refuses(headers):
            await application(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            start = {
                "type": "http.response.start",
                "status": 403,
                "headers": [(b"content-type", b"text/plain")],
            }
            await send(start)
            await send({"type": "http.response.body", "body": REFUSAL})

    return answer
