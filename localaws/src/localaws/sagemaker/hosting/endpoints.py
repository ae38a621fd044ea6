"""Endpoints: create, update and delete deployments of endpoint configurations."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from localaws.sagemaker.api.errors import (
    FAILURE_REASON_CHARACTERS,
    HostingError,
    ValidationError,
    ValidationException,
)
from localaws.sagemaker.api.members import refuse_others, refuse_values
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.hosting.async_invocations import AsyncQueue
from localaws.sagemaker.hosting.deployments import Deployment, Traffic
from localaws.sagemaker.hosting.endpoint_configs import EndpointConfigs
from localaws.sagemaker.hosting.models import Models
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import Records, list_page, now
from localaws.sagemaker.platform.threads import run_parallel

DRAIN_SECONDS = 60.0  # the timeout of a real-time request
ASYNC_DRAIN_SECONDS = 3600.0  # the longest InvocationTimeoutSeconds
CLOSING_GRACE_SECONDS = 3.0
CLOSING_SECONDS = 5.0  # how long `close` waits for all servers together
_INVOCABLE = ("InService", "Updating")  # the statuses in which an endpoint accepts invocations

ROUTING = "DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration"
# The request members that are applied, or stored and described; any other member is rejected.
HANDLED = ("EndpointName", "EndpointConfigName", f"{ROUTING}.Type", "Tags", "RetainDeploymentConfig")
# Accepted and ignored: all traffic shifts to the new servers immediately, and the old servers stop after
# their last response.
WITHOUT_EFFECT = (
    f"{ROUTING}.WaitIntervalInSeconds",
    "DeploymentConfig.BlueGreenUpdatePolicy.TerminationWaitInSeconds",
    "DeploymentConfig.BlueGreenUpdatePolicy.MaximumExecutionTimeoutInSeconds",
)

logger = logging.getLogger("localaws.sagemaker")


@dataclass(frozen=True)
class Serving:
    """An endpoint's request routing; `queue` is None for a real-time endpoint."""

    traffic: Traffic
    queue: AsyncQueue | None


class Endpoints:
    """Endpoints by name. A record's `_serving` routes the endpoint's requests.

    One process serves each variant, independent of its instance count. An update starts the servers of the
    new configuration beside the old ones and shifts the requests when all new servers are healthy.
    """

    def __init__(self, platform: Platform, models: Models, configs: EndpointConfigs) -> None:
        self._platform = platform
        self._models = models
        self._configs = configs
        self._records = Records()
        self._deployments: set[Deployment] = set()
        self._closed = False

    def operations(self) -> dict[str, Operation]:
        """Return the handlers of this resource's operations, by operation name."""
        return {
            "CreateEndpoint": self.create,
            "DescribeEndpoint": self.describe,
            "ListEndpoints": self.list,
            "UpdateEndpoint": self.update,
            "DeleteEndpoint": self.delete,
        }

    def serving(self, name: str) -> Serving:
        """Return the request routing of an endpoint.

        Raises:
            ValidationError: the endpoint does not exist or is neither InService nor Updating.
        """
        missing = ValidationError(f"Endpoint {name} of account {self._platform.account_id} not found.")
        record = self._records.get(name, missing)
        if record["EndpointStatus"] not in _INVOCABLE:
            raise missing
        serving: Serving = record["_serving"]
        return serving

    def create(self, request: Document) -> Document:
        """Create an endpoint and start its deployment in the background."""
        _refuse_members(request)
        name = request["EndpointName"]
        arn = self._platform.arn("endpoint", name)
        deployment = self._new_deployment(name, request["EndpointConfigName"])
        traffic = Traffic()
        asynchronous = deployment.config.get("AsyncInferenceConfig")
        queue = AsyncQueue(self._platform, name, traffic, asynchronous) if asynchronous else None
        started = now()
        record = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": deployment.config["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": started,
            "LastModifiedTime": started,
            "AsyncInferenceConfig": asynchronous,
            "LastDeploymentConfig": request.get("DeploymentConfig"),
            "PendingDeploymentSummary": _pending(deployment),
            "_serving": Serving(traffic, queue),
        }
        self._records.add(
            name, record, ValidationException(f'Cannot create already existing endpoint "{arn}".')
        )
        self._in_background(name, lambda: self._deploy(name, traffic, deployment), "Failed")
        return {"EndpointArn": arn}

    def describe(self, request: Document) -> Document:
        """Return an endpoint by name."""
        return self._get(request["EndpointName"])

    def list(self, request: Document) -> Document:
        """Return one page of endpoints."""
        return list_page("ListEndpoints", iter(self._records), request, "Endpoint")

    def update(self, request: Document) -> Document:
        """Start the deployment of another configuration in the background."""
        _refuse_members(request)
        before = self._get(request["EndpointName"])
        name, arn = before["EndpointName"], before["EndpointArn"]
        deployment = self._new_deployment(name, request["EndpointConfigName"])
        with self._records.lock:
            record = self._get(name)
            self._check_settled(record)
            if record["EndpointStatus"] == "Failed":
                raise ValidationException(
                    f'Cannot update endpoint "{arn}": its creation failed, and it can only be deleted'
                )
            _check_update(record, deployment.config)
            members: Document = {
                "EndpointStatus": "Updating",
                "FailureReason": None,
                "PendingDeploymentSummary": _pending(deployment),
            }
            if not request.get("RetainDeploymentConfig"):
                members["LastDeploymentConfig"] = request.get("DeploymentConfig")
            self._records.update(name, **members)
        self._in_background(
            name, lambda: self._deploy(name, record["_serving"].traffic, deployment), "InService"
        )
        return {"EndpointArn": arn}

    def delete(self, request: Document) -> Document:
        """Start to delete an endpoint; its name becomes free after the last response."""
        name = request["EndpointName"]
        with self._records.lock:
            record = self._get(name)
            self._check_settled(record)
            self._records.update(name, EndpointStatus="Deleting")
        serving: Serving = record["_serving"]
        if serving.queue is not None:
            serving.queue.stop()
        self._in_background(name, lambda: self._take_down(name, serving.traffic), "Failed")
        return {}

    def close(self) -> None:
        """Stop all servers within CLOSING_SECONDS, without waiting for requests in progress."""
        with self._records.lock:
            self._closed = True
            deployments = list(self._deployments)
        for record in self._records:
            if record["_serving"].queue is not None:
                record["_serving"].queue.stop()
        stops = (partial(deployment.stop, CLOSING_GRACE_SECONDS) for deployment in deployments)
        run_parallel(stops, CLOSING_SECONDS)

    def _get(self, name: str) -> Document:
        missing = f'Could not find endpoint "{self._platform.arn("endpoint", name)}".'
        return self._records.get(name, ValidationException(missing))

    def _check_settled(self, record: Document) -> None:
        if record["EndpointStatus"] not in ("InService", "Failed"):
            raise ValidationException(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')

    def _new_deployment(self, endpoint: str, config_name: str) -> Deployment:
        config = self._configs.get(config_name)
        models = [self._models.get(variant["ModelName"]) for variant in config["ProductionVariants"]]
        return Deployment(self._platform, endpoint, config, models)

    def _deploy(self, name: str, traffic: Traffic, deployment: Deployment) -> None:
        with self._records.lock:
            if self._closed:
                raise HostingError("The server is shutting down")
            self._deployments.add(deployment)
        try:
            deployment.start()
        except BaseException:
            self._forget(deployment)
            raise
        before = traffic.switch(deployment)
        asynchronous = deployment.config.get("AsyncInferenceConfig")
        queue = self._get(name)["_serving"].queue
        if queue is not None and asynchronous is not None:
            queue.configure(asynchronous)
        self._records.update(
            name,
            EndpointStatus="InService",
            EndpointConfigName=deployment.config["EndpointConfigName"],
            ProductionVariants=deployment.summaries(),
            AsyncInferenceConfig=asynchronous,
            PendingDeploymentSummary=None,
            FailureReason=None,
        )
        self._retire(before, ASYNC_DRAIN_SECONDS if queue else DRAIN_SECONDS)

    def _take_down(self, name: str, traffic: Traffic) -> None:
        self._retire(traffic.switch(None), DRAIN_SECONDS)
        self._records.remove(name, ValidationException(f"Could not find endpoint {name}"))

    def _retire(self, deployment: Deployment | None, drain_seconds: float) -> None:
        if deployment is None:
            return
        deployment.drain(drain_seconds)
        deployment.stop()
        self._forget(deployment)

    def _forget(self, deployment: Deployment) -> None:
        with self._records.lock:
            self._deployments.discard(deployment)

    def _in_background(self, name: str, work: Callable[[], None], status_if_failed: str) -> None:
        def run() -> None:
            try:
                work()
            except HostingError as error:
                reason = str(error)
            except Exception as error:
                logger.exception("Endpoint %s", name)
                reason = f"An internal error occurred, see the log of localaws: {error}"
            else:
                return
            self._records.update(
                name,
                EndpointStatus=status_if_failed,
                FailureReason=reason[:FAILURE_REASON_CHARACTERS],
                PendingDeploymentSummary=None,
            )

        threading.Thread(target=run, name=f"endpoint {name}", daemon=True).start()


def _pending(deployment: Deployment) -> Document:
    return {
        "EndpointConfigName": deployment.config["EndpointConfigName"],
        "ProductionVariants": deployment.summaries(),
        "StartTime": now(),
    }


def _check_update(record: Document, config: Document) -> None:
    name = record["EndpointName"]
    if config["EndpointConfigName"] == record["EndpointConfigName"]:
        raise ValidationException(
            "Cannot update endpoint with the currently in use endpoint configuration "
            f'"{config["EndpointConfigName"]}".'
        )
    if ("AsyncInferenceConfig" in config) != bool(record.get("AsyncInferenceConfig")):
        verb = "added to" if "AsyncInferenceConfig" in config else "removed from"
        raise ValidationException(
            f"The AsyncInferenceConfig parameter cannot be {verb} this endpoint {name}. To change the type "
            "of the endpoint, delete it and create it again."
        )


def _refuse_members(request: Document) -> None:
    refuse_values(request, f"{ROUTING}.Type", "CANARY", "LINEAR")
    refuse_others(request, (*HANDLED, *WITHOUT_EFFECT))
