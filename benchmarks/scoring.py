"""A batch transform by hand: the test rows through `serve`, in the requests that the job makes of them."""

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
WINDOW = 2  # requests prepared for each one under way


def score(
    containers: Containers, image: str, base: Path, rows: Path, answers: Path, environment: Mapping[str, str]
) -> None:
    """Serve the model of a base folder and write its answers, in the order of the rows.

    Raises:
        CommandError: It does not serve, or refuses a request.
    """
    answers.parent.mkdir(parents=True, exist_ok=True)
    with (
        containers.serving(image, base, environment) as port,
        rows.open("rb") as asked,
        answers.open("wb") as file,
    ):
        # As many requests at once as the container says it can take: the pipeline leaves that to it.
        side_by_side = int(json.loads(_ask(port, "execution-parameters"))["MaxConcurrentTransforms"])
        requests = batches(lines(asked, PAYLOAD_BYTES), PAYLOAD_BYTES)
        with ThreadPoolExecutor(side_by_side) as pool:
            work = in_order(
                pool,
                lambda batch: _ask(port, "invocations", b"\n".join(batch)),
                requests,
                WINDOW * side_by_side,
            )
            for _, answer in work:
                file.write(answer.result().rstrip(b"\n") + b"\n")


def _ask(port: int, path: str, body: bytes | None = None) -> bytes:
    headers = {"Content-Type": JSON_LINES, "Accept": JSON_LINES}
    request = urllib.request.Request(f"http://{HOST}:{port}/{path}", body, headers)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has another loopback
    try:
        with direct.open(request, timeout=TIMEOUT_SECONDS) as answer:
            content: bytes = answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise CommandError(f"serve refuses a request to /{path}: {error}") from error
    return content
