"""Asynchronous invocations: a queue of requests with input and output in S3."""

import json
import logging
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localaws.sagemaker.api.errors import ModelError, SageMakerError, ServiceUnavailable, ValidationException
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.hosting.deployments import Traffic
from localaws.sagemaker.hosting.model_server import ContainerAnswer
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.storage import S3Uri

# Without MaxConcurrentInvocationsPerInstance, SageMaker chooses a value that it does not document.
CONCURRENCY = 4
TTL_SECONDS = 21_600
TIMEOUT_SECONDS = 900
RETRY_SECONDS = 0.5  # between attempts while the server is being restarted

logger = logging.getLogger("localaws.sagemaker")


@dataclass(frozen=True)
class AsyncRequest:
    """A request in the queue.

    Attributes:
        location: the S3 URI of the payload; None for an inline payload.
        body: the inline payload.
        output: the S3 URI for the response.
        failure: the S3 URI for an error; None if the endpoint has no S3FailurePath.
        headers: the HTTP headers for the container.
        ttl: the maximum time in the queue, in seconds.
        timeout: the maximum response time of the container, in seconds.
    """

    inference_id: str
    location: str | None
    body: bytes
    output: str
    failure: str | None
    headers: dict[str, str]
    ttl: float = TTL_SECONDS
    timeout: float = TIMEOUT_SECONDS
    received: datetime = field(default_factory=lambda: datetime.now(UTC))
    queued_at: float = field(default_factory=time.monotonic)

    def expired(self) -> bool:
        """Return whether the request waited in the queue for longer than `ttl`."""
        return time.monotonic() - self.queued_at > self.ttl


class AsyncQueue:
    """An asynchronous endpoint's queue, processed by up to MaxConcurrentInvocationsPerInstance threads.

    The queue belongs to the endpoint, not to a deployment: queued requests survive an update.
    """

    def __init__(self, platform: Platform, endpoint: str, traffic: Traffic, config: Document) -> None:
        self._platform = platform
        self._endpoint = endpoint
        self._traffic = traffic
        self._lock = threading.Lock()
        self._waiting: deque[AsyncRequest] = deque()
        self._workers = 0
        self._stopping = threading.Event()
        self._config = config

    def configure(self, config: Document) -> None:
        """Apply the AsyncInferenceConfig of an update."""
        with self._lock:
            self._config = config
            self._start_workers()

    def locations(self) -> tuple[str, str | None]:
        """Return new S3 URIs for a request's output and, if the endpoint has an S3FailurePath, its error."""
        output = self._config["OutputConfig"]
        name = uuid.uuid4()
        failure_path = output.get("S3FailurePath")
        return (
            f"{output['S3OutputPath'].rstrip('/')}/{name}.out",
            f"{failure_path.rstrip('/')}/{name}-error.out" if failure_path else None,
        )

    def put(self, request: AsyncRequest) -> None:
        """Queue a request."""
        with self._lock:
            self._waiting.append(request)
            self._start_workers()

    def stop(self) -> None:
        """Discard the queued requests; requests in progress continue."""
        self._stopping.set()
        with self._lock:
            self._waiting.clear()

    def _limit(self) -> int:
        client: Document = self._config.get("ClientConfig", {})
        return int(client.get("MaxConcurrentInvocationsPerInstance", CONCURRENCY))

    def _start_workers(self) -> None:
        for _ in range(min(self._limit() - self._workers, len(self._waiting))):
            self._workers += 1
            threading.Thread(target=self._work, name=f"async {self._endpoint}", daemon=True).start()

    def _work(self) -> None:
        while (request := self._next()) is not None:
            try:
                self._process(request)
            except Exception:
                logger.exception("Endpoint %s, inference %s", self._endpoint, request.inference_id)

    def _next(self) -> AsyncRequest | None:
        with self._lock:
            if not self._waiting or self._workers > self._limit():
                self._workers -= 1
                return None
            return self._waiting.popleft()

    def _process(self, request: AsyncRequest) -> None:
        while not self._stopping.is_set():
            if request.expired():
                self._fail_as_deployed(request, f"The request waited longer than {request.ttl:g} seconds")
                return
            try:
                self._invoke(request)
            except ServiceUnavailable:
                self._stopping.wait(RETRY_SECONDS)
            else:
                return

    def _invoke(self, request: AsyncRequest) -> None:
        with self._traffic.lease() as deployment:
            variant = deployment.choose()
            try:
                body = self._payload(request, variant.role_arn)
                response = variant.invoke(request.headers, body, request.timeout)
                self._succeed(request, response, variant.role_arn)
            except ServiceUnavailable:
                raise
            except ModelError as error:
                reason = (
                    f"{error.summary} from model. "
                    "See the SageMaker Endpoint logs in your account for more information."
                )
                self._fail(request, variant.role_arn, error.message, reason)
            except SageMakerError as error:
                self._fail(request, variant.role_arn, error.message, error.message)

    def _payload(self, request: AsyncRequest, role_arn: str) -> bytes:
        if request.location is None:
            return request.body
        location = S3Uri.parse(request.location)
        s3 = self._platform.sessions.client("s3", role_arn)
        try:
            return s3.get_object(Bucket=location.bucket, Key=location.key)["Body"].read()
        except (ClientError, BotoCoreError) as error:
            raise ValidationException(f"The input {request.location} cannot be read: {error}") from error

    def _succeed(self, request: AsyncRequest, response: ContainerAnswer, role_arn: str) -> None:
        content_type = response.headers.get("content-type", "application/octet-stream")
        self._write(request.output, response.body, content_type, role_arn)
        self._notify(
            "SuccessTopic",
            request,
            role_arn,
            invocationStatus="Completed",
            responseParameters={"contentType": content_type, "outputLocation": request.output},
        )

    def _fail_as_deployed(self, request: AsyncRequest, reason: str) -> None:
        with self._traffic.lease() as deployment:
            self._fail(request, deployment.choose().role_arn, reason, reason)

    def _fail(self, request: AsyncRequest, role_arn: str, message: str, reason: str) -> None:
        logger.warning("Endpoint %s, inference %s: %s", self._endpoint, request.inference_id, message)
        if request.failure is not None:
            try:
                self._write(request.failure, message.encode(), "text/plain", role_arn)
            except SageMakerError as error:
                logger.warning("Endpoint %s: %s", self._endpoint, error)
        self._notify(
            "ErrorTopic",
            request,
            role_arn,
            invocationStatus="Failed",
            failureReason=f"ClientError: {reason}",
        )

    def _write(self, uri: str, body: bytes, content_type: str, role_arn: str) -> None:
        location = S3Uri.parse(uri)
        s3 = self._platform.sessions.client("s3", role_arn)
        try:
            s3.put_object(Bucket=location.bucket, Key=location.key, Body=body, ContentType=content_type)
        except (ClientError, BotoCoreError) as error:
            raise ValidationException(f"The output {uri} cannot be written: {error}") from error

    def _notify(self, topic: str, request: AsyncRequest, role_arn: str, **result: Any) -> None:
        arn = self._config["OutputConfig"].get("NotificationConfig", {}).get(topic)
        if arn is None:
            return
        message = {
            "awsRegion": self._platform.region,
            "eventTime": _moment(datetime.now(UTC)),
            "receivedTime": _moment(request.received),
            **result,
            "requestParameters": _parameters(self._endpoint, request),
            "inferenceId": request.inference_id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
        try:
            sns = self._platform.sessions.client("sns", role_arn)
            sns.publish(TopicArn=arn, Message=json.dumps(message))
        except (SageMakerError, ClientError, BotoCoreError) as error:
            logger.warning("Endpoint %s cannot notify %s: %s", self._endpoint, arn, error)


def _parameters(endpoint: str, request: AsyncRequest) -> dict[str, str]:
    parameters = {
        "accept": request.headers.get("Accept"),
        "contentType": request.headers.get("Content-Type"),
        "customAttributes": request.headers.get("X-Amzn-SageMaker-Custom-Attributes"),
        "endpointName": endpoint,
        "inputLocation": request.location,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
