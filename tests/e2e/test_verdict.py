"""A worse model does not go live because the endpoints were deleted, and a forced run makes them again."""

import json
from typing import Any

import pytest

from localaws.testing import wait_until
from tests.e2e.conftest import Stack, as_csv, sample_rows


def output(execution: dict[str, Any]) -> dict[str, Any]:
    """The output of an execution that succeeded."""
    assert execution["status"] == "SUCCEEDED", execution
    found: dict[str, Any] = json.loads(execution["output"])
    return found


def mislabelled(prefix: str) -> bytes:
    """The training rows of the sample with other ids and the opposite labels."""
    opposite = {"neg": "pos", "pos": "neg"}
    rows = [row for row in sample_rows() if row["split"] == "train"]
    return as_csv(
        [
            row
            | {"id": f"{prefix}/{number}", "text": f"{row['text']} {prefix}", "label": opposite[row["label"]]}
            for number, row in enumerate(rows)
        ]
    )


def remove(stack: Stack, what: str) -> None:
    """Delete what the real-time endpoint serves, its configuration, or both endpoints."""
    sagemaker = stack.client("sagemaker")
    config = stack.serving()[stack.output("RealTimeEndpointName")]
    if what == "model":
        variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
        sagemaker.delete_model(ModelName=variants[0]["ModelName"])
    elif what == "configuration":
        sagemaker.delete_endpoint_config(EndpointConfigName=config)
    else:
        for endpoint in stack.serving():
            sagemaker.delete_endpoint(EndpointName=endpoint)
        wait_until(lambda: not sagemaker.list_endpoints()["Endpoints"])


@pytest.mark.usefixtures("first_model")
@pytest.mark.parametrize("what", ["model", "configuration", "endpoints"])
def test_a_mislabelled_batch_is_compared_with_the_champion_that_is_gone(stack: Stack, what: str) -> None:
    champion = next(
        package["ModelPackageArn"]
        for package in stack.packages()
        if "Deployed" in package.get("CustomerMetadataProperties", {})
    )
    remove(stack, what)
    (execution,) = stack.run_after(lambda: stack.drop(f"wrong-{what}.csv", mislabelled(what)))
    found = output(execution)
    assert found["plan"]["championModelPackageArn"] == champion
    assert found["plan"]["championModelName"] == f"{stack.name}-champion-{champion.rpartition('/')[2]}"
    assert found["outcome"]["status"] == "REJECTED"
    assert all("-champion-" not in name for name in stack.serving())


@pytest.mark.usefixtures("first_model")
def test_a_forced_run_makes_both_endpoints_again(stack: Stack) -> None:
    assert len(stack.serving()) < 2
    found = output(stack.run({"force": True, "maxTuningJobs": 1}))
    assert found["outcome"]["status"] == "REJECTED"
    assert [item["restored"] for item in found["restoration"]] == [True, True]
    assert len(stack.serving()) == 2
    assert stack.ask("a great film")["label"] in ("neg", "pos")


@pytest.mark.usefixtures("first_model")
def test_a_forced_start_that_meets_a_run_runs_after_it(stack: Stack) -> None:
    first = stack.start({"force": True, "maxTuningJobs": 1})
    wait_until(lambda: "PlanRun" in stack.entered(first))
    second = stack.run({"force": True, "maxTuningJobs": 1})
    assert output(second)["request"] == {"startsAfterwards": True}
    last = stack.quiet()[-1]["executionArn"]
    assert last not in (first, second["executionArn"])
    assert output(stack.ended(last))["plan"]["forced"] is True


@pytest.mark.usefixtures("first_model")
def test_a_misspelt_key_fails_with_the_right_one(stack: Stack) -> None:
    execution = stack.run({"froce": True})
    assert execution["status"] == "FAILED"
    assert 'Did you mean "force"?' in execution["cause"]
