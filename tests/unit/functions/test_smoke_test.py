import io
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws
from pydantic import ValidationError

from smoke_test import app

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LIVE, QUEUED = "retrain-realtime", "retrain-async"
EVENT = {
    "samplesUri": "s3://data/runs/one/quality/samples.jsonl",
    "realTimeEndpointName": LIVE,
    "asyncEndpointName": QUEUED,
}
SAMPLES = [
    {"id": "test/1", "text": "A joy, “really”.", "label": "pos", "actual": "pos", "probability": 0.9},
    {"id": "test/2", "text": "Two hours lost.", "label": "neg", "actual": "pos", "probability": 0.5},
]
OUTPUT, FAILURE = "async/output/1.out", "async/failure/1-error.out"
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")


def row(sample: dict[str, Any], **changes: Any) -> dict[str, Any]:
    label, probability = sample["label"], changes.get("probability", sample["probability"])
    other = "neg" if label == "pos" else "pos"
    answer = {
        "id": sample["id"],
        "label": label,
        "probabilities": {label: probability, other: 1 - probability},
    }
    return answer | {name: value for name, value in changes.items() if name != "probability"}


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


GOOD = lines(*map(row, SAMPLES))
OTHER_LABEL = lines(row(SAMPLES[0]), row(SAMPLES[1], label="pos"))
OTHER_PROBABILITY = lines(row(SAMPLES[0], probability=0.9002), row(SAMPLES[1]))


class Clock:
    """Time that passes only by sleeping; `at` holds what happens when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.at: dict[float, Callable[[], object]] = {}

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.at.pop(self.now, lambda: None)()


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("ASYNC_INPUT_URI", "s3://data/async/input/")
    with mock_aws():
        yield


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(app, "time", clock)
    return clock


@pytest.fixture
def s3() -> "S3Client":
    client = boto3.client("s3")
    client.create_bucket(Bucket="data")
    put_samples(client, SAMPLES)
    return client


@pytest.fixture
def runtime(s3: "S3Client", monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """The endpoints, answering what a test adds; S3 stays moto's."""
    connect, client = boto3.client, boto3.client("sagemaker-runtime")
    clients: dict[str, Any] = {"sagemaker-runtime": client}
    monkeypatch.setattr(boto3, "client", lambda name: clients.get(name) or connect(name))
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def live_answers(runtime: Stubber, body: str, samples: list[dict[str, Any]] = SAMPLES) -> None:
    rows = ({"id": sample["id"], "text": sample["text"]} for sample in samples)
    question = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    runtime.add_response(
        "invoke_endpoint",
        {"Body": io.BytesIO(body.encode()), "ContentType": "application/jsonlines"},
        {
            "EndpointName": LIVE,
            "ContentType": "application/jsonlines",
            "Accept": "application/jsonlines",
            "Body": question.encode(),
        },
    )


def queue_takes(runtime: Stubber) -> None:
    runtime.add_response(
        "invoke_endpoint_async",
        {"OutputLocation": f"s3://data/{OUTPUT}", "FailureLocation": f"s3://data/{FAILURE}"},
        {
            "EndpointName": QUEUED,
            "ContentType": "application/jsonlines",
            "Accept": "application/jsonlines",
            "InputLocation": ANY,
        },
    )


def put(s3: "S3Client", key: str, body: str) -> None:
    s3.put_object(Bucket="data", Key=key, Body=body.encode())


def put_samples(s3: "S3Client", samples: list[dict[str, Any]]) -> None:
    rows = [row(sample) | {"text": sample["text"], "actual": sample["actual"]} for sample in samples]
    put(s3, "runs/one/quality/samples.jsonl", lines(*rows))


def run(seconds: float = 60) -> list[dict[str, Any]]:
    context = SimpleNamespace(
        function_name="smoke_test",
        memory_limit_in_mb=128,
        invoked_function_arn="arn:fn",
        aws_request_id="1",
        get_remaining_time_in_millis=lambda: int(seconds * 1000),
    )
    answers: list[dict[str, Any]] = app.lambda_handler(EVENT, context)["answers"]
    return answers


def test_both_endpoints_answer_as_batch_transform_did(s3: "S3Client", runtime: Stubber, clock: Clock) -> None:
    live_answers(runtime, GOOD)
    queue_takes(runtime)
    clock.at[2.0] = lambda: put(s3, OUTPUT, GOOD)
    answers = run()
    assert [(answer["endpoint"], answer["id"]) for answer in answers] == [
        (LIVE, "test/1"),
        (LIVE, "test/2"),
        (QUEUED, "test/1"),
        (QUEUED, "test/2"),
    ]
    assert answers[0] == {
        "endpoint": LIVE,
        "id": "test/1",
        "text": "A joy, “really”.",
        "label": "pos",
        "probability": 0.9,
    }
    assert clock.now == 2.0


def test_the_answer_passes_between_states_however_long_the_texts_are(
    s3: "S3Client", runtime: Stubber, clock: Clock
) -> None:
    samples = [SAMPLES[0] | {"id": f"test/{i}", "text": "🎬" * 100_000} for i in range(4)]
    put_samples(s3, samples)
    body = lines(*map(row, samples))
    live_answers(runtime, body, samples)
    queue_takes(runtime)
    put(s3, OUTPUT, body)
    answers = run()
    assert len(json.dumps({"answers": answers})) < 262_144
    assert {answer["text"] for answer in answers} == {"🎬" * 199 + "…"}


def test_a_label_may_hold_a_line_separator(s3: "S3Client", runtime: Stubber, clock: Clock) -> None:
    samples = [SAMPLES[0] | {"label": "a\u2028b"}]
    put_samples(s3, samples)
    body = json.dumps(row(samples[0]), ensure_ascii=False) + "\n"
    live_answers(runtime, body, samples)
    queue_takes(runtime)
    put(s3, OUTPUT, body)
    assert [answer["label"] for answer in run()] == ["a\u2028b"] * 2


def test_the_asynchronous_question_lies_under_its_prefix(
    s3: "S3Client", runtime: Stubber, clock: Clock
) -> None:
    live_answers(runtime, GOOD)
    queue_takes(runtime)
    put(s3, OUTPUT, GOOD)
    run()
    [entry] = s3.list_objects_v2(Bucket="data", Prefix="async/input/smoke-test-")["Contents"]
    asked = s3.get_object(Bucket="data", Key=entry["Key"])["Body"].read().decode().splitlines()
    assert [json.loads(line)["id"] for line in asked] == ["test/1", "test/2"]


def test_a_probability_within_the_tolerance_is_the_same(
    s3: "S3Client", runtime: Stubber, clock: Clock
) -> None:
    live_answers(runtime, lines(row(SAMPLES[0], probability=0.90005), row(SAMPLES[1])))
    queue_takes(runtime)
    put(s3, OUTPUT, GOOD)
    assert len(run()) == 4


WRONG = [
    (OTHER_LABEL, r"neg \(0\.5000\) to test/2, as Batch Transform, but answered pos \(0\.5000\)"),
    (OTHER_PROBABILITY, r"pos \(0\.9000\) to test/1, as Batch Transform, but answered pos \(0\.9002\)"),
    (lines(row(SAMPLES[0])), "2 rows, but answered 1 rows"),
    ("<html>", "a label and probabilities a line, but answered '<html>'"),
]


@pytest.mark.parametrize(("body", "told"), WRONG)
def test_a_wrong_real_time_answer_is_told(
    s3: "S3Client", runtime: Stubber, clock: Clock, body: str, told: str
) -> None:
    live_answers(runtime, body)
    queue_takes(runtime)
    put(s3, OUTPUT, GOOD)
    with pytest.raises(app.SmokeTestFailed, match=f"Endpoint {LIVE} should have answered {told}"):
        run()


@pytest.mark.parametrize(("body", "told"), WRONG)
def test_a_wrong_asynchronous_answer_is_told(
    s3: "S3Client", runtime: Stubber, clock: Clock, body: str, told: str
) -> None:
    live_answers(runtime, GOOD)
    queue_takes(runtime)
    put(s3, OUTPUT, body)
    with pytest.raises(app.SmokeTestFailed, match=f"Endpoint {QUEUED} should have answered {told}"):
        run()


def test_a_failure_object_ends_the_waiting(s3: "S3Client", runtime: Stubber, clock: Clock) -> None:
    live_answers(runtime, GOOD)
    queue_takes(runtime)
    clock.at[3.0] = lambda: put(s3, FAILURE, "line 2: no field text")
    with pytest.raises(app.SmokeTestFailed, match=f"Endpoint {QUEUED} .* line 2: no field text"):
        run()
    assert clock.now == 3.0


def test_no_answer_is_told_before_the_function_times_out(runtime: Stubber, clock: Clock) -> None:
    live_answers(runtime, GOOD)
    queue_takes(runtime)
    with pytest.raises(app.SmokeTestFailed, match=f"s3://data/{OUTPUT}, but answered nothing"):
        run(seconds=30)
    assert clock.now == 30 - app.MARGIN


def test_an_error_of_the_model_is_a_failed_smoke_test(runtime: Stubber, clock: Clock) -> None:
    runtime.add_client_error("invoke_endpoint", "ModelError", "Received server error (500) from primary")
    with pytest.raises(app.SmokeTestFailed, match=r"Received server error \(500\)"):
        run()


def test_another_error_stays_what_it_is(runtime: Stubber, clock: Clock) -> None:
    runtime.add_client_error("invoke_endpoint", "AccessDeniedException", "not authorized")
    with pytest.raises(runtime.client.exceptions.ClientError, match="AccessDeniedException"):
        run()


def test_an_input_uri_that_is_none_is_named() -> None:
    with pytest.raises(ValidationError, match="ASYNC_INPUT_URI"):
        app.Environment.read({"ASYNC_INPUT_URI": "data/async/input"})
