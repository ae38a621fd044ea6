"""Both endpoints receive the same reviews, and invalid responses are errors."""

import io
import json
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from demo import predictions
from demo.errors import RunError
from demo.stack import Clients, Stack

STACK = Stack("retrain", "bucket", "arn:machine", "pipeline", "retrain-realtime", "retrain-async")
REVIEWS = (predictions.Review("lovely", "pos"), predictions.Review("dull", "neg"))
LINES = (
    b'{"label":"pos","probabilities":{"neg":0.1,"pos":0.9}}\n'
    b'{"label":"neg","probabilities":{"neg":1,"pos":0}}\n'
)


class Account:
    """Fake S3 and SageMaker runtime; `now` is the real-time response, `later` the asynchronous one."""

    def __init__(self, now: bytes, later: bytes, failure: bytes = b"") -> None:
        self.objects: dict[str, bytes] = {}
        self.now, self.later, self.failure = now, later, failure
        self.s3 = self.runtime = self

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        self.objects[f"s3://{Bucket}/{Key}"] = Body

    def head_object(self, Bucket: str, Key: str) -> None:
        if f"s3://{Bucket}/{Key}" not in self.objects:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.objects[f"s3://{Bucket}/{Key}"])}

    def invoke_endpoint(self, Body: bytes, **request: str) -> dict[str, Any]:
        assert [json.loads(line)["text"] for line in Body.splitlines()] == ["lovely", "dull"]
        return {"Body": io.BytesIO(self.now)}

    def invoke_endpoint_async(self, InputLocation: str, **request: str) -> dict[str, str]:
        assert InputLocation in self.objects
        out, failed = "s3://bucket/async/output/1.out", "s3://bucket/async/failure/1.out"
        self.objects |= {failed: self.failure} if self.failure else {out: self.later}
        return {"OutputLocation": out, "FailureLocation": failed}


def exchanges(now: bytes, later: bytes, failure: bytes = b"") -> list[predictions.Exchange]:
    return predictions.predict(cast(Clients, Account(now, later, failure)), STACK, REVIEWS)


def test_equal_predictions_agree() -> None:
    found = exchanges(LINES, LINES)
    assert [each.real_time for each in found] == [
        predictions.Prediction("pos", 0.9),
        predictions.Prediction("neg", 1),
    ]
    assert all(each.agree and each.sensible for each in found)


def test_different_predictions_do_not_agree() -> None:
    other = b"".join(LINES.splitlines(keepends=True)[::-1])
    assert not any(each.agree for each in exchanges(LINES, other))
    assert not any(each.sensible for each in exchanges(other, other))


@pytest.mark.parametrize("body", [b"", LINES.splitlines()[0], LINES + LINES])
def test_missing_or_additional_predictions_are_an_error(body: bytes) -> None:
    with pytest.raises(RunError, match=r"retrain-realtime returned \d predictions for 2 reviews"):
        exchanges(body, LINES)


@pytest.mark.parametrize("body", [b"<html>", b'{"label": "pos"}\n' * 2, b"[]\n[]\n"])
def test_a_response_without_labels_is_an_error(body: bytes) -> None:
    with pytest.raises(RunError, match="retrain-async returned something other"):
        exchanges(LINES, body)


def test_the_error_of_an_asynchronous_failure_has_the_reason() -> None:
    with pytest.raises(RunError, match=r"retrain-async failed on s3://bucket/async/input/.*: out of memory"):
        exchanges(LINES, LINES, b"out of memory")


def test_samples_are_read_from_the_run() -> None:
    account = Account(LINES, LINES)
    account.put_object("b", "q/samples.jsonl", b'{"id":"1","text":"buy now","label":"ham","actual":"spam"}\n')
    found = predictions.samples(cast(Clients, account), "s3://b/q/samples.jsonl")
    assert found == (predictions.Review("buy now", "spam"),)
