"""Tuning jobs with real training jobs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localaws.sagemaker.api.authorization import required_permissions
from localaws.sagemaker.api.errors import (
    NotSupportedLocally,
    ResourceInUse,
    ResourceNotFound,
    ServiceUnavailable,
    ValidationException,
)
from localaws.sagemaker.api.shapes import Document, operation_model, parse_request, render_response
from localaws.sagemaker.jobs.training import TrainingJobs
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.tags import Tags
from localaws.sagemaker.tuning.api import HANDLED, TuningJobs
from localaws.sagemaker.tuning.definition import CONFIG, DEFINITION
from localaws.testing import wait_until
from localaws_tests.jobs import IMAGE, Bucket, end_of, ended
from localaws_tests.membership import check_members

NAME = "HyperParameterTuningJobName"
STATUS = "HyperParameterTuningJobStatus"
READ = "p = json.loads((base / 'input/config/hyperparameters.json').read_text())\n"
PARABOLA = READ + "x = float(p['x']); print(f'epoch 1: score={9.0 - (x - 2) ** 2};')\n"
CATEGORIES = [{"Name": "x", "Values": ["0", "1", "2", "3"]}]

Request = Callable[..., Document]


@pytest.fixture
def training(platform: Platform) -> Iterator[TrainingJobs]:
    jobs = TrainingJobs(platform)
    yield jobs
    jobs.close()


@pytest.fixture
def tags(platform: Platform) -> Tags:
    return Tags(platform)


@pytest.fixture
def jobs(platform: Platform, training: TrainingJobs, tags: Tags) -> Iterator[TuningJobs]:
    jobs = TuningJobs(platform, training, tags)
    yield jobs
    jobs.close()


@pytest.fixture
def request_of(bucket: Bucket, role_arn: str, job_name: str) -> Request:
    def make(code: str = PARABOLA, name: str = job_name, **changes: Any) -> Document:
        config = {
            "Strategy": "Grid",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": {"MaxParallelTrainingJobs": 4},
            "ParameterRanges": {"CategoricalParameterRanges": CATEGORIES},
        }
        definition = {
            "StaticHyperParameters": {"fixed": "yes"},
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "score", "Regex": "score=([-0-9.e]+);"}],
            },
            "RoleArn": role_arn,
            "OutputDataConfig": {"S3OutputPath": bucket.uri("models")},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            "Environment": {"CODE": code},
        }
        top = {member: changes.pop(member) for member in ("Tags", "WarmStartConfig") if member in changes}
        config_shape = operation_model("CreateHyperParameterTuningJob").input_shape
        assert config_shape is not None
        known = config_shape.members[CONFIG].members  # type: ignore[attr-defined]
        config |= {member: value for member, value in changes.items() if member in known}
        definition |= {member: value for member, value in changes.items() if member not in known}
        wire: Document = {NAME: name, CONFIG: config, DEFINITION: definition}
        return parse_request("CreateHyperParameterTuningJob", wire | top)

    return make


def limits(jobs: int, parallel: int, **more: int) -> Document:
    return {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel, **more}


def continuous(low: str = "-10", high: str = "10", **members: str) -> Document:
    return {"ContinuousParameterRanges": [{"Name": "x", "MinValue": low, "MaxValue": high, **members}]}


def listed(jobs: TuningJobs, name: str, **members: Any) -> list[Document]:
    wire = {NAME: name, "MaxResults": 100, **members}
    request = parse_request("ListTrainingJobsForHyperParameterTuningJob", wire)
    response = jobs.list_training_jobs(request)
    render_response("ListTrainingJobsForHyperParameterTuningJob", response)
    found: list[Document] = response["TrainingJobSummaries"]
    return found


def values(summaries: list[Document]) -> list[float]:
    return [item["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for item in summaries]


def tried(jobs: TuningJobs, name: str) -> list[str]:
    return [item["TunedHyperParameters"]["x"] for item in listed(jobs, name)]


def test_grid_search_finds_the_best_combination(
    jobs: TuningJobs, training: TrainingJobs, request_of: Request, job_name: str
) -> None:
    record = ended(jobs, request_of(DefinitionName="only"))
    assert record.get("FailureReason") is None
    assert record[STATUS] == "Completed"
    assert record["TrainingJobStatusCounters"] == {
        "Completed": 4, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 0,
    }  # fmt: skip
    assert record["ObjectiveStatusCounters"] == {"Succeeded": 4, "Pending": 0, "Failed": 0}
    best = record["BestTrainingJob"]
    assert best["TunedHyperParameters"] == {"x": "2"}
    assert best["FinalHyperParameterTuningJobObjectiveMetric"] == {
        "Type": "Maximize", "MetricName": "score", "Value": 9.0,
    }  # fmt: skip
    assert (best["ObjectiveStatus"], best["TrainingJobDefinitionName"]) == ("Succeeded", "only")
    assert record["CreationTime"] < best["CreationTime"] < record["HyperParameterTuningEndTime"]
    assert record["ConsumedResources"]["RuntimeInSeconds"] >= 1
    assert tried(jobs, job_name) == ["0", "1", "2", "3"]

    trained = training.describe({"TrainingJobName": best["TrainingJobName"]})
    assert trained["TuningJobArn"] == record["HyperParameterTuningJobArn"]
    assert trained["HyperParameters"] == {
        "fixed": "yes", "x": "2", "_tuning_objective_metric": "score",
    }  # fmt: skip
    number, suffix = best["TrainingJobName"].removeprefix(f"{job_name}-").split("-")
    assert (number, len(bytes.fromhex(suffix))) == ("003", 4)
    assert "TuningJobArn" in render_response("DescribeTrainingJob", trained)


def test_minimize_uses_the_last_value_of_each_job(jobs: TuningJobs, request_of: Request) -> None:
    objective = {"Type": "Minimize", "MetricName": "score"}
    code = READ + "print(f'score=-5; score={p[\"x\"]};')"
    record = ended(jobs, request_of(code, HyperParameterTuningJobObjective=objective))
    assert record["BestTrainingJob"]["TunedHyperParameters"] == {"x": "0"}
    assert record["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0


@pytest.mark.parametrize("parallel", [1, 3])
def test_training_jobs_run_in_parallel_up_to_the_limit(
    jobs: TuningJobs, request_of: Request, job_name: str, tmp_path: Path, parallel: int
) -> None:
    code = PARABOLA + (
        f"here = Path('{tmp_path}'); (here / p['x']).touch()\n"
        f"while len(list(here.iterdir())) < {parallel}: time.sleep(0.01)"
    )
    ended(jobs, request_of(code, ResourceLimits={"MaxParallelTrainingJobs": parallel}))
    spans = [(item["TrainingStartTime"], item["TrainingEndTime"]) for item in listed(jobs, job_name)]
    run_parallel = [sum(start <= moment < end for start, end in spans) for moment, _ in spans]
    assert max(run_parallel) == parallel


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_a_seed_reproduces_the_search(
    jobs: TuningJobs, request_of: Request, job_name: str, strategy: str
) -> None:
    found = []
    for index, seed in enumerate((7, 7, 8)):
        name = f"{job_name}-{index}"
        changes = {"Strategy": strategy, "RandomSeed": seed, "ParameterRanges": continuous()}
        record = ended(jobs, request_of(name=name, ResourceLimits=limits(5, 1), **changes))
        assert record[STATUS] == "Completed"
        found.append(tried(jobs, name))
    assert found[0] == found[1] != found[2]
    assert len(set(found[0])) == 5
    assert all(-10 <= float(value) <= 10 for value in found[0])


RISING = READ + (
    "x = float(p['x'])\n"
    "for epoch in range(1, 7):\n"
    "    print(f'score={x * epoch};'); time.sleep(PAUSE if x == 1 and epoch > 1 else 0)\n"
    "(base / 'model/x').write_text('x')\n"
)


def test_a_job_below_the_median_is_stopped_early(
    jobs: TuningJobs, request_of: Request, job_name: str
) -> None:
    # Every job is better than those before it, except for the last one, which must be stopped at any poll.
    ranges = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["2", "3", "1"]}]}
    changes = {"ParameterRanges": ranges, "TrainingJobEarlyStoppingType": "Auto"}
    code = RISING.replace("PAUSE", "60")
    record = ended(jobs, request_of(code, ResourceLimits={"MaxParallelTrainingJobs": 1}, **changes))
    assert record[STATUS] == "Completed"
    statuses = [item["TrainingJobStatus"] for item in listed(jobs, job_name)]
    assert statuses == ["Completed", "Completed", "Stopped"]
    assert record["TrainingJobStatusCounters"]["Stopped"] == 1
    assert record["ObjectiveStatusCounters"]["Succeeded"] == 3
    assert values(listed(jobs, job_name))[2] == 2
    assert record["BestTrainingJob"]["TunedHyperParameters"] == {"x": "3"}


def test_no_job_is_stopped_early_by_default(jobs: TuningJobs, request_of: Request, job_name: str) -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["2", "1"]}]}
    ended(jobs, request_of(RISING.replace("PAUSE", "0.2"), ParameterRanges=ranges))
    assert [item["TrainingJobStatus"] for item in listed(jobs, job_name)] == ["Completed", "Completed"]


def test_a_stop_stops_all_training_jobs(
    jobs: TuningJobs, training: TrainingJobs, request_of: Request
) -> None:
    request = request_of(PARABOLA + "time.sleep(600)", ResourceLimits={"MaxParallelTrainingJobs": 2})
    name = request[NAME]
    jobs.create(request)
    wait_until(lambda: len(listed(jobs, name)) == 2)
    wait_until(lambda: all("TrainingStartTime" in item for item in listed(jobs, name)))
    assert jobs.describe({NAME: name})["TrainingJobStatusCounters"]["InProgress"] == 2
    with pytest.raises(ResourceInUse):
        jobs.delete({NAME: name})
    with jobs.records.lock:  # keeps the job from ending meanwhile
        jobs.stop({NAME: name})
        assert jobs.describe({NAME: name})[STATUS] == "Stopping"
    record = end_of(jobs, name)
    assert record[STATUS] == "Stopped"
    assert record["TrainingJobStatusCounters"]["Stopped"] == 2
    summaries = listed(jobs, name)
    assert {item["TrainingJobStatus"] for item in summaries} == {"Stopped"}
    assert max(item["TrainingEndTime"] for item in summaries) <= record["HyperParameterTuningEndTime"]
    with pytest.raises(ValidationException, match="is in status Stopped"):
        jobs.stop({NAME: name})
    jobs.delete({NAME: name})
    with pytest.raises(ResourceNotFound):
        jobs.describe({NAME: name})
    trained = training.describe({"TrainingJobName": summaries[0]["TrainingJobName"]})
    assert trained["TrainingJobStatus"] == "Stopped"


def test_no_training_job_is_started_after_a_stop(
    jobs: TuningJobs, training: TrainingJobs, request_of: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(PARABOLA + "time.sleep(600)")
    create = jobs._create_training

    def create_then_stop(training_request: Document) -> Document:
        response = create(training_request)
        jobs.stop({NAME: request[NAME]})
        return response

    monkeypatch.setattr(jobs, "_create_training", create_then_stop)
    jobs.create(request)
    assert end_of(jobs, request[NAME])[STATUS] == "Stopped"
    [trained] = training.list({})["TrainingJobSummaries"]
    assert trained["TrainingJobStatus"] == "Stopped"


def test_a_training_job_stopped_by_a_caller_counts_as_stopped(
    jobs: TuningJobs, training: TrainingJobs, request_of: Request
) -> None:
    request = request_of(PARABOLA + "time.sleep(600 if x == 2 else 0)")
    name = request[NAME]
    jobs.create(request)
    wait_until(lambda: jobs.describe({NAME: name})["TrainingJobStatusCounters"]["Completed"] == 3)
    [left] = listed(jobs, name, StatusEquals="InProgress")
    left_name = {"TrainingJobName": left["TrainingJobName"]}
    wait_until(lambda: training.describe(left_name)["_Metrics"].values("score"))
    training.stop(left_name)
    record = end_of(jobs, name)
    assert record[STATUS] == "Completed"
    assert record["TrainingJobStatusCounters"]["Stopped"] == 1
    # x = 2 has the best objective, but was stopped.
    assert record["BestTrainingJob"]["TunedHyperParameters"] == {"x": "1"}


def test_the_shutdown_of_the_service_stops_a_tuning_job(
    jobs: TuningJobs, request_of: Request, job_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localaws.sagemaker.jobs.job.CLOSING_SECONDS", 60.0)
    jobs.create(request_of(PARABOLA + "time.sleep(600)"))
    wait_until(lambda: len(listed(jobs, job_name)) == 4)
    jobs.close()
    assert jobs.describe({NAME: job_name})[STATUS] == "Stopped"
    with pytest.raises(ServiceUnavailable):
        jobs.create(request_of(name="another"))


def test_a_tuning_job_completes_despite_failed_training_jobs(
    jobs: TuningJobs, request_of: Request, job_name: str
) -> None:
    code = PARABOLA + "sys.exit(3 if x < 2 else 0)"
    record = ended(jobs, request_of(code))
    assert record[STATUS] == "Completed"
    assert record["TrainingJobStatusCounters"]["NonRetryableError"] == 2
    assert record["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 2}
    failed = listed(jobs, job_name, StatusEquals="Failed")
    assert [item["TunedHyperParameters"]["x"] for item in failed] == ["0", "1"]
    assert "exit code: 3" in failed[0]["FailureReason"]
    assert "FinalHyperParameterTuningJobObjectiveMetric" not in failed[0]
    by_value = listed(jobs, job_name, SortBy="FinalObjectiveMetricValue")
    assert [item["TunedHyperParameters"]["x"] for item in by_value] == ["3", "2"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("sys.exit(1)", "No training job succeeded after 5 attempts. Please take a look at the training"),
        (
            "print('nothing to see')",
            "No objective metrics found after running 5 training jobs. Please ensure",
        ),
    ],
)
def test_five_failures_without_a_success_fail_the_tuning_job(
    jobs: TuningJobs, request_of: Request, code: str, reason: str
) -> None:
    changes = {"Strategy": "Random", "ParameterRanges": continuous()}
    record = ended(jobs, request_of(code, ResourceLimits=limits(20, 1), **changes))
    assert record[STATUS] == "Failed"
    assert record["FailureReason"].startswith(reason)
    assert record["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": 5}
    assert "BestTrainingJob" not in record


def test_reaching_the_target_ends_the_search(jobs: TuningJobs, request_of: Request) -> None:
    criteria = {"TargetObjectiveMetricValue": 8.0}
    record = ended(
        jobs,
        request_of(TuningJobCompletionCriteria=criteria, ResourceLimits={"MaxParallelTrainingJobs": 1}),
    )
    assert record[STATUS] == "Completed"
    assert record["ObjectiveStatusCounters"]["Succeeded"] == 2
    assert record["BestTrainingJob"]["TunedHyperParameters"] == {"x": "1"}


def test_max_runtime_ends_the_search(jobs: TuningJobs, request_of: Request, job_name: str) -> None:
    request = request_of(PARABOLA + "time.sleep(600 if x else 0)")
    request[CONFIG]["ResourceLimits"]["MaxRuntimeInSeconds"] = 3600
    jobs.create(request)
    described = {NAME: job_name}
    wait_until(lambda: jobs.describe(described)["TrainingJobStatusCounters"]["Completed"] == 1)
    wait_until(lambda: len(listed(jobs, job_name)) == 4)
    jobs.describe(described)["_Search"]._deadline = 0.0
    record = end_of(jobs, job_name)
    assert record[STATUS] == "Completed"
    statuses = [item["TrainingJobStatus"] for item in listed(jobs, job_name)]
    assert statuses == ["Completed", "Stopped", "Stopped", "Stopped"]
    assert record["BestTrainingJob"]["TunedHyperParameters"] == {"x": "0"}


def test_lists_are_sorted(jobs: TuningJobs, request_of: Request, job_name: str) -> None:
    ended(jobs, request_of(ResourceLimits={"MaxParallelTrainingJobs": 1}))
    names = [item["TrainingJobName"] for item in listed(jobs, job_name)]
    assert names == sorted(names)
    assert len(names) == 4
    assert values(listed(jobs, job_name, SortBy="FinalObjectiveMetricValue")) == [5, 8, 8, 9]
    best_first = listed(jobs, job_name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    assert values(best_first) == [9, 8, 8, 5]
    # Among equal values the first trial comes first, as for BestTrainingJob.
    assert [item["TunedHyperParameters"]["x"] for item in best_first] == ["2", "1", "3", "0"]
    newest = listed(jobs, job_name, SortBy="CreationTime", SortOrder="Descending", MaxResults=1)
    assert [item["TrainingJobName"] for item in newest] == names[-1:]
    assert listed(jobs, job_name, StatusEquals="Failed") == []
    assert len(listed(jobs, job_name, SortBy="Status", StatusEquals="Completed")) == 4

    other = job_name.replace("job", "a-job")
    ended(jobs, request_of(name=other))
    response = jobs.list({})
    render_response("ListHyperParameterTuningJobs", response)
    summaries = response["HyperParameterTuningJobSummaries"]
    assert [item[NAME] for item in summaries] == [other, job_name]
    assert summaries[0]["Strategy"] == "Grid"
    assert summaries[0]["ResourceLimits"] == {"MaxParallelTrainingJobs": 4}
    assert summaries[0]["TrainingJobStatusCounters"]["Completed"] == 4
    filtered = jobs.list({"NameContains": "a-job", "StatusEquals": "Completed"})
    assert len(filtered["HyperParameterTuningJobSummaries"]) == 1


def test_tags_are_copied_to_the_training_jobs(jobs: TuningJobs, tags: Tags, request_of: Request) -> None:
    expected = [{"Key": "team", "Value": "films"}]
    record = ended(jobs, request_of(Tags=expected))
    arn = record["BestTrainingJob"]["TrainingJobArn"]
    assert tags.list({"ResourceArn": arn})["Tags"] == expected


@pytest.mark.parametrize(
    "resources",
    [
        {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30},
        {
            "AllocationStrategy": "Prioritized",
            "InstanceConfigs": [
                {"InstanceCount": 1, "InstanceType": kind, "VolumeSizeInGB": 30}
                for kind in ("ml.m5.large", "ml.c5.xlarge")
            ],
        },
    ],
)
def test_the_first_of_alternative_resources_is_used(
    jobs: TuningJobs, training: TrainingJobs, request_of: Request, resources: Document
) -> None:
    request = request_of(HyperParameterTuningResourceConfig=resources)
    del request[DEFINITION]["ResourceConfig"]
    best = ended(jobs, request)["BestTrainingJob"]
    trained = training.describe({"TrainingJobName": best["TrainingJobName"]})
    assert trained["ResourceConfig"] == {
        "InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30
    }  # fmt: skip


def combination(number: int, **ranges: Any) -> Document:
    return {"Strategy": "Random", "ParameterRanges": ranges, "ResourceLimits": limits(number, 1)}


INTEGER = {"Name": "x", "MinValue": "1", "MaxValue": "3"}
INVALID: dict[str, tuple[Document, str]] = {
    "metric": (
        {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "other"}},
        "A metric is required for this hyperparameter tuning job objective",
    ),
    "static and tuned": ({"StaticHyperParameters": {"x": "1"}}, "cannot be static and tuned: x"),
    "no range": ({"ParameterRanges": {}}, "between 1 and 30 hyperparameters, not 0"),
    "two ranges": (
        combination(2, IntegerParameterRanges=[INTEGER], CategoricalParameterRanges=CATEGORIES),
        "only one range: x, x",
    ),
    "few combinations": (
        combination(4, IntegerParameterRanges=[INTEGER]),
        r"combinations for the provided ranges \[3\] must be equal or greater",
    ),
    "no numbers": (
        combination(2, IntegerParameterRanges=[INTEGER | {"MaxValue": "3.5"}]),
        "limits of the range of x must be integers, not '3.5'",
    ),
    "upside down": ({**combination(2), "ParameterRanges": continuous("2", "1")}, "greater than its MaxValue"),
    "logarithm of nothing": (
        {**combination(2), "ParameterRanges": continuous("0", "1", ScalingType="Logarithmic")},
        "requires a MinValue greater than 0",
    ),
    "reverse of one": (
        {**combination(2), "ParameterRanges": continuous("0", "1", ScalingType="ReverseLogarithmic")},
        "within 0 <= x < 1.0",
    ),
    "a grid of numbers": ({"ParameterRanges": continuous()}, "supports only categorical hyperparameters"),
    "half a grid": ({"ResourceLimits": limits(2, 1)}, "must be 4 or omitted, not 2"),
    "no image": (
        {"AlgorithmSpecification": {
            "TrainingInputMode": "File", "MetricDefinitions": [{"Name": "score", "Regex": "(.)"}]
        }},
        "requires a TrainingImage",
    ),
    "resources twice": (
        {"HyperParameterTuningResourceConfig": {"InstanceCount": 1}},
        "ResourceConfig or HyperParameterTuningResourceConfig, not both",
    ),
    "no role": ({"RoleArn": "arn:aws:iam::000000000000:role/nobody"}, "Could not assume role"),
}  # fmt: skip


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_request_is_rejected(jobs: TuningJobs, request_of: Request, case: str) -> None:
    changes, message = INVALID[case]
    with pytest.raises(ValidationException, match=message):
        jobs.create(request_of(**changes))
    assert jobs.list({})["HyperParameterTuningJobSummaries"] == []


UNSUPPORTED: dict[str, Document] = {
    "Hyperband": {"Strategy": "Hyperband"},
    "CompleteOnConvergence": {
        "TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}
    },
    "MaxNumberOfTrainingJobs": {"Strategy": "Random"},
    "WarmStartConfig": {
        "WarmStartConfig": {
            "ParentHyperParameterTuningJobs": [{NAME: "parent"}], "WarmStartType": "TransferLearning"
        }
    },
}  # fmt: skip


@pytest.mark.parametrize("named", UNSUPPORTED)
def test_an_unsupported_member_is_rejected_by_name(jobs: TuningJobs, request_of: Request, named: str) -> None:
    create = jobs.operations()["CreateHyperParameterTuningJob"]
    with pytest.raises(NotSupportedLocally, match=named):
        create(request_of(**UNSUPPORTED[named]))


@pytest.mark.parametrize("operation", HANDLED)
def test_every_member_is_handled_or_rejected(jobs: TuningJobs, operation: str) -> None:
    operations = jobs.operations()
    assert set(HANDLED) == set(operations)
    check_members(operations[operation], operation, HANDLED[operation])


def test_a_caller_needs_permissions_for_the_tuning_job_and_the_role(
    request_of: Request, role_arn: str
) -> None:
    prefix = "arn:aws:sagemaker:us-east-1:000000000000:"
    needed = required_permissions("CreateHyperParameterTuningJob", request_of(name="Tuned"), prefix)
    assert [(item.action, item.resource) for item in needed] == [
        ("sagemaker:CreateHyperParameterTuningJob", f"{prefix}hyper-parameter-tuning-job/tuned"),
        ("iam:PassRole", role_arn),
    ]
    (listing,) = required_permissions("ListTrainingJobsForHyperParameterTuningJob", {NAME: "Tuned"}, prefix)
    assert listing.resource == f"{prefix}hyper-parameter-tuning-job/tuned"
