"""Tuning jobs, whose training jobs are processes."""

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
from localaws.sagemaker.api.shapes import Document, operation_model, parse_request, render_answer
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
TENS = [{"Name": "x", "Values": ["0", "1", "2", "3"]}]

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
            "ParameterRanges": {"CategoricalParameterRanges": TENS},
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
    answer = jobs.list_training_jobs(request)
    render_answer("ListTrainingJobsForHyperParameterTuningJob", answer)
    found: list[Document] = answer["TrainingJobSummaries"]
    return found


def values(summaries: list[Document]) -> list[float]:
    return [item["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for item in summaries]


def tried(jobs: TuningJobs, name: str) -> list[str]:
    return [item["TunedHyperParameters"]["x"] for item in listed(jobs, name)]


def test_the_best_of_a_grid_is_found(
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
    assert "TuningJobArn" in render_answer("DescribeTrainingJob", trained)


def test_less_can_be_better_and_the_last_value_counts(jobs: TuningJobs, request_of: Request) -> None:
    objective = {"Type": "Minimize", "MetricName": "score"}
    code = READ + "print(f'score=-5; score={p[\"x\"]};')"
    record = ended(jobs, request_of(code, HyperParameterTuningJobObjective=objective))
    assert record["BestTrainingJob"]["TunedHyperParameters"] == {"x": "0"}
    assert record["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0


@pytest.mark.parametrize("parallel", [1, 3])
def test_as_many_run_side_by_side_as_may(
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
def test_a_seed_reproduces(jobs: TuningJobs, request_of: Request, job_name: str, strategy: str) -> None:
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


HOPELESS = READ + (
    "x = float(p['x'])\n"
    "for epoch in range(1, 7):\n"
    "    print(f'score={x * epoch};'); time.sleep(PAUSE if x == 1 and epoch > 1 else 0)\n"
    "(base / 'model/x').write_text('x')\n"
)


def test_a_hopeless_job_is_stopped_early(jobs: TuningJobs, request_of: Request, job_name: str) -> None:
    # Each is ahead of those before it, but for the last: whenever they are looked at, it alone is behind.
    ranges = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["2", "3", "1"]}]}
    changes = {"ParameterRanges": ranges, "TrainingJobEarlyStoppingType": "Auto"}
    code = HOPELESS.replace("PAUSE", "60")
    record = ended(jobs, request_of(code, ResourceLimits={"MaxParallelTrainingJobs": 1}, **changes))
    assert record[STATUS] == "Completed"
    statuses = [item["TrainingJobStatus"] for item in listed(jobs, job_name)]
    assert statuses == ["Completed", "Completed", "Stopped"]
    assert record["TrainingJobStatusCounters"]["Stopped"] == 1
    assert record["ObjectiveStatusCounters"]["Succeeded"] == 3
    assert values(listed(jobs, job_name))[2] == 2
    assert record["BestTrainingJob"]["TunedHyperParameters"] == {"x": "3"}


def test_nobody_is_stopped_early_unasked(jobs: TuningJobs, request_of: Request, job_name: str) -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["2", "1"]}]}
    ended(jobs, request_of(HOPELESS.replace("PAUSE", "0.2"), ParameterRanges=ranges))
    assert [item["TrainingJobStatus"] for item in listed(jobs, job_name)] == ["Completed", "Completed"]


def test_a_stop_ends_everything(jobs: TuningJobs, training: TrainingJobs, request_of: Request) -> None:
    request = request_of(PARABOLA + "time.sleep(600)", ResourceLimits={"MaxParallelTrainingJobs": 2})
    name = request[NAME]
    jobs.create(request)
    wait_until(lambda: len(listed(jobs, name)) == 2)
    wait_until(lambda: all("TrainingStartTime" in item for item in listed(jobs, name)))
    assert jobs.describe({NAME: name})["TrainingJobStatusCounters"]["InProgress"] == 2
    with pytest.raises(ResourceInUse):
        jobs.delete({NAME: name})
    with jobs.records.lock:  # it cannot end before it is looked at
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

    def create_while_a_stop_comes(about: Document) -> Document:
        answer = create(about)
        jobs.stop({NAME: request[NAME]})
        return answer

    monkeypatch.setattr(jobs, "_create_training", create_while_a_stop_comes)
    jobs.create(request)
    assert end_of(jobs, request[NAME])[STATUS] == "Stopped"
    [trained] = training.list({})["TrainingJobSummaries"]
    assert trained["TrainingJobStatus"] == "Stopped"


def test_a_training_job_that_somebody_stops_is_one_of_the_search(
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
    # It was the best so far, but did not complete.
    assert record["BestTrainingJob"]["TunedHyperParameters"] == {"x": "1"}


def test_the_end_of_the_service_is_the_end_of_a_tuning_job(
    jobs: TuningJobs, request_of: Request, job_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localaws.sagemaker.jobs.job.CLOSING_SECONDS", 60.0)
    jobs.create(request_of(PARABOLA + "time.sleep(600)"))
    wait_until(lambda: len(listed(jobs, job_name)) == 4)
    jobs.close()
    assert jobs.describe({NAME: job_name})[STATUS] == "Stopped"
    with pytest.raises(ServiceUnavailable):
        jobs.create(request_of(name="another"))


def test_some_failures_do_not_matter(jobs: TuningJobs, request_of: Request, job_name: str) -> None:
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
def test_five_failures_without_a_success_are_enough(
    jobs: TuningJobs, request_of: Request, code: str, reason: str
) -> None:
    changes = {"Strategy": "Random", "ParameterRanges": continuous()}
    record = ended(jobs, request_of(code, ResourceLimits=limits(20, 1), **changes))
    assert record[STATUS] == "Failed"
    assert record["FailureReason"].startswith(reason)
    assert record["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": 5}
    assert "BestTrainingJob" not in record


def test_a_target_that_is_reached_ends_the_search(jobs: TuningJobs, request_of: Request) -> None:
    criteria = {"TargetObjectiveMetricValue": 8.0}
    record = ended(
        jobs,
        request_of(TuningJobCompletionCriteria=criteria, ResourceLimits={"MaxParallelTrainingJobs": 1}),
    )
    assert record[STATUS] == "Completed"
    assert record["ObjectiveStatusCounters"]["Succeeded"] == 2
    assert record["BestTrainingJob"]["TunedHyperParameters"] == {"x": "1"}


def test_time_that_is_up_ends_the_search(jobs: TuningJobs, request_of: Request, job_name: str) -> None:
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


def test_lists_are_in_order(jobs: TuningJobs, request_of: Request, job_name: str) -> None:
    ended(jobs, request_of(ResourceLimits={"MaxParallelTrainingJobs": 1}))
    names = [item["TrainingJobName"] for item in listed(jobs, job_name)]
    assert names == sorted(names)
    assert len(names) == 4
    assert values(listed(jobs, job_name, SortBy="FinalObjectiveMetricValue")) == [5, 8, 8, 9]
    best_first = listed(jobs, job_name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    assert values(best_first) == [9, 8, 8, 5]
    # Of equals the one that came first, which is also the one that would be the best.
    assert [item["TunedHyperParameters"]["x"] for item in best_first] == ["2", "1", "3", "0"]
    newest = listed(jobs, job_name, SortBy="CreationTime", SortOrder="Descending", MaxResults=1)
    assert [item["TrainingJobName"] for item in newest] == names[-1:]
    assert listed(jobs, job_name, StatusEquals="Failed") == []
    assert len(listed(jobs, job_name, SortBy="Status", StatusEquals="Completed")) == 4

    other = job_name.replace("job", "a-job")
    ended(jobs, request_of(name=other))
    answer = jobs.list({})
    render_answer("ListHyperParameterTuningJobs", answer)
    summaries = answer["HyperParameterTuningJobSummaries"]
    assert [item[NAME] for item in summaries] == [other, job_name]
    assert summaries[0]["Strategy"] == "Grid"
    assert summaries[0]["ResourceLimits"] == {"MaxParallelTrainingJobs": 4}
    assert summaries[0]["TrainingJobStatusCounters"]["Completed"] == 4
    filtered = jobs.list({"NameContains": "a-job", "StatusEquals": "Completed"})
    assert len(filtered["HyperParameterTuningJobSummaries"]) == 1


def test_tags_go_on_to_the_training_jobs(jobs: TuningJobs, tags: Tags, request_of: Request) -> None:
    wanted = [{"Key": "team", "Value": "films"}]
    record = ended(jobs, request_of(Tags=wanted))
    arn = record["BestTrainingJob"]["TrainingJobArn"]
    assert tags.list({"ResourceArn": arn})["Tags"] == wanted


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
def test_resources_can_be_a_choice(
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
WRONG: dict[str, tuple[Document, str]] = {
    "metric": (
        {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "other"}},
        "A metric is required for this hyperparameter tuning job objective",
    ),
    "static and tuned": ({"StaticHyperParameters": {"x": "1"}}, "cannot be static and tuned: x"),
    "no range": ({"ParameterRanges": {}}, "between 1 and 30 hyperparameters, and has 0"),
    "two ranges": (
        combination(2, IntegerParameterRanges=[INTEGER], CategoricalParameterRanges=TENS),
        "one range only: x, x",
    ),
    "few combinations": (
        combination(4, IntegerParameterRanges=[INTEGER]),
        r"combinations for the provided ranges \[3\] must be equal or greater",
    ),
    "no numbers": (
        combination(2, IntegerParameterRanges=[INTEGER | {"MaxValue": "3.5"}]),
        "has to be from an integer to an integer, not '3.5'",
    ),
    "upside down": ({**combination(2), "ParameterRanges": continuous("2", "1")}, "greater than its MaxValue"),
    "logarithm of nothing": (
        {**combination(2), "ParameterRanges": continuous("0", "1", ScalingType="Logarithmic")},
        "needs values greater than 0",
    ),
    "reverse of one": (
        {**combination(2), "ParameterRanges": continuous("0", "1", ScalingType="ReverseLogarithmic")},
        "within 0 <= x < 1.0",
    ),
    "a grid of numbers": ({"ParameterRanges": continuous()}, "takes categorical hyperparameters only"),
    "half a grid": ({"ResourceLimits": limits(2, 1)}, "has to be 4 or left out, and is 2"),
    "no image": (
        {"AlgorithmSpecification": {
            "TrainingInputMode": "File", "MetricDefinitions": [{"Name": "score", "Regex": "(.)"}]
        }},
        "needs a TrainingImage",
    ),
    "resources twice": (
        {"HyperParameterTuningResourceConfig": {"InstanceCount": 1}},
        "ResourceConfig or HyperParameterTuningResourceConfig, not both",
    ),
    "no role": ({"RoleArn": "arn:aws:iam::000000000000:role/nobody"}, "Could not assume role"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(jobs: TuningJobs, request_of: Request, case: str) -> None:
    changes, message = WRONG[case]
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
def test_what_is_not_done_is_refused_by_name(jobs: TuningJobs, request_of: Request, named: str) -> None:
    create = jobs.operations()["CreateHyperParameterTuningJob"]
    with pytest.raises(NotSupportedLocally, match=named):
        create(request_of(**UNSUPPORTED[named]))


@pytest.mark.parametrize("operation", HANDLED)
def test_every_member_is_handled_or_refused(jobs: TuningJobs, operation: str) -> None:
    answered = jobs.operations()
    assert set(HANDLED) == set(answered)
    check_members(answered[operation], operation, HANDLED[operation])


def test_a_caller_needs_the_tuning_job_and_the_role(request_of: Request, role_arn: str) -> None:
    prefix = "arn:aws:sagemaker:us-east-1:000000000000:"
    needed = required_permissions("CreateHyperParameterTuningJob", request_of(name="Tuned"), prefix)
    assert [(item.action, item.resource) for item in needed] == [
        ("sagemaker:CreateHyperParameterTuningJob", f"{prefix}hyper-parameter-tuning-job/tuned"),
        ("iam:PassRole", role_arn),
    ]
    (listing,) = required_permissions("ListTrainingJobsForHyperParameterTuningJob", {NAME: "Tuned"}, prefix)
    assert listing.resource == f"{prefix}hyper-parameter-tuning-job/tuned"
