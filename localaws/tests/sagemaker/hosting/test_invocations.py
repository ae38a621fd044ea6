import json
import os
import re
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import HeadersDict
from botocore.exceptions import ClientError
from botocore.parsers import create_parser

from localaws.sagemaker.api.errors import ModelError, SageMakerError, ServiceUnavailable, ValidationError
from localaws.sagemaker.api.http import Http
from localaws.sagemaker.api.shapes import operation_model
from localaws.sagemaker.hosting import deployments, invocations
from localaws.sagemaker.hosting.async_invocations import AsyncRequest
from localaws.testing import wait_until
from localaws_tests.serving import ACCOUNT, BUCKET, REGION, ROLE, Account, small_account

account = pytest.fixture(small_account)

GROUP = "/aws/sagemaker/Endpoints/live"
OUTPUT = {"S3OutputPath": f"s3://{BUCKET}/out/", "S3FailurePath": f"s3://{BUCKET}/failed"}


def send(
    account: Account, operation: str, path: str, headers: Mapping[str, str], body: bytes
) -> dict[str, Any]:
    """Send an HTTP request and return the response as botocore parses it."""
    http = Http({}, [], account.invocations, f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:")
    status, answered, content = http.handle("POST", path, {}, headers, body, lambda permission: None)
    response = {"status_code": status, "headers": HeadersDict(answered), "body": content}
    shape = operation_model(operation, "sagemaker-runtime").output_shape
    assert shape is not None
    parsed: dict[str, Any] = create_parser("rest-json").parse(response, shape)
    return parsed


@pytest.fixture
def live(account: Account) -> Account:
    account.deploy("one")
    account.create_endpoint("live", "one")
    return account


def test_a_request_and_its_response(live: Account) -> None:
    headers = {
        "content-type": "text/csv",
        "accept": "application/json",
        "x-amzn-sagemaker-custom-attributes": "mine",
        "x-amzn-sagemaker-inference-id": "id-1",
        "x-amzn-sagemaker-target-variant": "AllTraffic",
        "authorization": "secret",
    }
    answer = send(live, "InvokeEndpoint", "/endpoints/live/invocations", headers, b"a,b")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == "from the model"
    seen = {name.lower(): value for name, value in json.loads(answer["Body"])["headers"].items()}
    assert seen["content-type"] == "text/csv"
    assert seen["accept"] == "application/json"
    assert seen["x-amzn-sagemaker-custom-attributes"] == "mine"
    assert seen["x-amzn-sagemaker-inference-id"] == "id-1"
    assert "authorization" not in seen


@pytest.mark.parametrize(("status", "side"), [(400, "client"), (415, "client"), (500, "server")])
def test_an_error_response_of_the_model(live: Account, status: int, side: str) -> None:
    body = json.dumps({"status": status}).encode()
    answer = send(live, "InvokeEndpoint", "/endpoints/live/invocations", {}, body)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["Error"]["Code"] == "ModelError"
    with pytest.raises(ModelError) as error:
        live.invoke("live", status=status)
    assert error.value.original_status == status
    assert error.value.original_message == '{"error": "as requested"}'
    assert error.value.log_stream_arn == f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}"
    message = error.value.message
    assert message.startswith(f'Received {side} error ({status}) from primary with message "{{')
    assert message.endswith(
        f'}}". See https://{REGION}.console.aws.amazon.com/cloudwatch/home?region={REGION}'
        f"#logEventViewer:group={GROUP} in account {ACCOUNT} for more information."
    )


def test_a_model_that_does_not_respond_in_time(live: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocations, "INVOKE_SECONDS", 0.3)
    with pytest.raises(ModelError, match="Your invocation timed out while waiting for a resp") as error:
        live.invoke("live", sleep=30)
    assert error.value.original_status == 0


def test_a_model_that_exits_during_a_request(live: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "RESTART_SECONDS", 0.1)
    go = threading.Event()
    monkeypatch.setattr(live.runtime, "prepare", lambda image: go.wait(30))
    with pytest.raises(ModelError, match=r"server error \(0\)"):
        live.invoke("live", crash=True)
    wait_until(lambda: raised_error(live) is ServiceUnavailable)
    go.set()
    wait_until(lambda: raised_error(live) is None)


def raised_error(account: Account) -> type[SageMakerError] | None:
    try:
        account.invoke("live")
    except SageMakerError as error:
        return type(error)
    return None


def test_body_size_limits(live: Account) -> None:
    live.invocations.invoke("live", {}, b"x" * 6_291_456)
    with pytest.raises(ValidationError, match="length less than or equal to 6291456"):
        live.invocations.invoke("live", {}, b"x" * 6_291_457)
    with pytest.raises(ModelError, match="longer than 6291456 bytes"):
        live.invoke("live", length=6_291_457)


def test_a_missing_endpoint(account: Account) -> None:
    answer = send(account, "InvokeEndpoint", "/endpoints/nowhere/invocations", {}, b"")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["Error"] == {
        "Code": "ValidationError",
        "Message": f"Endpoint nowhere of account {ACCOUNT} not found.",
    }


@pytest.mark.parametrize("header", ["target-model", "inference-component", "session-id"])
def test_unsupported_headers_are_rejected(live: Account, header: str) -> None:
    with pytest.raises(ValidationError, match=f"{header} is not supported locally"):
        live.invoke("live", {f"x-amzn-sagemaker-{header}": "x"})


class Queue:
    """An asynchronous endpoint with SQS queues that receive its notifications."""

    def __init__(self, account: Account, concurrency: int = 2, **output: Any) -> None:
        self.account = account
        self.s3 = account.sessions.client("s3")
        sns, self._sqs = account.sessions.client("sns"), account.sessions.client("sqs")
        self._urls = {name: self._sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("ok", "bad")}
        topics = {name: sns.create_topic(Name=name)["TopicArn"] for name in self._urls}
        for name, topic in topics.items():
            arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        self.config = {
            "OutputConfig": {
                **OUTPUT,
                "NotificationConfig": {"SuccessTopic": topics["ok"], "ErrorTopic": topics["bad"]},
                **output,
            },
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": concurrency},
        }
        account.create_model("one")
        account.create_config("queue", "one", AsyncInferenceConfig=self.config)
        account.create_endpoint("live", "queue")

    def send(self, headers: Mapping[str, str] | None = None, **request: Any) -> dict[str, Any]:
        self.s3.put_object(Bucket=BUCKET, Key="in.json", Body=json.dumps(request).encode())
        names = {"x-amzn-sagemaker-inputlocation": f"s3://{BUCKET}/in.json", **(headers or {})}
        return send(self.account, "InvokeEndpointAsync", "/endpoints/live/async-invocations", names, b"")

    def read(self, uri: str) -> bytes:
        key = uri.removeprefix(f"s3://{BUCKET}/")

        def content() -> list[bytes]:
            try:
                return [self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()]
            except ClientError:
                return []

        found: list[bytes] = wait_until(content)
        return found[0]

    def notification(self, name: str) -> dict[str, Any]:
        def messages() -> list[Any]:
            answer = self._sqs.receive_message(QueueUrl=self._urls[name])
            return list(answer.get("Messages", []))

        body = json.loads(wait_until(messages)[0]["Body"])
        message: dict[str, Any] = json.loads(body["Message"])
        return message


def test_an_asynchronous_request_and_its_output(account: Account) -> None:
    queue = Queue(account)
    headers = {
        "x-amzn-sagemaker-content-type": "application/json",
        "x-amzn-sagemaker-accept": "text/csv",
        "x-amzn-sagemaker-inference-id": "id-7",
    }
    accepted = queue.send(headers)
    assert accepted["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert accepted["InferenceId"] == "id-7"
    output = accepted["OutputLocation"]
    assert re.fullmatch(rf"s3://{BUCKET}/out/[0-9a-f-]{{36}}\.out", output)
    failure = output.replace("/out/", "/failed/").replace(".out", "-error.out")
    assert accepted["FailureLocation"] == failure

    seen = json.loads(queue.read(output))["headers"]
    assert (seen["Content-Type"], seen["Accept"]) == ("application/json", "text/csv")
    key = output.removeprefix(f"s3://{BUCKET}/")
    assert queue.s3.head_object(Bucket=BUCKET, Key=key)["ContentType"] == "application/json"

    message = queue.notification("ok")
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(moment, message.pop("eventTime"))
    assert re.fullmatch(moment, message.pop("receivedTime"))
    assert message == {
        "awsRegion": REGION,
        "invocationStatus": "Completed",
        "requestParameters": {
            "accept": "text/csv",
            "contentType": "application/json",
            "endpointName": "live",
            "inputLocation": f"s3://{BUCKET}/in.json",
        },
        "responseParameters": {"contentType": "application/json", "outputLocation": output},
        "inferenceId": "id-7",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    assert {role for service, role in account.sessions.roles if service in ("s3", "sns")} >= {ROLE}


def test_an_asynchronous_request_that_the_model_rejects(account: Account) -> None:
    queue = Queue(account)
    accepted = queue.send(status=400)
    assert queue.read(accepted["FailureLocation"]).startswith(b"Received client error (400) from primary")
    message = queue.notification("bad")
    assert message["invocationStatus"] == "Failed"
    assert message["failureReason"] == (
        "ClientError: Received client error (400) from model. "
        "See the SageMaker Endpoint logs in your account for more information."
    )
    assert message["inferenceId"] == accepted["InferenceId"]


def test_a_missing_input(account: Account) -> None:
    queue = Queue(account)
    headers = {"x-amzn-sagemaker-inputlocation": f"s3://{BUCKET}/nothing"}
    accepted = queue.send(headers)
    assert b"The input s3://models/nothing cannot be read" in queue.read(accepted["FailureLocation"])


def test_an_output_that_cannot_be_written(account: Account) -> None:
    queue = Queue(account, S3OutputPath="s3://no-such-bucket/out")
    accepted = queue.send()
    assert b"cannot be written" in queue.read(accepted["FailureLocation"])
    assert "cannot be written" in queue.notification("bad")["failureReason"]


def test_no_failure_location_without_a_failure_path(account: Account) -> None:
    account.create_model("one")
    config = {"OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/out"}}
    account.create_config("queue", "one", AsyncInferenceConfig=config)
    account.create_endpoint("live", "queue")
    _, headers, _ = account.invocations.invoke_async(
        "live", {"x-amzn-sagemaker-inputlocation": f"s3://{BUCKET}/in"}
    )
    assert "X-Amzn-SageMaker-FailureLocation" not in headers


def test_a_request_that_exceeds_its_ttl_in_the_queue(account: Account, tmp_path: Path) -> None:
    queue = Queue(account, concurrency=1)
    held = queue.send(file=str(tmp_path / "go"))
    wait_until((tmp_path / "go.awaited").exists)
    serving = account.endpoints.serving("live")
    assert serving.queue is not None
    late = f"s3://{BUCKET}/late.out"
    serving.queue.put(
        AsyncRequest("late", f"s3://{BUCKET}/in.json", b"", f"s3://{BUCKET}/x", late, {}, ttl=0.1)
    )
    threading.Event().wait(0.2)
    (tmp_path / "go").touch()
    assert queue.read(late) == b"The request waited longer than 0.1 seconds"
    assert json.loads(queue.read(held["OutputLocation"]))["version"] == "one"


def test_a_request_that_exceeds_its_invocation_timeout(account: Account) -> None:
    queue = Queue(account)
    serving = account.endpoints.serving("live")
    assert serving.queue is not None
    failure = f"s3://{BUCKET}/slow.out"
    body = json.dumps({"sleep": 30}).encode()
    serving.queue.put(AsyncRequest("slow", None, body, f"s3://{BUCKET}/x", failure, {}, timeout=0.3))
    assert b"Your invocation timed out" in queue.read(failure)


def test_concurrency_is_limited_by_the_configuration(account: Account, tmp_path: Path) -> None:
    queue = Queue(account, concurrency=2)
    for index in range(3):
        accepted = [queue.send(file=str(tmp_path / f"go-{index}"))]
        if index < 2:
            wait_until((tmp_path / f"go-{index}.awaited").exists)
    threading.Event().wait(0.3)
    assert not (tmp_path / "go-2.awaited").exists()
    for index in range(3):
        (tmp_path / f"go-{index}").touch()
    queue.read(accepted[0]["OutputLocation"])


def test_requests_survive_an_update(account: Account, tmp_path: Path) -> None:
    queue = Queue(account, concurrency=1)
    in_progress = queue.send(file=str(tmp_path / "go"))
    wait_until((tmp_path / "go.awaited").exists)
    waiting = queue.send()
    account.create_model("two")
    account.create_config("next", "two", AsyncInferenceConfig=queue.config)
    account.update_endpoint("live", "next")
    (tmp_path / "go").touch()
    assert json.loads(queue.read(in_progress["OutputLocation"]))["version"] == "one"
    assert json.loads(queue.read(waiting["OutputLocation"]))["version"] == "two"


def test_requests_wait_for_a_server_that_is_being_restarted(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments, "RESTART_SECONDS", 0.1)
    queue = Queue(account)
    go = threading.Event()
    monkeypatch.setattr(account.runtime, "prepare", lambda image: go.wait(30))
    os.kill(account.runtime.started[-1].process.pid, signal.SIGKILL)
    wait_until(lambda: "restarting it" in account.log("live"))
    accepted = queue.send()
    threading.Event().wait(0.3)
    go.set()
    assert json.loads(queue.read(accepted["OutputLocation"]))["version"] == "one"


def test_deleting_an_endpoint_discards_its_queued_requests(account: Account, tmp_path: Path) -> None:
    queue = Queue(account, concurrency=1)
    in_progress = queue.send(file=str(tmp_path / "go"))
    wait_until((tmp_path / "go.awaited").exists)
    waiting = queue.send()
    account.endpoints.delete({"EndpointName": "live"})
    (tmp_path / "go").touch()
    assert queue.read(in_progress["OutputLocation"])
    wait_until(lambda: not account.endpoints.list({})["Endpoints"])
    wait_until(lambda: "async live" not in [thread.name for thread in threading.enumerate()])
    key = waiting["OutputLocation"].removeprefix(f"s3://{BUCKET}/")
    assert key not in [item["Key"] for item in queue.s3.list_objects_v2(Bucket=BUCKET)["Contents"]]


def test_an_inline_payload(account: Account) -> None:
    queue = Queue(account)
    status, headers, _ = account.invocations.invoke_async("live", {}, b"{}")
    assert status == 202
    assert json.loads(queue.read(headers["X-Amzn-SageMaker-OutputLocation"]))["version"] == "one"


def test_each_endpoint_type_requires_its_own_operation(live: Account) -> None:
    location = {"x-amzn-sagemaker-inputlocation": f"s3://{BUCKET}/in"}
    with pytest.raises(ValidationError, match="is not asynchronous"):
        live.invocations.invoke_async("live", location)
    live.create_config("queue", "one", AsyncInferenceConfig={"OutputConfig": OUTPUT})
    live.create_endpoint("queue", "queue")
    with pytest.raises(ValidationError, match="is asynchronous"):
        live.invoke("queue")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"inputlocation": "https://bucket/key"},
        {"inputlocation": "s3://bucket"},
        {"inputlocation": "s3://b/k", "requestttlseconds": "59"},
        {"inputlocation": "s3://b/k", "invocationtimeoutseconds": "3601"},
        {"inputlocation": "s3://b/k", "invocationtimeoutseconds": "soon"},
        {"inputlocation": "s3://b/k", "filename": "x"},
    ],
)
def test_invalid_asynchronous_requests_are_rejected(account: Account, headers: dict[str, str]) -> None:
    account.create_model("one")
    account.create_config("queue", "one", AsyncInferenceConfig={"OutputConfig": OUTPUT})
    account.create_endpoint("live", "queue")
    with pytest.raises(ValidationError):
        account.invocations.invoke_async(
            "live", {f"x-amzn-sagemaker-{name}": value for name, value in headers.items()}
        )
