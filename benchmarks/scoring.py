"""Score the test rows with `serve`, with the same requests as a batch transform job."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.containers import Containers
from benchmarks.errors import CommandError
from localaws.sagemaker.jobs.batching import batches, in_order, lines
from localaws.settings import HOST

PAYLOAD_BYTES = 6 << 20  # the pipeline's MaxPayloadInMB
JSON_LINES = "application/jsonlines"
TIMEOUT_SECONDS = 600
WINDOW = 2  # prepared requests per request in progress


def score(
    containers: Containers,
    image: str,
    base: Path,
    rows: Path,
    predictions: Path,
    environment: Mapping[str, str],
) -> None:
    """Serve the model of a base folder and write its predictions in the order of the rows.

    Raises:
        CommandError: The server does not start, or a request fails.
    """
    predictions.parent.mkdir(parents=True, exist_ok=True)
    with (
        containers.serving(image, base, environment) as port,
        rows.open("rb") as source,
        predictions.open("wb") as target,
    ):
        # The pipeline does not set MaxConcurrentTransforms, so the container's value is used.
        concurrency = int(json.loads(_send(port, "execution-parameters"))["MaxConcurrentTransforms"])
        requests = batches(lines(source, PAYLOAD_BYTES), PAYLOAD_BYTES)
        with ThreadPoolExecutor(concurrency) as pool:
            responses = in_order(
                pool,
                lambda batch: _send(port, "invocations", b"\n".join(batch)),
                requests,
                WINDOW * concurrency,
            )
            for _, response in responses:
                target.write(response.result().rstrip(b"\n") + b"\n")


def _send(port: int, path: str, body: bytes | None = None) -> bytes:
    headers = {"Content-Type": JSON_LINES, "Accept": JSON_LINES}
    request = urllib.request.Request(f"http://{HOST}:{port}/{path}", body, headers)
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with without_proxy.open(request, timeout=TIMEOUT_SECONDS) as response:
            content: bytes = response.read()
    except (urllib.error.URLError, OSError) as error:
        raise CommandError(f"a request to /{path} of serve failed: {error}") from error
    return content
