"""Smoke test: do both endpoints answer as Batch Transform did?"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from shared import uris
from shared.documents import Document
from shared.environment import FunctionEnvironment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

logger = Logger(service="smoke_test")
tracer = Tracer(service="smoke_test")
metrics = Metrics(namespace="Retrain", service="smoke_test")

JSON_LINES = "application/jsonlines"
TOLERANCE = 1e-4  # of a probability
SHOWN_CHARACTERS = 200  # of a text in the answer: Step Functions takes 256 KiB of a state's output
POLL_PAUSE = 1.0  # seconds
MARGIN = 5.0  # seconds kept of the function's time, to tell what went wrong


class SmokeTestFailed(Exception):  # noqa: N818 - the workflow's error name
    """An endpoint's answer differs from Batch Transform's, or there is none."""

    def __init__(self, endpoint: str, expected: str, got: str) -> None:
        super().__init__(f"Endpoint {endpoint} should have answered {expected}, but answered {got}.")


class Environment(FunctionEnvironment):
    """The function's configuration."""

    async_input_uri: str = Field(pattern="^s3://[^/]+/.+")


class Request(Document):
    """The samples, and the endpoints to test."""

    samples_uri: str
    real_time_endpoint_name: str
    async_endpoint_name: str


class Prediction(BaseModel):
    """A label with the probabilities of all labels."""

    label: str
    probabilities: dict[str, float]

    @property
    def probability(self) -> float:
        """The probability of the label."""
        return self.probabilities.get(self.label, 0.0)

    def __str__(self) -> str:
        return f"{self.label} ({self.probability:.4f})"

    def agrees_with(self, other: Prediction) -> bool:
        """Return whether the labels are equal, and the probabilities within the tolerance."""
        return self.label == other.label and abs(self.probability - other.probability) <= TOLERANCE


class Sample(Prediction):
    """A row of the test split with Batch Transform's prediction."""

    id: str
    text: str

    def question(self) -> str:
        """Return the row as an endpoint takes it."""
        return json.dumps({"id": self.id, "text": self.text}, ensure_ascii=False)

    def shown(self) -> str:
        """Return as much of the text as the answer may hold."""
        return self.text if len(self.text) <= SHOWN_CHARACTERS else self.text[: SHOWN_CHARACTERS - 1] + "…"


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Test each endpoint with all samples; return the answers, or raise SmokeTestFailed."""
    request = parse(event=event, model=Request)
    environment = Environment.read()
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - MARGIN
    s3, runtime = boto3.client("s3"), boto3.client("sagemaker-runtime")
    samples = read_samples(s3, request.samples_uri)
    question = "".join(sample.question() + "\n" for sample in samples)

    live = ask_now(runtime, request.real_time_endpoint_name, question)
    queued = ask_async(
        s3, runtime, request.async_endpoint_name, question, environment.async_input_uri, deadline
    )
    answers = [
        *check(request.real_time_endpoint_name, samples, live),
        *check(request.async_endpoint_name, samples, queued),
    ]
    metrics.add_metric("CheckedAnswers", MetricUnit.Count, len(answers))
    return {"answers": answers}


def check(endpoint: str, samples: list[Sample], body: str) -> list[dict[str, Any]]:
    """Compare an endpoint's answers with the samples, row by row."""
    try:
        predictions = [Prediction.model_validate_json(line) for line in body.split("\n") if line.strip()]
    except ValidationError as error:
        raise SmokeTestFailed(endpoint, "a label and probabilities a line", repr(body[:200])) from error
    if len(predictions) != len(samples):
        raise SmokeTestFailed(endpoint, f"{len(samples)} rows", f"{len(predictions)} rows")
    for sample, prediction in zip(samples, predictions, strict=True):
        if not prediction.agrees_with(sample):
            raise SmokeTestFailed(endpoint, f"{sample} to {sample.id}, as Batch Transform", str(prediction))
    return [
        {
            "endpoint": endpoint,
            "id": sample.id,
            "text": sample.shown(),
            "label": prediction.label,
            "probability": prediction.probability,
        }
        for sample, prediction in zip(samples, predictions, strict=True)
    ]


def ask_now(runtime: SageMakerRuntimeClient, endpoint: str, question: str) -> str:
    """Invoke the real-time endpoint."""
    try:
        response = runtime.invoke_endpoint(
            EndpointName=endpoint, ContentType=JSON_LINES, Accept=JSON_LINES, Body=question.encode()
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ModelError":
            raise
        raise SmokeTestFailed(endpoint, "200", error.response["Error"]["Message"]) from error
    return response["Body"].read().decode()


def ask_async(
    s3: S3Client,
    runtime: SageMakerRuntimeClient,
    endpoint: str,
    question: str,
    input_uri: str,
    deadline: float,
) -> str:
    """Invoke the asynchronous endpoint, and wait in S3 for its answer or its failure."""
    location = f"{input_uri.rstrip('/')}/smoke-test-{uuid4()}.jsonl"
    bucket, key = uris.split(location)
    s3.put_object(Bucket=bucket, Key=key, Body=question.encode(), ContentType=JSON_LINES)
    queued = runtime.invoke_endpoint_async(
        EndpointName=endpoint, ContentType=JSON_LINES, Accept=JSON_LINES, InputLocation=location
    )
    while True:
        answer = read_if_there(s3, queued["OutputLocation"])
        if answer is not None:
            return answer
        failure = read_if_there(s3, queued["FailureLocation"]) if "FailureLocation" in queued else None
        if failure is not None:
            raise SmokeTestFailed(endpoint, f"at {queued['OutputLocation']}", failure[:1000])
        if time.monotonic() >= deadline:
            raise SmokeTestFailed(
                endpoint, f"at {queued['OutputLocation']}", "nothing before the function's time was up"
            )
        time.sleep(POLL_PAUSE)


def read_samples(s3: S3Client, uri: str) -> list[Sample]:
    """Read the rows that the step EvaluateQuality chose."""
    bucket, key = uris.split(uri)
    lines = s3.get_object(Bucket=bucket, Key=key)["Body"].read().splitlines()
    return TypeAdapter(list[Sample]).validate_python([json.loads(line) for line in lines])


def read_if_there(s3: S3Client, uri: str) -> str | None:
    """Return an object's text, or None if there is no such object."""
    bucket, key = uris.split(uri)
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    except s3.exceptions.NoSuchKey:
        return None
