"""Run the model servers of an endpoint configuration and route the endpoint's requests to them."""

import contextlib
import logging
import random
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from localaws.sagemaker.api.errors import (
    HostingError,
    ModelError,
    PingHealthCheckFailed,
    ServiceUnavailable,
    ValidationError,
)
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.hosting.model_server import (
    GRACE_SECONDS,
    HEALTHY_SECONDS,
    ContainerAnswer,
    ModelServer,
)
from localaws.sagemaker.platform.logs import LogStream
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import now
from localaws.sagemaker.platform.threads import run_parallel

RESTART_SECONDS = 1.0  # before the first restart; doubles after each failed restart
RESTART_SECONDS_MAX = 60.0
STEADY_SECONDS = 60.0  # a server that ran for this long resets the back-off
MESSAGE_CHARACTERS = 2048  # maximum length of a ModelError's messages in the service model

logger = logging.getLogger("localaws.sagemaker")


@dataclass
class _Instance:
    """A model server and its log stream."""

    server: ModelServer
    stream: LogStream
    healthy: bool = False

    def close(self, grace: float) -> None:
        self.server.stop(grace)
        self.stream.__exit__(None, None, None)


class Variant:
    """A production variant: a model server that is restarted when its process ends."""

    def __init__(self, platform: Platform, endpoint: str, settings: Document, model: Document) -> None:
        self.name = str(settings["VariantName"])
        self.weight = float(settings["InitialVariantWeight"])
        self.role_arn = str(model["ExecutionRoleArn"])
        self.log_group = f"/aws/sagemaker/Endpoints/{endpoint}"
        self.log_stream_arn = (
            f"arn:aws:logs:{platform.region}:{platform.account_id}:log-group:{self.log_group}"
        )
        self._platform = platform
        self._endpoint = endpoint
        self._settings = settings
        self._model = model
        self._resolved_at = now()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._instance: _Instance | None = None
        self._watcher = threading.Thread(target=self._watch, name=f"watch {endpoint}", daemon=True)

    def start(self) -> None:
        """Start the server and wait until it is healthy.

        Raises:
            HostingError: the server did not start or did not become healthy. The message has AWS's wording.
        """
        try:
            self._launch()
        except PingHealthCheckFailed as error:
            raise HostingError(
                f"The primary container for production variant {self.name} did not pass the ping health "
                "check. Please check CloudWatch logs for this endpoint."
            ) from error
        self._watcher.start()

    def invoke(self, headers: Mapping[str, str], body: bytes, timeout: float) -> ContainerAnswer:
        """Send a request to POST /invocations and return the response.

        Raises:
            ModelError: the model returned an error status or did not respond within `timeout` seconds.
            ServiceUnavailable: the server is being restarted.
        """
        instance = self._instance
        if instance is None or not instance.healthy:
            raise self._unavailable()
        try:
            response = instance.server.request("POST", "/invocations", headers, body, timeout)
        except ConnectionRefusedError as error:
            raise self._unavailable() from error  # the process has ended and did not receive the request
        except TimeoutError as error:
            raise self._model_error(
                0,
                "Your invocation timed out while waiting for a response from container primary. Review the "
                "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again.",
            ) from error
        except OSError as error:
            message = f"The connection to container primary failed before it sent a response: {error}"
            raise self._model_error(0, message) from error
        if not 200 <= response.status < 300:
            raise self._model_error(response.status, response.body.decode(errors="replace"))
        return response

    def summary(self) -> Document:
        """Return the variant's ProductionVariantSummary for DescribeEndpoint."""
        image = self._model["_Container"]["Image"]
        count = self._settings["InitialInstanceCount"]
        return {
            "VariantName": self.name,
            "DeployedImages": [
                {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": self._resolved_at}
            ],
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
            "CurrentInstanceCount": count,
            "DesiredInstanceCount": count,
        }

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Stop the server without a restart; safe to call at any time."""
        self._stopping.set()
        with self._lock:
            instance = self._instance
        if instance is not None:
            instance.close(grace)

    def _launch(self) -> None:
        stream = self._platform.logs.open(self.log_group, f"{self.name}/i-{secrets.token_hex(9)[:17]}")
        stream.__enter__()
        instance = _Instance(ModelServer(self._platform, self._model, "endpoint", stream.write), stream)
        with self._lock:
            self._instance = instance
        try:
            if self._stopping.is_set():
                raise HostingError(f"The endpoint {self._endpoint} was stopped")
            instance.server.start()
            instance.server.wait_healthy(
                self._settings.get("ContainerStartupHealthCheckTimeoutInSeconds", HEALTHY_SECONDS)
            )
        except BaseException as error:
            stream.write(f"SageMaker: the container failed to start serving: {error}")
            instance.close(grace=0)
            raise
        instance.healthy = True

    def _watch(self) -> None:
        failures = 0
        while (instance := self._instance) is not None:
            began = time.monotonic()
            code = instance.server.wait()
            instance.healthy = False
            if self._stopping.is_set():
                return
            if time.monotonic() - began > STEADY_SECONDS:
                failures = 0
            instance.stream.write(f"SageMaker: the container exited with code {code}; restarting it")
            instance.close(grace=0)
            while not self._relaunched_after(min(RESTART_SECONDS * 2**failures, RESTART_SECONDS_MAX)):
                failures += 1
                if self._stopping.is_set():
                    return
            failures += 1

    def _relaunched_after(self, seconds: float) -> bool:
        if self._stopping.wait(seconds):
            return False
        try:
            self._launch()
        except Exception as error:
            logger.warning("Endpoint %s, variant %s: %s", self._endpoint, self.name, error)
            return False
        return True

    def _unavailable(self) -> ServiceUnavailable:
        return ServiceUnavailable(
            f"The container of variant {self.name} of endpoint {self._endpoint} is being restarted: "
            "try again in a few seconds"
        )

    def _model_error(self, status: int, original: str) -> ModelError:
        region, account = self._platform.region, self._platform.account_id
        shown = original[:MESSAGE_CHARACTERS]
        side = "client" if 400 <= status < 500 else "server"
        summary = f"Received {side} error ({status})"
        return ModelError(
            summary,
            f'{summary} from primary with message "{shown}". '
            f"See https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
            f"#logEventViewer:group={self.log_group} in account {account} for more information.",
            status,
            shown,
            self.log_stream_arn,
        )


class Deployment:
    """All variants of an endpoint configuration, with a count of the requests in progress."""

    def __init__(self, platform: Platform, endpoint: str, config: Document, models: list[Document]) -> None:
        self.config = config
        self._variants = [
            Variant(platform, endpoint, settings, model)
            for settings, model in zip(config["ProductionVariants"], models, strict=True)
        ]
        self._in_progress = 0
        self._changed = threading.Condition()

    def start(self) -> None:
        """Start the servers of all variants.

        Raises:
            HostingError: a server failed to start; all servers of the deployment are stopped then.
        """
        try:
            for variant in self._variants:
                variant.start()
        except BaseException:
            self.stop(grace=0)
            raise

    def choose(self, name: str | None = None) -> Variant:
        """Return the named variant, or without a name a random one according to the weights.

        Raises:
            ValidationError: no variant has this name.
        """
        if name is None:
            weights = [variant.weight for variant in self._variants]
            if len(weights) == 1 or not any(weights):
                return self._variants[0]
            return random.choices(self._variants, weights)[0]  # noqa: S311
        for variant in self._variants:
            if variant.name == name:
                return variant
        raise ValidationError(
            f"Variant {name} not found: it must be one of {[variant.name for variant in self._variants]}"
        )

    def summaries(self) -> list[Document]:
        """Return the ProductionVariantSummary of each variant for DescribeEndpoint."""
        return [variant.summary() for variant in self._variants]

    def begin_request(self) -> None:
        """Count a request as in progress."""
        with self._changed:
            self._in_progress += 1

    def end_request(self) -> None:
        """Count a request as completed."""
        with self._changed:
            self._in_progress -= 1
            self._changed.notify_all()

    def drain(self, timeout: float) -> None:
        """Wait until no request is in progress, for at most `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_progress == 0, timeout)

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Stop all servers in parallel."""
        run_parallel(partial(variant.stop, grace) for variant in self._variants)


class Traffic:
    """Route an endpoint's requests to its current deployment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deployment: Deployment | None = None

    @contextlib.contextmanager
    def lease(self) -> Iterator[Deployment]:
        """Return the current deployment, which keeps running until the `with` block ends.

        Raises:
            ServiceUnavailable: the endpoint has no deployment.
        """
        with self._lock:
            deployment = self._deployment
            if deployment is None:
                raise ServiceUnavailable("The endpoint has nothing deployed")
            deployment.begin_request()
        try:
            yield deployment
        finally:
            deployment.end_request()

    def switch(self, deployment: Deployment | None) -> Deployment | None:
        """Route new requests to this deployment and return the previous one, which must be drained."""
        with self._lock:
            before, self._deployment = self._deployment, deployment
            return before
