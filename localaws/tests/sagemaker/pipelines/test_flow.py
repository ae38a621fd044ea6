"""Control flow of executions: conditions, caching, retries and Fail steps."""

import io
import shutil
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localaws.sagemaker.pipelines.jobs import job_name
from localaws.sagemaker.pipelines.steps import STEP_TYPES
from localaws.testing import Laptop, wait_until
from localaws_tests import IMAGES
from localaws_tests.pipelines import Account

Document = dict[str, Any]

CAPITALS = {"PropertyFileName": "Capitals", "OutputName": "out", "FilePath": "capitals.txt"}
CACHED: dict[str, Any] = {"CacheConfig": {"Enabled": True, "ExpireAfter": "PT1H"}}


@pytest.fixture(scope="module")
def account(laptop: Laptop) -> Account:
    found = Account(laptop)
    found.put("json/metrics.json", b'{"scores": {"f1": [0.25, 0.75]}}')
    return found


def json_get(path: str, step: str = "Measure") -> Document:
    return {"Std:JsonGet": {"PropertyFile": {"Get": f"Steps.{step}.PropertyFiles.Capitals"}, "Path": path}}


def decision(name: str, left: Any, if_steps: list[Document], else_steps: list[Document]) -> Document:
    comparison = {"Type": "GreaterThan", "LeftValue": left, "RightValue": 0.5}
    arguments = {"Conditions": [comparison], "IfSteps": if_steps, "ElseSteps": else_steps}
    return {"Name": name, "Type": "Condition", "Arguments": arguments}


def fail(name: str, *values: Any) -> Document:
    message = {"Std:Join": {"On": " ", "Values": list(values)}}
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}}


def measure(account: Account, **members: Any) -> Document:
    """Return a step whose property file has the metrics in capitals."""
    return account.processing("Measure", "json/", PropertyFiles=[CAPITALS], **members)


@pytest.mark.parametrize(
    ("path", "taken", "skipped"),
    [("SCORES.F1[1]", "High", "Low"), ("$.SCORES['F1'][0]", "Low", "High")],
)
def test_a_condition_runs_one_branch_and_skips_dependents_of_the_other(
    account: Account, path: str, taken: str, skipped: str
) -> None:
    arn = account.start(
        f"branches-{taken}",
        measure(account),
        decision("Good", json_get(path), [account.processing("High")], [account.processing("Low")]),
        account.processing("AfterHigh", DependsOn=["High"]),
        account.processing("AfterLow", DependsOn=["Low"]),
        account.processing("AfterThat", DependsOn=[f"After{skipped}"]),
    )
    account.succeeded(arn)
    steps = account.steps(arn)
    assert set(steps) == {"Measure", "Good", taken, f"After{taken}"}
    assert steps["Good"]["Metadata"] == {"Condition": {"Outcome": str(taken == "High")}}
    assert steps["Good"]["EndTime"] <= steps[taken]["StartTime"]


def test_a_fail_step_fails_the_execution_with_its_message(account: Account) -> None:
    message = ("the score", json_get("SCORES.F1[0]"), "is too low:", {"Get": "Steps.Good.Outcome"})
    arn = account.start(
        "failing-on-purpose",
        measure(account),
        decision("Good", json_get("SCORES.F1[0]"), [], [fail("TooLow", *message)]),
    )
    execution = account.ended(arn)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert execution["FailureReason"] == "Step failure: One or multiple steps failed."
    step = account.steps(arn)["TooLow"]
    assert step["StepStatus"] == "Failed"
    assert step["FailureReason"] == "the score 0.25 is too low: false"
    assert step["Metadata"] == {"Fail": {"ErrorMessage": step["FailureReason"]}}
    listed = account.sagemaker.list_pipeline_executions(PipelineName="failing-on-purpose")
    (summary,) = listed["PipelineExecutionSummaries"]
    assert summary["PipelineExecutionFailureReason"] == execution["FailureReason"]


def test_the_message_of_a_fail_step_can_be_empty(account: Account) -> None:
    arn = account.start("speechless", {"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": ""}})
    assert account.ended(arn)["PipelineExecutionStatus"] == "Failed"
    step = account.steps(arn)["F"]
    assert "FailureReason" not in step
    assert step["Metadata"] == {"Fail": {"ErrorMessage": ""}}


@pytest.mark.parametrize(
    ("source", "path", "message"),
    [
        ("json/", "SCORES.PRECISION", "found no value at 'SCORES.PRECISION' in s3://"),
        ("json/", "SCORES.F1", "found no string, number or boolean at 'SCORES.F1' in s3://"),
        ("in/", "SCORES", "it is not JSON"),
    ],
)
def test_a_missing_value_in_a_property_file_fails_the_step(
    account: Account, source: str, path: str, message: str
) -> None:
    name = f"unfound-{uuid.uuid4().hex[:8]}"
    prepare = account.processing("Measure", source, PropertyFiles=[CAPITALS])
    arn = account.start(name, prepare, decision("Good", json_get(path), [], []))
    assert account.ended(arn)["PipelineExecutionStatus"] == "Failed"
    assert message in account.steps(arn)["Good"]["FailureReason"]


def test_a_missing_property_file_is_named(account: Account) -> None:
    missing = {**CAPITALS, "FilePath": "moon.json"}
    prepare = account.processing("Measure", "json/", PropertyFiles=[missing])
    arn = account.start("fileless", prepare, decision("Good", json_get("A"), [], []))
    assert account.ended(arn)["PipelineExecutionStatus"] == "Failed"
    reason = account.steps(arn)["Good"]["FailureReason"]
    uri = f"s3://{account.bucket}/out/fileless/Measure/moon.json"
    assert f"ClientError: Std:JsonGet cannot read {uri}: An error occurred (NoSuchKey)" in reason


def test_an_earlier_run_is_reused_with_its_properties(account: Account) -> None:
    steps = (
        measure(account, **CACHED),
        decision("Good", json_get("SCORES.F1[1]"), [account.processing("High")], []),
    )
    first = account.start("cached", *steps)
    account.succeeded(first)
    second = account.start_again("cached", "1" * 32)
    account.succeeded(second)
    before, after = account.steps(first), account.steps(second)
    assert "CacheHitResult" not in before["Measure"]
    assert after["Measure"]["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
    assert after["Measure"]["Metadata"] == before["Measure"]["Metadata"]
    assert after["Good"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    assert "CacheHitResult" not in after["High"]

    account.start("cached-elsewhere", *steps)
    elsewhere = account.start_again("cached-elsewhere", "0" * 32)
    account.succeeded(elsewhere)
    assert "CacheHitResult" not in account.steps(elsewhere)["Measure"]


@pytest.fixture
def image() -> Iterator[Path]:
    """Copy the tiny image, so that the test can change it."""
    folder = IMAGES / f"tiny-{uuid.uuid4().hex[:8]}"
    shutil.copytree(IMAGES / "tiny", folder)
    yield folder
    shutil.rmtree(folder)


def test_changed_code_and_changed_attributes_run_again(account: Account, image: Path) -> None:
    step = account.processing("Measure", **CACHED)
    step["Arguments"]["AppSpecification"]["ImageUri"] = f"{image.name}:latest"
    name = f"changing-{image.name}"

    def hit(token: str) -> bool:
        arn = account.start_again(name, token * 32)
        account.succeeded(arn)
        return "CacheHitResult" in account.steps(arn)["Measure"]

    account.succeeded(account.start(name, step))
    assert hit("1")
    with (image / "work").open("a") as code:
        code.write("# changed\n")
    assert not hit("2")
    assert hit("3")

    step["Arguments"]["Environment"] = {"COLOUR": "green"}
    account.update(name, step)
    assert not hit("4")
    step["CacheConfig"] = {"Enabled": True, "ExpireAfter": "PT1S"}
    account.update(name, step)
    time.sleep(1.1)
    assert not hit("5")


def test_a_retry_keeps_successful_steps_and_runs_all_others(account: Account) -> None:
    arn = account.start(
        "retried",
        account.processing("First"),
        account.processing("Second", "later/", DependsOn=["First"]),
        account.processing("Third", DependsOn=["Second"]),
    )
    assert account.ended(arn)["PipelineExecutionStatus"] == "Failed"
    before = account.steps(arn)
    assert set(before) == {"First", "Second"}

    account.put("later/a.txt", b"now")
    retry = account.sagemaker.retry_pipeline_execution
    assert retry(PipelineExecutionArn=arn, ClientRequestToken="r" * 32)["PipelineExecutionArn"] == arn
    account.succeeded(arn)
    assert "FailureReason" not in account.ended(arn)
    after = account.steps(arn)
    assert after["First"] == before["First"]
    assert after["Second"]["Metadata"] != before["Second"]["Metadata"]
    assert [after[name]["AttemptCount"] for name in ("First", "Second", "Third")] == [1, 2, 1]

    retry(PipelineExecutionArn=arn, ClientRequestToken="r" * 32)
    with pytest.raises(
        account.sagemaker.exceptions.ClientError, match="can be retried; this one is Succeeded"
    ):
        retry(PipelineExecutionArn=arn, ClientRequestToken="s" * 32)


def test_a_stopped_execution_can_be_retried_and_a_running_one_cannot(
    account: Account, tmp_path: Path
) -> None:
    can_end = tmp_path / "can-end"
    training = account.training("Train", "Prepare", until=str(can_end))
    arn = account.start("resumed", account.processing("Prepare"), training)
    wait_until(lambda: "TrainingJob" in account.steps(arn).get("Train", {}).get("Metadata", {}))
    retry = account.sagemaker.retry_pipeline_execution
    with pytest.raises(
        account.sagemaker.exceptions.ClientError, match="can be retried; this one is Executing"
    ):
        retry(PipelineExecutionArn=arn)
    account.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert account.ended(arn)["PipelineExecutionStatus"] == "Stopped"
    can_end.touch()
    retry(PipelineExecutionArn=arn)
    account.succeeded(arn)


def test_a_tuning_step_has_its_best_job_as_property(account: Account) -> None:
    training = account.training("Train", "Prepare")["Arguments"]
    del training["HyperParameters"]
    training["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "lines", "Regex": "lines=([0-9]+)"}]
    tuning = {
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "lines"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1},
            "ParameterRanges": {
                "ContinuousParameterRanges": [{"Name": "seconds", "MinValue": "0", "MaxValue": "0.1"}]
            },
        },
        "TrainingJobDefinition": training,
    }
    best = [
        {"Get": f"Steps.Tune.{path}"}
        for path in ("BestTrainingJob.TrainingJobName", "TrainingJobSummaries[0].TrainingJobName")
    ]
    arn = account.start(
        "tuned",
        account.processing("Prepare"),
        {"Name": "Tune", "Type": "Tuning", "Arguments": tuning},
        fail("Report", *best),
    )
    assert account.ended(arn)["PipelineExecutionStatus"] == "Failed"
    steps = account.steps(arn)
    assert steps["Tune"]["StepStatus"] == "Succeeded", steps["Tune"]
    name = steps["Tune"]["Metadata"]["TuningJob"]["Arn"].rsplit("/", 1)[-1]
    assert name.startswith(f"{arn.rsplit('/', 1)[-1]}-tune-")
    job = account.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    best_name = job["BestTrainingJob"]["TrainingJobName"]
    assert steps["Report"]["FailureReason"] == f"{best_name} {best_name}"


FUNCTION = """
def handler(event, context):
    if event["word"] == "stop":
        raise ValueError("the word stop is not allowed")
    return {"shouted": event["word"].upper(), "length": len(event["word"])}
"""


@pytest.fixture(scope="module")
def function_arn(laptop: Laptop) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", FUNCTION)
    arn: str = laptop.client("lambda").create_function(
        FunctionName=f"shout-{uuid.uuid4().hex[:8]}",
        Runtime="python3.11",
        Role=laptop.role(f"shout-{uuid.uuid4().hex[:8]}", principal="lambda.amazonaws.com"),
        Handler="app.handler",
        Timeout=30,
        Code={"ZipFile": archive.getvalue()},
    )["FunctionArn"]
    return arn


def lambda_step(function_arn: str, word: str, length: str = "Integer") -> Document:
    outputs = [
        {"OutputName": "shouted", "OutputType": "String"},
        {"OutputName": "length", "OutputType": length},
    ]
    members = {"FunctionArn": function_arn, "OutputParameters": outputs}
    return {"Name": "Shout", "Type": "Lambda", "Arguments": {"word": word}} | members


def test_a_lambda_step_has_the_outputs_of_its_function(account: Account, function_arn: str) -> None:
    output = {"Get": "Steps.Shout.OutputParameters['shouted']"}
    long = decision("Long", {"Get": "Steps.Shout.OutputParameters['length']"}, [fail("Report", output)], [])
    arn = account.start("shouting", lambda_step(function_arn, "hello"), long)
    assert account.ended(arn)["PipelineExecutionStatus"] == "Failed"
    steps = account.steps(arn)
    assert steps["Report"]["FailureReason"] == "HELLO"
    parameters = [{"Name": "shouted", "Value": "HELLO"}, {"Name": "length", "Value": "5"}]
    assert steps["Shout"]["Metadata"] == {"Lambda": {"Arn": function_arn, "OutputParameters": parameters}}


@pytest.mark.parametrize(
    ("word", "length", "message"),
    [
        ("stop", "Integer", "the word stop is not allowed"),
        ("go", "String", "must return 'length' of type String, not 2"),
    ],
)
def test_a_lambda_step_fails_with_its_function(
    account: Account, function_arn: str, word: str, length: str, message: str
) -> None:
    name = f"shouting-{word}"
    arn = account.start(name, lambda_step(function_arn, word, length))
    assert account.ended(arn)["PipelineExecutionStatus"] == "Failed"
    assert message in account.steps(arn)["Shout"]["FailureReason"]


@pytest.mark.parametrize("step_type", STEP_TYPES)
def test_a_job_name_respects_the_limit_and_has_the_execution_id(step_type: str) -> None:
    definition = STEP_TYPES[step_type]
    name = job_name(definition, "cmkjoil4kcdj", "A_very_long_name_of_a_step_that_goes_on_" + "x" * 24, None)
    assert len(name) == definition.name_characters
    assert "cmkjoil4kcdj-A-very-" in name
    assert job_name(definition, "cmkjoil4kcdj", "A", "mine").startswith("mine-cmkjoil4kcdj-")


def test_update_validates_the_definition(account: Account) -> None:
    account.start("updated", account.processing("Prepare"))
    wrong = account.processing("Prepare")
    del wrong["Arguments"]["RoleArn"]
    with pytest.raises(account.sagemaker.exceptions.ClientError, match=r"Invalid step 'Prepare'.*'roleArn'"):
        account.update("updated", wrong)


def test_steps_are_listed_newest_first_as_on_aws(account: Account) -> None:
    arn = account.start("listed", account.processing("One"), account.processing("Two", DependsOn=["One"]))
    account.succeeded(arn)

    def names(**order: str) -> list[str]:
        response = account.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn, **order)
        return [step["StepName"] for step in response["PipelineExecutionSteps"]]

    assert names() == ["Two", "One"]
    assert names(SortOrder="Ascending") == ["One", "Two"]


def test_condition_steps_do_not_wait_for_a_poll(account: Account) -> None:
    chain = decision("C0", 0, [], [])
    names = [f"C{i}" for i in range(1, 10)]
    decisions = [decision(name, {"Get": f"Steps.C{i}.Outcome"}, [], []) for i, name in enumerate(names)]
    for one in decisions:
        one["Arguments"]["Conditions"][0] |= {"Type": "Equals", "RightValue": False}
    arn = account.start("quick", chain, *decisions)
    account.succeeded(arn)
    found = account.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn, MaxResults=100)
    times = [(step["StartTime"], step["EndTime"]) for step in found["PipelineExecutionSteps"]]
    assert len(times) == 10
    # With a poll every two seconds, ten steps would take twenty seconds.
    assert (max(end for _, end in times) - min(start for start, _ in times)).total_seconds() < 10
