"""The type of an ASGI application."""

from collections.abc import Awaitable, Callable

AsgiApp = Callable[..., Awaitable[None]]
