"""Send the same reviews to both endpoints with the two API calls of the SageMaker runtime."""

import json
import time
import uuid
from dataclasses import dataclass

from botocore.exceptions import ClientError

from demo.errors import RunError
from demo.objects import read, split
from demo.stack import Clients, Stack

JSON_LINES = "application/jsonlines"
ASYNC_SECONDS = 300
POLL_SECONDS = 0.5
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Review:
    """A text and its expected label; empty if unknown."""

    text: str
    expected: str = ""


@dataclass(frozen=True)
class Prediction:
    """A predicted label and its probability."""

    label: str
    probability: float


@dataclass(frozen=True)
class Exchange:
    """The predictions of both endpoints for a review."""

    review: Review
    real_time: Prediction
    asynchronous: Prediction

    @property
    def agree(self) -> bool:
        """Whether the predictions are equal up to TOLERANCE, as both endpoints serve the same model."""
        gap = abs(self.real_time.probability - self.asynchronous.probability)
        return self.real_time.label == self.asynchronous.label and gap <= TOLERANCE

    @property
    def sensible(self) -> bool:
        """Whether the label is the expected one, or no label is expected."""
        return self.review.expected in ("", self.real_time.label)


FILM_REVIEWS = (
    Review("A wonderful, touching film; I loved every minute.", "pos"),
    Review("Boring and predictable: a complete waste of time.", "neg"),
    Review("Excellent cast, beautiful music, a brilliant ending.", "pos"),
    Review("Terrible plot, awful dialogue; I nearly fell asleep.", "neg"),
)


def samples(clients: Clients, uri: str) -> tuple[Review, ...]:
    """Read the sample of test rows that the run has stored, with their true labels."""
    rows = [json.loads(line) for line in read(clients.s3, uri).split(b"\n") if line.strip()]
    return tuple(Review(str(row["text"]), str(row.get("actual", ""))) for row in rows)


def predict(clients: Clients, stack: Stack, reviews: tuple[Review, ...]) -> list[Exchange]:
    """Send the reviews to both endpoints, in one request per endpoint.

    Raises:
        RunError: An endpoint does not respond, or not with one prediction per review.
    """
    body = "".join(json.dumps({"text": review.text}) + "\n" for review in reviews).encode()
    real_time = parse(_invoke_real_time(clients, stack, body), len(reviews), stack.real_time)
    asynchronous = parse(_invoke_asynchronous(clients, stack, body), len(reviews), stack.asynchronous)
    return [Exchange(*each) for each in zip(reviews, real_time, asynchronous, strict=True)]


def parse(body: bytes, count: int, endpoint: str) -> list[Prediction]:
    """Parse an endpoint's response, one prediction per line.

    Raises:
        RunError: The response has no labels and probabilities, or not `count` lines.
    """
    try:
        rows = [json.loads(line) for line in body.split(b"\n") if line.strip()]
        predictions = [Prediction(row["label"], row["probabilities"][row["label"]]) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{endpoint} returned something other than labels: {body[:200]!r}") from error
    if len(predictions) != count:
        raise RunError(f"{endpoint} returned {len(predictions)} predictions for {count} reviews.")
    return predictions


def _invoke_real_time(clients: Clients, stack: Stack, body: bytes) -> bytes:
    response = clients.runtime.invoke_endpoint(
        EndpointName=stack.real_time, ContentType=JSON_LINES, Accept=JSON_LINES, Body=body
    )
    return response["Body"].read()


def _invoke_asynchronous(clients: Clients, stack: Stack, body: bytes) -> bytes:
    key = f"async/input/demo-{uuid.uuid4().hex}.jsonl"
    clients.s3.put_object(Bucket=stack.bucket, Key=key, Body=body)
    response = clients.runtime.invoke_endpoint_async(
        EndpointName=stack.asynchronous,
        ContentType=JSON_LINES,
        Accept=JSON_LINES,
        InputLocation=f"s3://{stack.bucket}/{key}",
    )
    deadline = time.monotonic() + ASYNC_SECONDS
    while time.monotonic() < deadline:
        if _exists(clients, response["OutputLocation"]):
            return read(clients.s3, response["OutputLocation"])
        failure = response.get("FailureLocation")
        if failure and _exists(clients, failure):
            reason = read(clients.s3, failure).decode(errors="replace")
            raise RunError(f"{stack.asynchronous} failed on s3://{stack.bucket}/{key}: {reason[:500]}")
        time.sleep(POLL_SECONDS)
    raise RunError(
        f"{stack.asynchronous} wrote no response to {response['OutputLocation']} within {ASYNC_SECONDS} s. "
        f"Its log group is /aws/sagemaker/Endpoints/{stack.asynchronous}."
    )


def _exists(clients: Clients, uri: str) -> bool:
    bucket, key = split(uri)
    try:
        clients.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        # Without s3:ListBucket, S3 returns 403 for a missing object.
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound", "403"):
            return False
        raise
    return True
