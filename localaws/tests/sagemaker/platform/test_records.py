"""Records and pages of List operations: filtered, sorted and paged."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localaws.sagemaker.api.errors import ResourceInUse, ResourceNotFound, ValidationException
from localaws.sagemaker.api.shapes import operation_model
from localaws.sagemaker.platform.records import Records, default_order, list_page

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def jobs() -> Records:
    records = Records()
    for day, name in enumerate(["alpha", "beta", "gamma"]):
        record = {
            "TrainingJobName": name,
            "TrainingJobStatus": "Failed" if name == "beta" else "Completed",
            "CreationTime": START + timedelta(days=day),
            "FailureReason": "not a member of the summary",
        }
        records.add(name, record, ResourceInUse(name))
    return records


def names(jobs: Records, **request: Any) -> list[str]:
    page = list_page("ListTrainingJobs", iter(jobs), request, "TrainingJob")
    return [job["TrainingJobName"] for job in page["TrainingJobSummaries"]]


def test_a_list_is_sorted_and_filtered(jobs: Records) -> None:
    assert names(jobs) == ["alpha", "beta", "gamma"]
    assert names(jobs, SortOrder="Descending") == ["gamma", "beta", "alpha"]
    assert names(jobs, SortBy="Name", SortOrder="Ascending") == ["alpha", "beta", "gamma"]
    assert names(jobs, SortBy="Status", SortOrder="Descending")[0] == "beta"
    assert names(jobs, NameContains="ET") == ["beta"]
    assert names(jobs, StatusEquals="Completed") == ["alpha", "gamma"]
    assert names(jobs, CreationTimeAfter=START) == ["beta", "gamma"]
    assert names(jobs, CreationTimeBefore=START + timedelta(days=1)) == ["alpha"]


@pytest.mark.parametrize(
    "operation",
    [
        "ListEndpoints",
        "ListEndpointConfigs",
        "ListModels",
        "ListModelPackageGroups",
        "ListModelPackages",
        "ListProcessingJobs",
        "ListTrainingJobs",
        "ListTransformJobs",
    ],
)
def test_the_default_order_is_that_of_the_api_reference(operation: str) -> None:
    shape = operation_model(operation).input_shape
    assert shape is not None
    assert f"The default is <code>{default_order(operation)}</code>" in (
        shape.members["SortOrder"].documentation
    )


def test_among_equal_creation_times_the_last_added_is_the_newest() -> None:
    records = Records()
    for name in ("first", "second"):
        records.add(name, {"ModelName": name, "CreationTime": START}, ResourceInUse(name))
    page = list_page("ListModels", iter(records), {}, "Model")
    assert [model["ModelName"] for model in page["Models"]] == ["second", "first"]


def test_a_summary_has_the_model_s_members_only(jobs: Records) -> None:
    page = list_page("ListTrainingJobs", iter(jobs), {}, "TrainingJob")
    assert set(page["TrainingJobSummaries"][0]) == {"TrainingJobName", "TrainingJobStatus", "CreationTime"}


def test_pages_follow_each_other(jobs: Records) -> None:
    first = list_page("ListTrainingJobs", iter(jobs), {"MaxResults": 2}, "TrainingJob")
    assert len(first["TrainingJobSummaries"]) == 2
    assert names(jobs, MaxResults=2, NextToken=first["NextToken"]) == ["gamma"]
    with pytest.raises(ValidationException, match="pagination token"):
        names(jobs, NextToken="%%")


def test_records_are_changed_only_through_update(jobs: Records) -> None:
    missing = ResourceNotFound("beta")
    jobs.get("beta", missing)["TrainingJobStatus"] = "Completed"
    assert jobs.get("BETA", missing)["TrainingJobStatus"] == "Failed"
    jobs.update("beta", TrainingJobStatus="Completed", FailureReason=None)
    assert "FailureReason" not in jobs.get("beta", missing)
    assert jobs.remove("beta", missing)["TrainingJobStatus"] == "Completed"
    assert jobs.update("beta", TrainingJobStatus="Failed") == {}
    with pytest.raises(ResourceNotFound):
        jobs.get("beta", missing)
    with pytest.raises(ResourceInUse):
        jobs.add("alpha", {}, ResourceInUse("alpha"))
