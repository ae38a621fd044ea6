"""Ask both endpoints the same reviews, over the same two API calls that a customer uses."""

import json
import time
import uuid
from dataclasses import dataclass

from botocore.exceptions import ClientError

from demo.errors import RunError
from demo.objects import read, split
from demo.stack import Clients, Stack

JSON_LINES = "application/jsonlines"
ANSWER_SECONDS = 300
POLL_SECONDS = 0.5
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Review:
    """A text, and the label that a person would give it, where there is one."""

    text: str
    expected: str = ""


@dataclass(frozen=True)
class Answer:
    """A model's label and its probability."""

    label: str
    probability: float


@dataclass(frozen=True)
class Exchange:
    """What both endpoints said to one review."""

    review: Review
    real_time: Answer
    asynchronous: Answer

    @property
    def agree(self) -> bool:
        """Both endpoints serve the same model, so they must say the same."""
        gap = abs(self.real_time.probability - self.asynchronous.probability)
        return self.real_time.label == self.asynchronous.label and gap <= TOLERANCE

    @property
    def sensible(self) -> bool:
        """The label is the one that a person expects."""
        return self.review.expected in ("", self.real_time.label)


FILM_REVIEWS = (
    Review("A wonderful, touching film; I loved every minute.", "pos"),
    Review("Boring and predictable: a complete waste of time.", "neg"),
    Review("Excellent cast, beautiful music, a brilliant ending.", "pos"),
    Review("Terrible plot, awful dialogue; I nearly fell asleep.", "neg"),
)


def samples(clients: Clients, uri: str) -> tuple[Review, ...]:
    """Read the test rows that the run itself put aside, with their true labels."""
    rows = [json.loads(line) for line in read(clients.s3, uri).split(b"\n") if line.strip()]
    return tuple(Review(str(row["text"]), str(row.get("actual", ""))) for row in rows)


def ask(clients: Clients, stack: Stack, reviews: tuple[Review, ...]) -> list[Exchange]:
    """Send the reviews to both endpoints in one request each.

    Raises:
        RunError: An endpoint does not answer, or not one answer a review.
    """
    body = "".join(json.dumps({"text": review.text}) + "\n" for review in reviews).encode()
    now = parse(_ask_real_time(clients, stack, body), len(reviews), stack.real_time)
    later = parse(_ask_asynchronous(clients, stack, body), len(reviews), stack.asynchronous)
    return [Exchange(*each) for each in zip(reviews, now, later, strict=True)]


def parse(body: bytes, count: int, endpoint: str) -> list[Answer]:
    """Read the answers' lines."""
    try:
        rows = [json.loads(line) for line in body.split(b"\n") if line.strip()]
        answers = [Answer(row["label"], row["probabilities"][row["label"]]) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{endpoint} answered with something else than labels: {body[:200]!r}") from error
    if len(answers) != count:
        raise RunError(f"{endpoint} gave {len(answers)} answers to {count} reviews.")
    return answers


def _ask_real_time(clients: Clients, stack: Stack, body: bytes) -> bytes:
    answer = clients.runtime.invoke_endpoint(
        EndpointName=stack.real_time, ContentType=JSON_LINES, Accept=JSON_LINES, Body=body
    )
    return answer["Body"].read()


def _ask_asynchronous(clients: Clients, stack: Stack, body: bytes) -> bytes:
    key = f"async/input/demo-{uuid.uuid4().hex}.jsonl"
    clients.s3.put_object(Bucket=stack.bucket, Key=key, Body=body)
    answer = clients.runtime.invoke_endpoint_async(
        EndpointName=stack.asynchronous,
        ContentType=JSON_LINES,
        Accept=JSON_LINES,
        InputLocation=f"s3://{stack.bucket}/{key}",
    )
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        if _exists(clients, answer["OutputLocation"]):
            return read(clients.s3, answer["OutputLocation"])
        failure = answer.get("FailureLocation")
        if failure and _exists(clients, failure):
            reason = read(clients.s3, failure).decode(errors="replace")
            raise RunError(f"{stack.asynchronous} failed on s3://{stack.bucket}/{key}: {reason[:500]}")
        time.sleep(POLL_SECONDS)
    raise RunError(
        f"{stack.asynchronous} wrote no answer to {answer['OutputLocation']} within {ANSWER_SECONDS} s. "
        f"Its log group is /aws/sagemaker/Endpoints/{stack.asynchronous}."
    )


def _exists(clients: Clients, uri: str) -> bool:
    bucket, key = split(uri)
    try:
        clients.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        # Without s3:ListBucket a missing object answers 403.
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound", "403"):
            return False
        raise
    return True
