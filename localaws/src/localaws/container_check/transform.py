"""Clauses on `serve` in a batch transform."""

import json

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.errors import Broken, Noted
from localaws.container_check.limits import MB
from localaws.container_check.refusals import refusal
from localaws.container_check.rows import (
    body_of,
    count_in,
    equivalent,
    line_type,
    lines_of,
    single_row_responses,
)
from localaws.container_check.server import Server

PARAMETERS = {"MaxConcurrentTransforms": int, "BatchStrategy": str, "MaxPayloadInMB": int}
STRATEGIES = ("MULTI_RECORD", "SINGLE_RECORD")
CONCURRENT_MB = 100  # the maximum of all concurrent requests together
OVERSIZE_FACTOR = 4  # the size of a body that must be rejected, as a multiple of the payload limit


def transform(bench: Bench) -> Server:
    """Return the healthy server that the transform clauses share.

    Raises:
        Unchecked: the server is not healthy.
    """
    environment = {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(bench.limits.payload_mb),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "1",
    }
    return bench.cached("transform", lambda: bench.serve(environment)).ready()


@clause(
    "transform.parameters",
    "Returns its preferred request parameters for GET /execution-parameters",
    "Return an object with MaxConcurrentTransforms, BatchStrategy and MaxPayloadInMB, or 404.",
)
def answers_execution_parameters(bench: Bench) -> str:
    """A transform job uses these parameters unless its request sets them."""
    response = transform(bench).request("/execution-parameters")
    if response.status == 404:
        raise Noted("404: a job without these settings sends one request at a time, of at most 6 MB")
    try:
        parameters = json.loads(response.body)
    except ValueError:
        raise Broken(f"the response was {response.summary}, which is not JSON") from None
    if response.status != 200 or not isinstance(parameters, dict):
        raise Broken(f"the response was {response.summary}, which is not an object")
    for name, kind in PARAMETERS.items():
        if not isinstance(parameters.get(name), kind):
            raise Broken(f"{name} is {parameters.get(name)!r}")
    if parameters["BatchStrategy"] not in STRATEGIES:
        raise Broken(
            f"BatchStrategy is {parameters['BatchStrategy']!r}, but must be {' or '.join(STRATEGIES)}"
        )
    if parameters["MaxConcurrentTransforms"] * parameters["MaxPayloadInMB"] > CONCURRENT_MB:
        raise Broken(f"MaxConcurrentTransforms times MaxPayloadInMB is more than {CONCURRENT_MB}")
    return ", ".join(f"{name} {parameters[name]}" for name in PARAMETERS)


@clause(
    "transform.single-record",
    "Returns one line for a single record",
    "Handle a record with and without a newline at the end of the body in the same way.",
)
def answers_single_record(bench: Bench) -> None:
    """Test the strategy SINGLE_RECORD; AssembleWith Line adds the newlines between responses."""
    server, content_type = transform(bench), line_type(bench)
    row = bench.sample.rows()[0]
    without_newline, with_newline = (
        lines_of(server.invoke(body, content_type).body, 1)[0] for body in (row, row + b"\n")
    )
    if not equivalent(without_newline, with_newline):
        raise Broken("the record has another response with a newline at the end of the body")


@clause(
    "transform.multi-record",
    "Returns one line per record for a full payload, in the order of the records",
    "Process a large body in parts, in order, within the job's InvocationsTimeoutInSeconds (600).",
)
def answers_payload(bench: Bench) -> str:
    """Test the strategy MULTI_RECORD with as many records as MaxPayloadInMB allows."""
    server, rows, content_type = transform(bench), bench.sample.rows(), line_type(bench)
    count = count_in(rows, bench.limits.payload_mb * MB)
    response = server.invoke(body_of(rows, count), content_type, timeout=bench.limits.transform)
    expected = single_row_responses(bench, server)
    for number, line in enumerate(lines_of(response.body, count)):
        if not equivalent(line, expected[number % len(rows)]):
            raise Broken(f"record {number + 1:,} of {count:,} has another result than in its own request")
    return f"{count:,} records, {bench.limits.payload_mb} MB, in {response.seconds:.1f} s"


@clause(
    "transform.too-large",
    "Rejects a body far above SAGEMAKER_MAX_PAYLOAD_IN_MB with 4xx and a message",
    "Read this variable, stop reading the body at the limit and return 413 with the limit.",
)
def refuses_too_large(bench: Bench) -> str:
    """Send a larger payload than any job would."""
    server, rows = transform(bench), bench.sample.rows()
    size = bench.limits.payload_mb * OVERSIZE_FACTOR
    body = body_of(rows, count_in(rows, size * MB))
    amount = f"{size} MB"
    return refusal(server, amount, body, line_type(bench), f"it accepts {amount}", bench.limits.transform)


CLAUSES = (answers_execution_parameters, answers_single_record, answers_payload, refuses_too_large)
