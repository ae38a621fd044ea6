"""Reject requests of web pages: browsers can reach the loopback port, and the root credentials are public."""

from collections.abc import Mapping
from typing import Any

from localaws.asgi import AsgiApp

OWN_HOSTS = ("127.0.0.1", "localhost")
REJECTION = b"localaws accepts requests of AWS tools on this machine, but not of web pages.\n"


def is_from_web_page(headers: Mapping[str, str]) -> bool:
    """Return whether a browser sent the request on behalf of a web page.

    Args:
        headers: the headers by lower-case names.
    """
    host = headers.get("host", "").partition(":")[0]
    # A page's host name can resolve to loopback (DNS rebinding). Such requests have no Origin header.
    is_own_host = host in OWN_HOSTS or host.endswith(tuple(f".{name}" for name in OWN_HOSTS))
    # "none" is a URL typed into the address bar, "same-origin" a page that this server sent.
    site = headers.get("sec-fetch-site", "none")
    return "origin" in headers or site not in ("none", "same-origin") or not is_own_host


def guarded(application: AsgiApp) -> AsgiApp:
    """Wrap an application so that requests of web pages are rejected with status 403."""

    async def guard(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope.get("headers", [])
        }
        if scope["type"] == "lifespan" or not is_from_web_page(headers):
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
            await send({"type": "http.response.body", "body": REJECTION})

    return guard
