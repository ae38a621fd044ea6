"""Cache keys and the maximum age of reused runs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.pipelines import caching
from localaws.sagemaker.pipelines.steps import STEP_TYPES

TRAINING = {"AlgorithmSpecification": {"TrainingImage": "tiny"}, "HyperParameters": {"a": "1"}}
TUNING = {
    "HyperParameterTuningJobConfig": {"Strategy": "Random"},
    "TrainingJobDefinition": {"StaticHyperParameters": {"a": "1"}, "OutputDataConfig": {"S3OutputPath": "x"}},
}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", timedelta(days=30)),
        ("5y", timedelta(days=5 * 365)),
        ("T16m", timedelta(minutes=16)),
        ("30dT5h", timedelta(days=30, hours=5)),
        ("P4DT12H", timedelta(days=4, hours=12)),
        ("PT1H30M5S", timedelta(hours=1, minutes=30, seconds=5)),
        ("P2W", timedelta(weeks=2)),
        ("p1m", timedelta(days=30)),
        ("P999999999999Y", timedelta.max),
    ],
)
def test_a_duration_is_iso_8601_or_a_short_form_of_aws(text: str, expected: timedelta) -> None:
    assert caching.duration(text) == expected


@pytest.mark.parametrize("text", ["", "P", "T", "30", "d30", "30 days", "-1d", "1.5h"])
def test_an_invalid_duration_is_rejected(text: str) -> None:
    with pytest.raises(ValidationException, match="is not an ISO 8601 duration"):
        caching.duration(text)


def test_only_a_step_with_caching_enabled_is_reused() -> None:
    assert caching.expiry({}) is None
    assert caching.expiry({"CacheConfig": {"Enabled": False, "ExpireAfter": "1d"}}) is None
    assert caching.expiry({"CacheConfig": {"Enabled": True, "ExpireAfter": "1d"}}) == timedelta(days=1)
    with pytest.raises(ValidationException, match="Enabled true requires ExpireAfter"):
        caching.expiry({"CacheConfig": {"Enabled": True}})


def changed(arguments: dict[str, Any], path: str) -> dict[str, Any]:
    name, _, rest = path.partition(".")
    return arguments | {name: changed(arguments.get(name, {}), rest) if rest else "changed"}


@pytest.mark.parametrize(
    ("step_type", "path"),
    [(name, path) for name, step_type in STEP_TYPES.items() for path in step_type.cache_attributes],
)
def test_each_documented_attribute_changes_the_key(step_type: str, path: str) -> None:
    before: dict[str, Any] = TUNING if step_type == "Tuning" else TRAINING
    assert caching.key(step_type, changed(before, path), {}) != caching.key(step_type, before, {})


@pytest.mark.parametrize(
    ("step_type", "path"),
    [
        ("Processing", "ProcessingOutputConfig"),
        ("Processing", "ProcessingResources"),
        ("Training", "OutputDataConfig"),
        ("Training", "ResourceConfig"),
        ("Tuning", "TrainingJobDefinition.OutputDataConfig"),
        ("Transform", "TransformOutput"),
    ],
)
def test_other_attributes_do_not_change_the_key(step_type: str, path: str) -> None:
    before: dict[str, Any] = TUNING if step_type == "Tuning" else TRAINING
    assert caching.key(step_type, changed(before, path), {}) == caching.key(step_type, before, {})


def test_changed_code_in_an_image_changes_the_key() -> None:
    assert caching.key("Training", TRAINING, {"tiny": "1"}) != caching.key(
        "Training", TRAINING, {"tiny": "2"}
    )


def test_the_latest_run_within_the_limit_is_found_per_pipeline() -> None:
    cache = caching.StepCache()
    for minutes in (10, 5):
        ended = NOON - timedelta(minutes=minutes)
        cache.remember("arn", "A", "key", caching.Run(f"execution {minutes}", ended, {}, {}))
    limit = timedelta(minutes=5)
    found = cache.find("arn", "A", "key", NOON, limit)
    assert found is not None
    assert found.execution_arn == "execution 5"
    assert cache.find("arn", "A", "key", NOON + timedelta(seconds=1), limit) is None
    for other_key in (("other", "A", "key"), ("arn", "B", "key"), ("arn", "A", "other")):
        assert cache.find(*other_key, NOON, limit) is None
    cache.forget("arn")
    assert cache.find("arn", "A", "key", NOON, limit) is None
