"""What holds of `serve` in a batch transform."""

import json

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.errors import Broken, Noted
from localaws.container_check.limits import MB
from localaws.container_check.refusals import refusal
from localaws.container_check.rows import alone, body_of, count_in, line_type, lines_of, same
from localaws.container_check.server import Server

PARAMETERS = {"MaxConcurrentTransforms": int, "BatchStrategy": str, "MaxPayloadInMB": int}
STRATEGIES = ("MULTI_RECORD", "SINGLE_RECORD")
ALL_MB = 100  # of all requests under way at once
OVER = 4  # times the payload's limit, of a body that has to be refused


def transform(bench: Bench) -> Server:
    """The healthy server that these clauses ask."""
    environment = {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(bench.limits.payload_mb),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "1",
    }
    return bench.once("transform", lambda: bench.serve(environment)).ready()


@clause(
    "transform.parameters",
    "Tells in GET /execution-parameters how it wants to be asked",
    "Answer an object of MaxConcurrentTransforms, BatchStrategy and MaxPayloadInMB, or 404.",
)
def answers_execution_parameters(bench: Bench) -> str:
    """What a job takes that does not say itself."""
    answer = transform(bench).ask("/execution-parameters")
    if answer.status == 404:
        raise Noted("404: a job that sets nothing sends one request at a time, of 6 MB at most")
    try:
        parameters = json.loads(answer.body)
    except ValueError:
        raise Broken(f"it was answered {answer.summary}, which is no JSON") from None
    if answer.status != 200 or not isinstance(parameters, dict):
        raise Broken(f"it was answered {answer.summary}, which is no object")
    for name, kind in PARAMETERS.items():
        if not isinstance(parameters.get(name), kind):
            raise Broken(f"{name} is {parameters.get(name)!r}")
    if parameters["BatchStrategy"] not in STRATEGIES:
        raise Broken(
            f"BatchStrategy is {parameters['BatchStrategy']!r}, and has to be {' or '.join(STRATEGIES)}"
        )
    if parameters["MaxConcurrentTransforms"] * parameters["MaxPayloadInMB"] > ALL_MB:
        raise Broken(f"MaxConcurrentTransforms times MaxPayloadInMB is more than {ALL_MB}")
    return ", ".join(f"{name} {parameters[name]}" for name in PARAMETERS)


@clause(
    "transform.single-record",
    "Answers a record alone with one line",
    "Take a body with and without a newline at its end for the same record.",
)
def answers_single_record(bench: Bench) -> None:
    """SINGLE_RECORD; AssembleWith Line puts the newline between answers."""
    server, content_type = transform(bench), line_type(bench)
    row = bench.sample.rows()[0]
    without, having = (lines_of(server.invoke(body, content_type).body, 1) for body in (row, row + b"\n"))
    if not same(without[0], having[0]):
        raise Broken("with a newline at its end the record is answered otherwise")


@clause(
    "transform.multi-record",
    "Answers a full payload, a line for each record, in the records' order",
    "Work through a large body in parts, in order, within the job's InvocationsTimeoutInSeconds (600).",
)
def answers_payload(bench: Bench) -> str:
    """MULTI_RECORD: as many records as MaxPayloadInMB allows."""
    server, rows, content_type = transform(bench), bench.sample.rows(), line_type(bench)
    count = count_in(rows, bench.limits.payload_mb * MB)
    answer = server.invoke(body_of(rows, count), content_type, timeout=bench.limits.transform)
    expected = alone(bench, server)
    for number, line in enumerate(lines_of(answer.body, count)):
        if not same(line, expected[number % len(rows)]):
            raise Broken(f"record {number + 1:,} of {count:,} is answered otherwise than alone")
    return f"{count:,} records of {bench.limits.payload_mb} MB in {answer.seconds:.1f} s"


@clause(
    "transform.too-large",
    "Refuses a body far over SAGEMAKER_MAX_PAYLOAD_IN_MB: 4xx and a message",
    "Read that variable, stop reading at the limit, and answer 413 with it.",
)
def refuses_too_large(bench: Bench) -> str:
    """A payload that no job sends."""
    server, rows = transform(bench), bench.sample.rows()
    size = bench.limits.payload_mb * OVER
    body = body_of(rows, count_in(rows, size * MB))
    amount = f"{size} MB"
    return refusal(server, amount, body, line_type(bench), f"{amount} were answered", bench.limits.transform)


CLAUSES = (answers_execution_parameters, answers_single_record, answers_payload, refuses_too_large)
