"""SageMaker's serving contract: GET /ping, POST /invocations, on port 8080."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import uvicorn
from anyio import CapacityLimiter, to_thread
from errors import LinearError, RequestError
from formats import answer_type, parse, render, request_type
from model import Model, load
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

BODY_MEGABYTES = 25  # SageMaker's own limit for a real-time request
DRAIN_SECONDS = 25  # SageMaker kills a container 30 s after it asks it to stop
TAKEN_LIMITS = 4  # of a request that is too large, before its connection is cut
PORT = 8080


def main(environment: Mapping[str, str] = os.environ) -> None:
    """Load the model, then listen: nothing answers /ping before the model can answer."""
    base = Path(environment.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    megabytes = int(environment.get("SAGEMAKER_MAX_PAYLOAD_IN_MB", BODY_MEGABYTES))
    try:
        model = load(base / "model")
    except LinearError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
    model.predict([""])
    print(f"serving {len(model.labels)} labels: {', '.join(model.labels)}", flush=True)
    signal.signal(signal.SIGTERM, leave)
    uvicorn.run(
        create_app(model, megabytes << 20),
        host=environment.get("SAGEMAKER_BIND_TO_HOST", "0.0.0.0"),  # noqa: S104 (SageMaker asks from outside)
        port=int(environment.get("SAGEMAKER_BIND_TO_PORT", PORT)),
        access_log=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def leave(signal_number: int, frame: FrameType | None) -> None:
    """End with success: uvicorn raises the signal again once it has answered what was asked."""
    sys.exit(0)


def create_app(model: Model, body_bytes: int = BODY_MEGABYTES << 20) -> Starlette:
    """An application that answers with one model."""
    processors = os.cpu_count() or 1
    limiter: CapacityLimiter | None = None

    async def ping(request: Request) -> Response:
        return Response()

    async def execution_parameters(request: Request) -> Response:
        megabytes = max(1, body_bytes >> 20)
        settings = {
            "MaxConcurrentTransforms": processors,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": min(6, megabytes),
        }
        return JSONResponse(settings)

    async def invocations(request: Request) -> Response:
        nonlocal limiter
        limiter = limiter or CapacityLimiter(processors)
        content_type = request_type(request.headers.get("content-type"))
        accept = answer_type(request.headers.get("accept"), content_type)
        body = await read(request, body_bytes)
        answer = await to_thread.run_sync(invoke, model, body, content_type, accept, limiter=limiter)
        return Response(answer, media_type=accept)

    return Starlette(
        routes=[
            Route("/ping", ping),
            Route("/execution-parameters", execution_parameters),
            Route("/invocations", invocations, methods=["POST"]),
        ],
        exception_handlers={RequestError: refuse},
    )


def invoke(model: Model, body: bytes, content_type: str, accept: str) -> bytes:
    """Answer a request's body."""
    request = parse(body, content_type)
    return render(request, model.labels, model.predict(request.texts), accept)


async def read(request: Request, limit: int) -> bytes:
    """Read a body of at most this many bytes; take in a larger one too, or its client sees no answer."""
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limit:
            body += chunk
        elif size > limit * TAKEN_LIMITS:
            break
    if size > limit:
        raise RequestError(413, f"the request is larger than {limit:,} bytes")
    return bytes(body)


async def refuse(request: Request, error: Exception) -> Response:
    """Tell the client why."""
    status = error.status if isinstance(error, RequestError) else 500
    return JSONResponse({"error": str(error)}, status)
