import os
import signal
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from localaws.sagemaker.api.errors import (
    NotSupportedLocally,
    SageMakerError,
    ServiceUnavailable,
    ValidationError,
    ValidationException,
)
from localaws.sagemaker.api.shapes import render_response
from localaws.sagemaker.hosting import deployments, endpoints
from localaws.testing import wait_until
from localaws_tests.serving import ACCOUNT, IMAGE, REGION, Account, HeldRequest, small_account

account = pytest.fixture(small_account)

PREFIX = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
ARN = f"{PREFIX}:endpoint/live"
NO_PING = (
    "The primary container for production variant AllTraffic did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)


class Load:
    """Clients that send requests continuously and record the responses' versions and errors."""

    def __init__(self, account: Account, clients: int = 4, **request: Any) -> None:
        self.versions: list[str] = []
        self.errors: list[Exception] = []
        self._account = account
        self._request = request
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._invoke) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def reached(self, count: int) -> bool:
        return len(self.versions) > count

    def _invoke(self) -> None:
        while not self._enough.is_set():
            try:
                self.versions.append(self._account.invoke("live", **self._request)["version"])
            except SageMakerError as error:
                self.errors.append(error)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_endpoint_is_created_invoked_and_deleted(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    monkeypatch.setattr(account.runtime, "prepare", lambda image: go.wait(30))
    account.deploy("one")
    answer = account.endpoints.create({"EndpointName": "live", "EndpointConfigName": "one"})
    assert answer == {"EndpointArn": ARN}
    creating = account.describe("live")
    assert creating["EndpointStatus"] == "Creating"
    assert creating["PendingDeploymentSummary"]["EndpointConfigName"] == "one"
    with pytest.raises(ValidationError, match=rf"^Endpoint live of account {ACCOUNT} not found\.$"):
        account.invoke("live")

    go.set()
    described = account.settled("live")
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == "one"
    assert "PendingDeploymentSummary" not in described
    variant = described["ProductionVariants"][0]
    assert (variant["VariantName"], variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (
        "AllTraffic",
        2,
        1.0,
    )
    assert variant["DeployedImages"][0]["SpecifiedImage"] == IMAGE
    assert not {member for member in render_response("DescribeEndpoint", described) if member[0] == "_"}
    assert account.endpoints.list({"StatusEquals": "InService"})["Endpoints"][0]["EndpointArn"] == ARN
    assert account.endpoints.list({"StatusEquals": "Failed"})["Endpoints"] == []

    pid = account.invoke("live")["pid"]
    account.endpoints.delete({"EndpointName": "live"})
    wait_until(lambda: not account.endpoints.list({})["Endpoints"])
    assert not alive(pid)
    with pytest.raises(ValidationException) as error:
        account.describe("live")
    assert error.value.message == f'Could not find endpoint "{ARN}".'
    assert "version one starts" in account.log("live")
    assert list((account.platform.workdir / "endpoint").iterdir()) == []


@pytest.mark.parametrize(("member", "value"), [("exit", 1), ("ping", 404)])
def test_a_container_that_is_not_healthy_fails_the_endpoint(
    account: Account, monkeypatch: pytest.MonkeyPatch, member: str, value: int
) -> None:
    monkeypatch.setattr(deployments, "HEALTHY_SECONDS", 1.5)
    account.deploy("bad", **{member: value})
    described = account.create_endpoint("live", "bad")
    assert (described["EndpointStatus"], described["FailureReason"]) == ("Failed", NO_PING)
    assert "the container failed to start serving" in account.log("live")
    with pytest.raises(ValidationError):
        account.invoke("live")
    account.deploy("good")
    with pytest.raises(ValidationException, match="can only be deleted"):
        account.update_endpoint("live", "good")
    account.endpoints.delete({"EndpointName": "live"})
    wait_until(lambda: not account.endpoints.list({})["Endpoints"])


def test_a_missing_image_fails_the_endpoint(account: Account) -> None:
    account.deploy("bad", image="no.such/image:1")
    described = account.create_endpoint("live", "bad")
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith("The image no.such/image:1 cannot be run")


def test_an_update_under_load_drops_no_request(account: Account) -> None:
    for version in ("one", "two", "three"):
        account.deploy(version)
    account.create_endpoint("live", "one")
    first = account.invoke("live")["pid"]
    with Load(account) as load:
        wait_until(partial(load.reached, 20))
        for version in ("two", "three"):
            described = account.update_endpoint("live", version)
            assert described["EndpointConfigName"] == version
            enough = len(load.versions) + 20
            wait_until(partial(load.reached, enough))
    assert load.errors == []
    assert set(load.versions) == {"one", "two", "three"}
    assert account.invoke("live")["version"] == "three"
    wait_until(lambda: not alive(first))


def test_a_slow_request_completes_on_the_old_server_during_an_update(
    account: Account, tmp_path: Path
) -> None:
    account.deploy("one")
    account.deploy("two")
    account.create_endpoint("live", "one")
    held = HeldRequest(account, "live", tmp_path / "go")
    account.update_endpoint("live", "two")
    assert account.invoke("live")["version"] == "two"
    assert held.versions == []
    assert held.release() == ["one"]


def test_a_bad_update_leaves_the_old_configuration_in_service(account: Account) -> None:
    account.deploy("one")
    account.deploy("bad", exit=1)
    account.create_endpoint("live", "one")
    pid = account.invoke("live")["pid"]
    with Load(account, clients=2) as load:
        wait_until(partial(load.reached, 0))
        described = account.update_endpoint("live", "bad")
    assert load.errors == []
    assert set(load.versions) == {"one"}
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == "one"
    assert described["FailureReason"] == NO_PING
    assert "PendingDeploymentSummary" not in described
    assert account.invoke("live")["pid"] == pid
    account.deploy("two")
    healed = account.update_endpoint("live", "two")
    assert "FailureReason" not in healed
    assert account.invoke("live")["version"] == "two"


def test_a_server_that_exits_is_restarted(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "RESTART_SECONDS", 0.2)
    account.deploy("one")
    account.create_endpoint("live", "one")
    for _ in range(2):
        pid = account.invoke("live")["pid"]
        os.kill(pid, signal.SIGKILL)

        def replaced(killed: int = pid) -> bool:
            try:
                return bool(account.invoke("live")["pid"] != killed)
            except SageMakerError:
                return False

        wait_until(replaced)
    assert account.describe("live")["EndpointStatus"] == "InService"
    wait_until(lambda: account.log("live").count("the container exited with code 137") == 2)


def test_a_failed_restart_is_retried_until_the_endpoint_is_deleted(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments, "RESTART_SECONDS", 0.1)
    account.deploy("one")
    account.create_endpoint("live", "one")
    account.put_model_data("one/model.tar.gz", version="one", exit=4)
    os.kill(account.invoke("live")["pid"], signal.SIGKILL)
    wait_until(lambda: len(account.runtime.started) >= 3)
    with pytest.raises(ServiceUnavailable, match="is being restarted"):
        account.invoke("live")
    account.put_model_data("one/model.tar.gz", version="repaired")
    wait_until(lambda: served_version(account) == "repaired")
    account.endpoints.delete({"EndpointName": "live"})
    wait_until(lambda: not account.endpoints.list({})["Endpoints"])
    assert all(container.wait(0) is not None for container in account.runtime.started)


def served_version(account: Account) -> str | None:
    try:
        return str(account.invoke("live")["version"])
    except SageMakerError:
        return None


def test_a_deletion_waits_for_requests_in_progress(account: Account, tmp_path: Path) -> None:
    account.deploy("one")
    account.create_endpoint("live", "one")
    held = HeldRequest(account, "live", tmp_path / "go")
    pid = account.runtime.started[-1].process.pid
    account.endpoints.delete({"EndpointName": "live"})
    assert account.describe("live")["EndpointStatus"] == "Deleting"
    with pytest.raises(ValidationException, match=f'^Cannot update in-progress endpoint "{ARN}".$'):
        account.endpoints.delete({"EndpointName": "live"})
    assert held.release() == ["one"]
    wait_until(lambda: not alive(pid))


def test_variants_share_the_requests_by_their_weights(account: Account) -> None:
    account.create_model("one")
    account.create_model("two")
    account.create_config("both", "one", "two")
    account.create_endpoint("live", "both")
    assert {account.invoke("live")["version"] for _ in range(40)} == {"one", "two"}
    target = {"x-amzn-sagemaker-target-variant": "Variant1"}
    assert {account.invoke("live", target)["version"] for _ in range(10)} == {"two"}
    with pytest.raises(ValidationError, match="Variant nothing not found"):
        account.invoke("live", {"x-amzn-sagemaker-target-variant": "nothing"})


def test_error_messages_match_aws(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(account.runtime, "prepare", lambda image: go.wait(30))
    account.deploy("one")
    account.deploy("two")
    request = {"EndpointName": "live", "EndpointConfigName": "one"}

    def message(operation: Any, request: Any) -> str:
        with pytest.raises(ValidationException) as error:
            operation(request)
        return error.value.message

    missing = {"EndpointName": "live", "EndpointConfigName": "nothing"}
    no_config = f'Could not find endpoint configuration "{PREFIX}:endpoint-config/nothing".'
    no_endpoint = f'Could not find endpoint "{ARN}".'
    in_progress = f'Cannot update in-progress endpoint "{ARN}".'
    assert message(account.endpoints.create, missing) == no_config
    assert message(account.endpoints.update, request) == no_endpoint
    assert message(account.endpoints.delete, request) == no_endpoint
    account.endpoints.create(request)
    assert message(account.endpoints.update, {**request, "EndpointConfigName": "two"}) == in_progress
    assert message(account.endpoints.delete, request) == in_progress
    assert message(account.endpoints.create, request) == f'Cannot create already existing endpoint "{ARN}".'
    go.set()
    account.settled("live")
    assert message(account.endpoints.update, missing) == no_config
    assert message(account.endpoints.update, request) == (
        'Cannot update endpoint with the currently in use endpoint configuration "one".'
    )
    account.models.delete({"ModelName": "two"})
    assert message(account.endpoints.update, {**request, "EndpointConfigName": "two"}) == (
        f'Could not find model "{PREFIX}:model/two".'
    )
    asynchronous = {"OutputConfig": {"S3OutputPath": "s3://models/out"}}
    account.create_config("queue", "one", AsyncInferenceConfig=asynchronous)
    assert message(account.endpoints.update, {**request, "EndpointConfigName": "queue"}).startswith(
        "The AsyncInferenceConfig parameter cannot be added to this endpoint live."
    )
    assert account.describe("live")["EndpointStatus"] == "InService"


def test_only_one_of_many_concurrent_updates_is_accepted(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.deploy("one")
    account.create_endpoint("live", "one")
    go = threading.Event()
    monkeypatch.setattr(account.runtime, "prepare", lambda image: go.wait(30))
    for index in range(8):
        account.create_config(f"next-{index}", "one")
    accepted: list[int] = []

    def update(index: int) -> None:
        try:
            account.endpoints.update({"EndpointName": "live", "EndpointConfigName": f"next-{index}"})
        except ValidationException:
            return
        accepted.append(index)

    threads = [threading.Thread(target=update, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    go.set()
    assert len(accepted) == 1
    assert account.settled("live")["EndpointConfigName"] == f"next-{accepted[0]}"


def test_an_update_under_another_case_of_the_name_writes_to_the_same_log(account: Account) -> None:
    account.deploy("one")
    account.deploy("two")
    account.create_endpoint("live", "one")
    account.update_endpoint("LIVE", "TWO")
    assert account.invoke("Live")["version"] == "two"
    assert account.describe("live")["EndpointConfigName"] == "two"
    wait_until(lambda: "version two starts" in account.log("live"))


def test_close_does_not_wait_for_a_server_that_hangs(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "CLOSING_SECONDS", 0.5)
    monkeypatch.setattr(endpoints, "CLOSING_GRACE_SECONDS", 60)
    account.deploy("one")
    for name in ("live", "other"):
        account.create_endpoint(name, "one")
    for container in account.runtime.started:
        os.kill(container.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    account.endpoints.close()
    assert time.monotonic() - began < 30


def test_a_deployed_endpoint_outlives_its_model_and_configuration(account: Account) -> None:
    account.deploy("one")
    account.create_endpoint("live", "one")
    account.configs.delete({"EndpointConfigName": "one"})
    account.models.delete({"ModelName": "one"})
    assert account.invoke("live")["version"] == "one"


def test_close_stops_every_process(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.deploy("one")
    account.deploy("unhealthy", ping=500)
    account.create_endpoint("live", "one")
    account.endpoints.create({"EndpointName": "starting", "EndpointConfigName": "unhealthy"})
    wait_until(lambda: len(account.runtime.started) == 2)
    account.endpoints.close()
    assert all(container.wait(5) is not None for container in account.runtime.started)
    assert account.settled("starting")["EndpointStatus"] == "Failed"
    assert len(account.runtime.started) == 2
    late = account.update_endpoint("live", "unhealthy")
    assert "shutting down" in late["FailureReason"]


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"RetainAllVariantProperties": True}, "The member RetainAllVariantProperties"),
        (
            {"ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}]},
            "The member ExcludeRetainedVariantProperties",
        ),
        (
            {"DeploymentConfig": {"RollingUpdatePolicy": {"MaximumBatchSize": {}}}},
            "The member DeploymentConfig.RollingUpdatePolicy",
        ),
        (
            {
                "DeploymentConfig": {
                    "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "CANARY"}}
                }
            },
            f"The value CANARY of {endpoints.ROUTING}.Type",
        ),
    ],
)
def test_unsupported_members_are_rejected(account: Account, members: Any, what: str) -> None:
    with pytest.raises(NotSupportedLocally, match=f"^{what} is not supported locally$"):
        account.endpoints.update({"EndpointName": "live", "EndpointConfigName": "one", **members})


@pytest.mark.parametrize(
    ("members", "variant", "what"),
    [
        ({"DataCaptureConfig": {"EnableCapture": True}}, {}, "DataCaptureConfig"),
        ({"ShadowProductionVariants": [{"VariantName": "S"}]}, {}, "ShadowProductionVariants"),
        ({}, {"ServerlessConfig": {"MemorySizeInMB": 1024}}, "ServerlessConfig"),
        ({}, {"ManagedInstanceScaling": {"Status": "ENABLED"}}, "ManagedInstanceScaling"),
        ({"AsyncInferenceConfig": {"OutputConfig": {}}}, {}, "without an S3OutputPath"),
        (
            {
                "AsyncInferenceConfig": {
                    "OutputConfig": {"NotificationConfig": {"IncludeInferenceResponseIn": ["ERROR_TOPIC"]}}
                }
            },
            {},
            "IncludeInferenceResponseIn",
        ),
    ],
)
def test_unsupported_configurations_are_rejected(
    account: Account, members: Any, variant: Any, what: str
) -> None:
    account.create_model("one")
    complete = {
        "VariantName": "V",
        "ModelName": "one",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    request = {"EndpointConfigName": "c", "ProductionVariants": [{**complete, **variant}], **members}
    with pytest.raises(NotSupportedLocally, match=f"{what}.* is not supported locally"):
        account.configs.create(request)


def test_a_configuration_is_created_described_listed_and_deleted(account: Account) -> None:
    arn = f"{PREFIX}:endpoint-config/one"
    with pytest.raises(ValidationException, match=f'^Could not find model "{PREFIX}:model/one".$'):
        account.create_config("one", "one")
    account.deploy("one")
    described = account.configs.describe({"EndpointConfigName": "one"})
    assert described["ProductionVariants"][0]["InitialVariantWeight"] == 1.0
    assert account.configs.list({})["EndpointConfigs"][0]["EndpointConfigArn"] == arn
    with pytest.raises(ValidationException, match=f'already existing endpoint configuration "{arn}"'):
        account.create_config("one", "one")
    account.configs.delete({"EndpointConfigName": "one"})
    with pytest.raises(ValidationException, match=f'^Could not find endpoint configuration "{arn}".$'):
        account.configs.describe({"EndpointConfigName": "one"})


def test_draining_has_a_time_limit(account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(endpoints, "DRAIN_SECONDS", 0.2)
    account.deploy("one")
    account.deploy("two")
    account.create_endpoint("live", "one")
    failures: list[SageMakerError] = []

    def invoke() -> None:
        try:
            account.invoke("live", file=str(tmp_path / "never"))
        except SageMakerError as error:
            failures.append(error)

    slow = threading.Thread(target=invoke)
    slow.start()
    wait_until((tmp_path / "never.awaited").exists)
    account.update_endpoint("live", "two")
    slow.join(300)
    assert [type(failure).__name__ for failure in failures] == ["ModelError"]
