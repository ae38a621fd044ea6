import json
from pathlib import Path

import pytest

from tests.unit.containers.toolkit.toolkit_server import Obedient
from toolkit.application import Application
from toolkit.errors import ServerError
from toolkit.metrics import Metrics
from toolkit.settings import Settings, from_environment


def test_defaults_are_sagemakers() -> None:
    settings = from_environment({})
    assert settings == Settings(Path("/opt/ml/model"))
    assert (settings.port, settings.body_bytes) == (8080, 25 << 20)


def test_each_variable_sets_something() -> None:
    settings = from_environment(
        {
            "SAGEMAKER_BASE_DIR": "/some",
            "SAGEMAKER_BIND_TO_HOST": "::1",
            "SAGEMAKER_BIND_TO_PORT": "80",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
            "SAGEMAKER_MODEL_SERVER_WORKERS": "3",
            "SERVE_REQUESTS": "9",
            "SERVE_REQUEST_SECONDS": "7",
            "SERVE_ACCESS_LOG": "off",
        }
    )
    assert settings == Settings(
        Path("/some/model"), "::1", 80, 3, 6 << 20, 9, request_seconds=7, access_log=False
    )


def test_a_batch_transform_without_a_limit_has_one_of_the_containers() -> None:
    settings = from_environment({"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"})
    assert (settings.body_bytes, settings.request_seconds) == (1 << 30, 600)


@pytest.mark.parametrize(("concurrent", "workers", "held"), [("9", "2", 9), ("1", "6", 6), ("", "2", 4)])
def test_in_a_batch_transform_each_worker_can_hold_all_that_is_sent(
    concurrent: str, workers: str, held: int
) -> None:
    environment = {
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": concurrent,
        "SAGEMAKER_MODEL_SERVER_WORKERS": workers,
    }
    assert from_environment({"SAGEMAKER_BATCH": "true", **environment}).held_bodies == held
    assert from_environment(environment).held_bodies == Settings.held_bodies


def test_concurrent_transforms_stay_within_sagemakers_limit(tmp_path: Path) -> None:
    def parameters_of(workers: int, megabytes: int = 25, held: int = 40) -> tuple[int, int]:
        settings = Settings(tmp_path, workers=workers, body_bytes=megabytes << 20, held_bodies=held)
        application = Application(Obedient(), Metrics(), settings)
        parameters = json.loads(application.execution_parameters().body)
        return parameters["MaxConcurrentTransforms"], parameters["MaxPayloadInMB"]

    assert parameters_of(3) == (3, 6)
    assert parameters_of(40) == (16, 6)
    assert parameters_of(40, 2) == (40, 2)
    assert parameters_of(8, held=4) == (4, 6)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "http", "a whole number from 0"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "-1", "a whole number from 1"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6.5", "a whole number from 0"),
        ("SERVE_REQUESTS", "0", "a whole number from 1"),
        ("SERVE_REQUEST_SECONDS", "0", "a whole number from 1"),
        ("SERVE_ACCESS_LOG", "no", "on or off"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str, wanted: str) -> None:
    with pytest.raises(ServerError, match=f"{name} must be {wanted}, not '{value}'"):
        from_environment({name: value})
