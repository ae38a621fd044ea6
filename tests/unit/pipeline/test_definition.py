import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import botocore.session
import pytest
import regex
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

from tests.template import read_template
from toolkit.job import Job

PIPELINE = Path(__file__).parents[3] / "pipeline"
RENDERED = PIPELINE / "rendered"
CONTAINERS = PIPELINE.parent / "containers"
NAMES = ("definition", "tuning")
SAGEMAKER = botocore.session.Session().get_service_model("sagemaker")
NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")  # of steps and parameters, by the definition's published schema

# The operation that makes a step's job, the field that Pipelines itself fills in, and the answer that
# later steps refer to.
CREATE = {
    "Processing": ("CreateProcessingJob", "ProcessingJobName", "DescribeProcessingJob"),
    "Training": ("CreateTrainingJob", "TrainingJobName", "DescribeTrainingJob"),
    "Tuning": (
        "CreateHyperParameterTuningJob",
        "HyperParameterTuningJobName",
        "DescribeHyperParameterTuningJob",
    ),
    "Transform": ("CreateTransformJob", "TransformJobName", "DescribeTransformJob"),
    "Model": ("CreateModel", "ModelName", "DescribeModel"),
    "RegisterModel": ("CreateModelPackage", None, "DescribeModelPackage"),
}
# The model's patterns are of UTF-16, where a character beyond 65,535 is a pair.
PAIRS = (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
REGISTRY = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/retrain"
PARAMETERS: dict[str, Any] = {
    "PlanUri": "s3://data/plans/abc/plan.json",
    "AsOf": "2026-11-23T03:07:15.001Z",
    "OutputUri": "s3://data/runs/one",
    "QuarantineUri": "s3://data/quarantine/one",
    "OfflineStoreDatabase": "sagemaker_featurestore",
    "OfflineStoreTable": "retrain_records_1763867235",
    "ChampionModelName": "retrain-0123456789ab",
    "ChampionNote": "live on retrain-realtime",
    "IngestVolumeSizeInGB": 42,
    "DatasetVolumeSizeInGB": 77,
    "MaxTuningJobs": 4,
    "MaxParallelTuningJobs": 2,
}
# What the template puts into the definition: its resources, and the images by its conditions.
SETTINGS = {
    "AWS::Region": "eu-central-1",
    "AWS::StackName": "retrain",
    "DataBucket": "data",
    "FeatureGroup": "retrain-records",
    "ProcessingImage": f"{REGISTRY}/processing:latest",
    "ModelImage": f"{REGISTRY}/linear:latest",
    "ProcessingRole.Arn": "arn:aws:iam::111122223333:role/retrain-ProcessingRole-1",
    "TrainingRole.Arn": "arn:aws:iam::111122223333:role/retrain-TrainingRole-1",
    "ModelRole.Arn": "arn:aws:iam::111122223333:role/retrain-ModelRole-1",
}
VARIABLE = re.compile(r"\$\{([\w.:]+)\}")
TEMPLATE = read_template()
FILES = {"Steps.CreateDataset.PropertyFiles.Dataset": {"sha256": "0" * 64}}
JOB = "pipelines-abc-Train-xyz"
ARTIFACTS = f"s3://data/runs/one/model/{JOB}/output/model.tar.gz"

# Renders a copy of the folder where every attempt to reach the network is an error.
RENDER = """
import socket, sys

def refuse(*args, **kwargs):
    raise AssertionError(f"rendering reached for the network: {args[1:]}")

socket.socket.connect = socket.getaddrinfo = refuse
from pipeline import definition

codes = [definition.main(arguments) for arguments in (["--check"], [], ["--check"])]
sys.exit(codes != [1, 0, 0])
"""


class Definition(NamedTuple):
    """A rendered definition, and its steps with those of its branches by name."""

    document: dict[str, Any]
    steps: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, name: str) -> "Definition":
        document = json.loads((RENDERED / f"{name}.json").read_text())
        steps = list(walk(document["Steps"]))
        named = {step["Name"]: step for step in steps}
        assert len(named) == len(steps), "names are unique, across branches too"
        return cls(document, named)

    def request_of(self, name: str) -> dict[str, Any]:
        """The request that Pipelines would make in a typical execution."""
        _, given, _ = CREATE[self.steps[name]["Type"]]
        request: dict[str, Any] = self.resolve(self.steps[name]["Arguments"])
        assert given not in request, f"Pipelines names the jobs of {name}"
        return {given: f"pipelines-abc-{name}-xyz"[:32], **request} if given else request

    def resolve(self, value: Any) -> Any:
        """Puts values in the place of references."""
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if isinstance(value, str):
            return VARIABLE.sub(lambda found: SETTINGS[found[1]], value)
        if not isinstance(value, dict):
            return value
        if value.keys() == {"Get"}:
            return self.look_up(value["Get"])
        if value.keys() == {"Std:Join"}:
            return value["Std:Join"]["On"].join(
                str(item) for item in self.resolve(value["Std:Join"]["Values"])
            )
        if value.keys() == {"Std:JsonGet"}:
            return FILES[value["Std:JsonGet"]["PropertyFile"]["Get"]][value["Std:JsonGet"]["Path"]]
        return {key: self.resolve(item) for key, item in value.items()}

    def look_up(self, reference: str) -> Any:
        kind, _, path = reference.partition(".")
        if kind == "Parameters":
            return PARAMETERS[path]
        if kind == "Execution":
            return (
                "arn:aws:sagemaker:eu-central-1:111122223333:pipeline/retrain-pipeline/execution/abcdefghijkl"
            )
        step, _, field = path.partition(".")
        arguments = self.steps[step]["Arguments"]
        if output := re.fullmatch(r"ProcessingOutputConfig\.Outputs\['(\w+)'\]\.S3Output\.S3Uri", field):
            declared = arguments["ProcessingOutputConfig"]["Outputs"]
            [uri] = [item["S3Output"]["S3Uri"] for item in declared if item["OutputName"] == output[1]]
            return self.resolve(uri)
        if field == "ModelName":
            return f"pipelines-abc-{step}-xyz"
        if field in ("TrainingJobName", "BestTrainingJob.TrainingJobName"):
            return JOB
        if field == "ModelArtifacts.S3ModelArtifacts":
            return ARTIFACTS
        for name in field.split("."):
            arguments = arguments[name]
        return self.resolve(arguments)

    def depends_on(self, name: str) -> set[str]:
        step = self.steps[name]
        arguments = step["Arguments"].get("Conditions", step["Arguments"])
        found = [reference.split(".") for reference in references(arguments)]
        return {parts[1] for parts in found if parts[0] == "Steps"}


def walk(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield step
        if step["Type"] == "Condition":
            yield from walk(step["Arguments"]["IfSteps"] + step["Arguments"]["ElseSteps"])


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if value.keys() == {"Get"}:
            yield value["Get"]
        else:
            yield from references(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


DEFINITIONS = {name: Definition.read(name) for name in NAMES}
ONCE, TUNED = DEFINITIONS["definition"], DEFINITIONS["tuning"]
REQUESTS = [
    (name, step["Name"])
    for name, definition in DEFINITIONS.items()
    for step in definition.steps.values()
    if step["Type"] in CREATE
]


def test_rendered_files_are_fresh(tmp_path: Path) -> None:
    folder = tmp_path / "pipeline"
    shutil.copytree(PIPELINE, folder, ignore=shutil.ignore_patterns("*.include.json", "tuning.json"))
    (tmp_path / "containers").symlink_to(CONTAINERS)
    (folder / "rendered" / "definition.json").write_text("{}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-c", RENDER],
        cwd=tmp_path,
        env=environment | {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rendered = {path.name for path in (folder / "rendered").glob("*.json")}
    assert rendered == {path.name for path in RENDERED.glob("*.json")}
    for name in rendered:
        assert f"{name} is stale: run `python -m pipeline.definition`" in done.stderr
        assert (RENDERED / name).read_text() == (folder / "rendered" / name).read_text(), f"{name} is stale"


def included(name: str, container: str, use_spot: str) -> dict[str, Any]:
    """What CloudFormation makes of an include; it refuses a variable without a value."""
    include = json.loads((RENDERED / f"{name}.include.json").read_text())
    assert include.keys() == {"PipelineDefinitionBody"}
    body, values = include["PipelineDefinitionBody"]["Fn::Sub"]
    assert "\n" not in body
    mapping = json.loads((RENDERED / "ranges.include.json").read_text())

    def value(variable: str) -> str:
        if variable == "UseSpot":
            return use_spot
        if variable in SETTINGS:
            return f"${{{variable}}}"
        if variable not in values:
            return str(TEMPLATE["Parameters"][variable]["Default"])
        [(function, arguments)] = values[variable].items()
        if function == "Fn::If":
            condition, spot, on_demand = arguments
            assert condition == "OnSpot"
            return str(spot if use_spot == "true" else on_demand)
        table, key, attribute, default = arguments
        assert (function, key) == ("Fn::FindInMap", {"Ref": "ModelContainer"})
        return str(mapping[table].get(container, {}).get(attribute, default["DefaultValue"]))

    document: dict[str, Any] = json.loads(VARIABLE.sub(lambda found: value(found[1]), body))
    return document


@pytest.mark.parametrize("name", NAMES)
def test_with_the_template_s_defaults_the_include_is_the_same_definition(name: str) -> None:
    parameters = TEMPLATE["Parameters"]
    container, use_spot = (parameters[name]["Default"] for name in ("ModelContainer", "UseSpot"))
    assert included(name, container, use_spot) == DEFINITIONS[name].document


@pytest.mark.parametrize("name", NAMES)
def test_the_template_has_what_the_include_refers_to(name: str) -> None:
    """Fn::Sub takes parameters and resources by name, an attribute behind a dot, and the values beside it."""
    body, values = json.loads((RENDERED / f"{name}.include.json").read_text())["PipelineDefinitionBody"][
        "Fn::Sub"
    ]
    variables = set(VARIABLE.findall(body))
    assert values.keys() <= variables
    for variable in variables - values.keys():
        place, _, attribute = variable.partition(".")
        if attribute:
            assert (TEMPLATE["Resources"][place]["Type"], attribute) == ("AWS::IAM::Role", "Arn")
        else:
            known = TEMPLATE["Parameters"].keys() | {"DataBucket", "FeatureGroup"}
            assert place in known | {"AWS::Region", "AWS::StackName"}


@pytest.mark.parametrize("name", NAMES)
def test_numbers_have_no_quotes_and_other_settings_have(name: str) -> None:
    body, _ = json.loads((RENDERED / f"{name}.include.json").read_text())["PipelineDefinitionBody"]["Fn::Sub"]
    bare = set(re.findall(r"[:,\[](\$\{[\w.:]+\})", body))
    numbers = {"${AccuracyFloor}", "${IngestInstanceCount}", "${TrainingInstanceCount}"}
    assert numbers < bare <= numbers | {"${UseSpot}", "${TrainingLimits}", "${ParameterRanges}"}
    assert not any(f'"{variable}"' in body for variable in bare)


@pytest.mark.parametrize(("name", "step"), [("definition", "TrainModel"), ("tuning", "TuneModel")])
def test_without_spot_nothing_waits_for_it(name: str, step: str) -> None:
    """SageMaker refuses MaxWaitTimeInSeconds where EnableManagedSpotTraining is false."""
    document = included(name, "linear", "false")
    [job] = [item["Arguments"] for item in document["Steps"] if item["Name"] == step]
    job = job.get("TrainingJobDefinition", job)
    assert job["EnableManagedSpotTraining"] is False
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}
    job |= {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": limits(DEFINITIONS[name].request_of(step)),
    }
    assert document == DEFINITIONS[name].document


def limits(request: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = request.get("TrainingJobDefinition", request)["StoppingCondition"]
    return found


@pytest.mark.parametrize("container", sorted(path.parent.name for path in CONTAINERS.glob("*/tuning.json")))
def test_each_container_is_tuned_as_it_declares(container: str) -> None:
    declared = json.loads((CONTAINERS / container / "tuning.json").read_text())
    document = included("tuning", container, "true")
    [step] = [item for item in document["Steps"] if item["Name"] == "TuneModel"]
    assert step["Arguments"]["HyperParameterTuningJobConfig"]["ParameterRanges"] == declared


def test_a_container_that_declares_nothing_has_no_ranges() -> None:
    [step] = [
        item for item in included("tuning", "unheard-of", "true")["Steps"] if item["Name"] == "TuneModel"
    ]
    assert step["Arguments"]["HyperParameterTuningJobConfig"]["ParameterRanges"] == {}


@pytest.mark.parametrize(
    "pattern",
    [
        "arn:",
        r"\d{12}",
        r"s3://(?!\$\{DataBucket\}/)",
        "amazonaws",
        r"[a-z]{2}-(north|south|east|west|central)+-\d",
        "/role/",
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_the_definition_belongs_to_no_account(name: str, pattern: str) -> None:
    assert re.search(pattern, json.dumps(DEFINITIONS[name].document)) is None


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_what_the_requests_need(name: str) -> None:
    declared = {parameter["Name"]: parameter for parameter in DEFINITIONS[name].document["Parameters"]}
    assert declared.keys() == PARAMETERS.keys()
    kinds = {"String": str, "Integer": int, "Float": float}
    for parameter, value in PARAMETERS.items():
        assert NAME.fullmatch(parameter)
        assert type(value) is kinds[declared[parameter]["Type"]], parameter
    without = {parameter for parameter, item in declared.items() if "DefaultValue" not in item}
    assert all(re.search("Uri|AsOf|OfflineStore|VolumeSize", parameter) for parameter in without)


def test_one_definition_trains_once_and_the_other_searches() -> None:
    assert [parameter["DefaultValue"] for parameter in ONCE.document["Parameters"][-2:]] == [1, 1]
    assert [parameter["DefaultValue"] for parameter in TUNED.document["Parameters"][-2:]] == [4, 2]
    once = json.dumps({name: step for name, step in ONCE.steps.items() if name != "TrainModel"})
    tuned = json.dumps({name: step for name, step in TUNED.steps.items() if name != "TuneModel"})
    best = below_best()
    assert (
        tuned.replace(
            json.dumps(best["artifacts"]), json.dumps(get("ModelArtifacts.S3ModelArtifacts"))
        ).replace(json.dumps(best["job"]), json.dumps(get("TrainingJobName")))
        == once
    )


def get(field: str) -> dict[str, str]:
    return {"Get": f"Steps.TrainModel.{field}"}


def below_best() -> dict[str, Any]:
    job = {"Get": "Steps.TuneModel.BestTrainingJob.TrainingJobName"}
    folder = {"Get": "Steps.TuneModel.TrainingJobDefinition.OutputDataConfig.S3OutputPath"}
    values = [folder, job, "output/model.tar.gz"]
    return {"job": job, "artifacts": {"Std:Join": {"On": "/", "Values": values}}}


@pytest.mark.parametrize(("definition", "train"), [(ONCE, "TrainModel"), (TUNED, "TuneModel")])
def test_steps_stand_in_the_order_of_their_data(definition: Definition, train: str) -> None:
    assert definition.document["Version"] == "2020-12-01"
    assert {name: definition.depends_on(name) for name in definition.steps} == {
        "IngestRecords": set(),
        "CreateDataset": {"IngestRecords"},
        train: {"CreateDataset"},
        "CreateModel": {train},
        "ScoreTestSplit": {"CreateDataset", "CreateModel"},
        "EvaluateQuality": {"CreateDataset", "ScoreTestSplit"},
        "AboveFloor": {"EvaluateQuality"},
        "RegisterModel": {"CreateDataset", train, "EvaluateQuality"},
        "BelowFloor": {"EvaluateQuality"},
        "NoChampion": set(),
        "ScoreChampion": {"CreateDataset"},
        "CompareModels": {"CreateDataset", "ScoreTestSplit", "ScoreChampion"},
    }
    order = list(definition.steps)
    for name, step in definition.steps.items():
        assert NAME.fullmatch(name)
        assert step["Description"]
        assert all(order.index(needed) < order.index(name) for needed in definition.depends_on(name))


def test_conditions_neither_nest_nor_rejoin() -> None:
    """What SageMaker Pipelines cannot do: the two definitions are there for it."""
    branches = {
        inner["Name"]: step["Name"]
        for step in TUNED.document["Steps"]
        if step["Type"] == "Condition"
        for inner in step["Arguments"]["IfSteps"] + step["Arguments"]["ElseSteps"]
    }
    for name in TUNED.steps:
        assert name not in branches or TUNED.steps[name]["Type"] != "Condition"
        needed = {branches[needed] for needed in TUNED.depends_on(name) if needed in branches}
        assert needed <= {branches.get(name)}


def test_every_parameter_is_used() -> None:
    used = {reference for reference in references(TUNED.document["Steps"]) if reference.startswith("Param")}
    assert used == {f"Parameters.{name}" for name in PARAMETERS}


@pytest.mark.parametrize(("name", "step"), REQUESTS)
def test_references_lead_to_a_field_of_the_describe_answer(name: str, step: str) -> None:
    definition = DEFINITIONS[name]
    for reference in references(definition.steps[step]["Arguments"]):
        kind, _, path = reference.partition(".")
        if kind == "Parameters":
            assert path in PARAMETERS
        elif kind == "Execution":
            assert path == "PipelineExecutionArn"
        else:
            assert kind == "Steps"
            source, _, field = path.partition(".")
            if field.startswith("PropertyFiles."):
                declared = definition.steps[source]["PropertyFiles"]
                assert field.removeprefix("PropertyFiles.") in [item["PropertyFileName"] for item in declared]
                continue
            shape = SAGEMAKER.operation_model(CREATE[definition.steps[source]["Type"]][2]).output_shape
            assert isinstance(follow(shape, field), StringShape), reference


@pytest.mark.parametrize(("name", "step"), REQUESTS)
def test_aws_would_accept_the_request(name: str, step: str) -> None:
    definition = DEFINITIONS[name]
    request, shape = definition.request_of(step), input_of(definition, step)
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    assert list(violations(request, shape)) == []


def test_the_checks_refuse_what_aws_would_refuse() -> None:
    request, shape = ONCE.request_of("TrainModel"), input_of(ONCE, "TrainModel")
    request["RoleArn"] = "TrainingRole"
    request["AlgorithmSpecification"]["TrainingInputMode"] = "Files"
    assert [path for path, _ in violations(request, shape)] == [
        ".AlgorithmSpecification.TrainingInputMode",
        ".RoleArn",
    ]


@pytest.mark.parametrize("step", [step for name, step in REQUESTS if name == "tuning"])
def test_steps_whose_inputs_say_all_are_cached(step: str) -> None:
    jobs = ("Processing", "Training", "Tuning", "Transform")
    cached = {"Enabled": True, "ExpireAfter": "P30D"} if TUNED.steps[step]["Type"] in jobs else None
    assert TUNED.steps[step].get("CacheConfig") == cached


def test_what_a_step_is_cached_by_does_not_name_the_run() -> None:
    """SageMaker's cache keys of these steps: else nothing would ever be found there.

    QuarantineUri may stand in it: PlanRun names that after the plan, as it does PlanUri.
    """
    members = {
        "IngestRecords": ("AppSpecification", "Environment", "ProcessingInputs"),
        "CreateDataset": ("AppSpecification", "Environment", "ProcessingInputs"),
        "TrainModel": ("AlgorithmSpecification", "CheckpointConfig", "InputDataConfig"),
    }
    for step, names in members.items():
        key = [ONCE.steps[step]["Arguments"][name] for name in names]
        assert "Parameters.OutputUri" not in set(references(key))


def test_ingestion_gets_only_the_plan_and_reports_whatever_happens() -> None:
    request = TUNED.request_of("IngestRecords")
    [plan] = (item["S3Input"] for item in request["ProcessingInputs"])
    assert request["AppSpecification"]["ContainerArguments"] == ["ingest"]
    assert request["Environment"]["BUCKET_NAME"] == "data"
    assert (plan["S3DataType"], plan["S3Uri"]) == ("S3Prefix", PARAMETERS["PlanUri"])
    assert plan["LocalPath"] == "/opt/ml/processing/input/plan"
    assert plan["S3DataDistributionType"] == "FullyReplicated"
    assert outputs(request) == {
        "/opt/ml/processing/output/report": "s3://data/runs/one/ingest",
        "/opt/ml/processing/output/quarantine": "s3://data/quarantine/one",
    }
    modes = {item["S3Output"]["S3UploadMode"] for item in request["ProcessingOutputConfig"]["Outputs"]}
    assert modes == {"Continuous"}


@pytest.mark.parametrize("name", NAMES)
def test_the_volumes_that_hold_the_data_are_what_the_plan_says(name: str) -> None:
    sizes = {
        step: DEFINITIONS[name].request_of(step)["ProcessingResources"]["ClusterConfig"]["VolumeSizeInGB"]
        for step in ("IngestRecords", "CreateDataset", "EvaluateQuality")
    }
    assert sizes == {"IngestRecords": 42, "CreateDataset": 77, "EvaluateQuality": 30}


@pytest.mark.parametrize(
    ("step", "module"),
    [
        ("IngestRecords", "processing/ingestion/settings.py"),
        ("CreateDataset", "processing/dataset/create_dataset.py"),
        ("CompareModels", "processing/quality/compare.py"),
    ],
)
def test_a_command_is_given_the_variables_that_it_reads(step: str, module: str) -> None:
    code = (CONTAINERS / "processing" / module).read_text()
    read = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', code))
    assert TUNED.steps[step]["Arguments"]["Environment"].keys() - {"AWS_DEFAULT_REGION"} == read


@pytest.mark.parametrize("name", NAMES)
def test_jobs_wait_for_an_instance_that_another_has(name: str) -> None:
    """Two steps may need a quota at the same time, as EvaluateQuality and CompareModels do."""
    jobs = ("Processing", "Training", "Tuning", "Transform")
    for step in DEFINITIONS[name].steps.values():
        retried = [policy["ExceptionType"] for policy in step.get("RetryPolicies", [])]
        waits = ["SageMaker.RESOURCE_LIMIT", "SageMaker.CAPACITY_ERROR"]
        assert retried == ([waits] if step["Type"] in jobs else []), step["Name"]


def test_what_calls_aws_is_told_the_region() -> None:
    """SageMaker tells a processing job none that boto3 reads."""
    called = {name for name in ("ingestion", "dataset", "quality") if calls_aws(name)}
    assert called == {"ingestion"}
    assert TUNED.request_of("IngestRecords")["Environment"]["AWS_DEFAULT_REGION"] == SETTINGS["AWS::Region"]


def calls_aws(folder: str) -> bool:
    modules = (CONTAINERS / "processing" / "processing" / folder).rglob("*.py")
    return any("boto3.client" in module.read_text() for module in modules)


def test_the_dataset_is_a_query_as_of_a_time() -> None:
    request = TUNED.request_of("CreateDataset")
    dataset = request["ProcessingInputs"][0]["DatasetDefinition"]
    assert dataset["LocalPath"] == "/opt/ml/processing/input/records"
    assert dataset["AthenaDatasetDefinition"]["Database"] == "sagemaker_featurestore"
    assert dataset["AthenaDatasetDefinition"]["QueryString"] == (
        "SELECT record_id, event_time, text, label, split, source FROM (SELECT *, row_number() OVER "
        "(PARTITION BY record_id ORDER BY event_time DESC, api_invocation_time DESC, write_time DESC) "
        "AS version FROM \"retrain_records_1763867235\" WHERE event_time <= '2026-11-23T03:07:15.001Z') "
        "WHERE version = 1 AND NOT is_deleted"
    )
    assert request["ProcessingInputs"][1]["S3Input"]["S3Uri"] == "s3://data/runs/one/ingest"
    assert outputs(request) == {
        f"/opt/ml/processing/output/{name}": f"s3://data/runs/one/dataset/{name}"
        for name in ("train", "validation", "test", "labels", "report")
    }


@pytest.mark.parametrize(
    "job", [ONCE.request_of("TrainModel"), TUNED.request_of("TuneModel")["TrainingJobDefinition"]]
)
def test_training_reads_two_splits_and_reports_accuracy(job: dict[str, Any]) -> None:
    channels = {
        item["ChannelName"]: item["DataSource"]["S3DataSource"]["S3Uri"] for item in job["InputDataConfig"]
    }
    assert channels == {name: f"s3://data/runs/one/dataset/{name}" for name in ("train", "validation")}
    assert job["OutputDataConfig"]["S3OutputPath"] == "s3://data/runs/one/model"


@pytest.mark.parametrize(
    "job", [ONCE.request_of("TrainModel"), TUNED.request_of("TuneModel")["TrainingJobDefinition"]]
)
def test_metrics_are_found_in_what_containers_print(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Job(tmp_path).report("train", rows=9, accuracy=0.95, log_loss=0.125)
    Job(tmp_path).report("validation", rows=3, accuracy=0.89, log_loss=0.25)
    printed = capsys.readouterr().out
    found = {
        metric["Name"]: [float(value) for value in re.findall(metric["Regex"], printed)]
        for metric in job["AlgorithmSpecification"]["MetricDefinitions"]
    }
    assert found == {"train:accuracy": [0.95], "validation:accuracy": [0.89], "validation:log_loss": [0.25]}


@pytest.mark.parametrize(
    "job", [ONCE.request_of("TrainModel"), TUNED.request_of("TuneModel")["TrainingJobDefinition"]]
)
def test_trainings_run_on_spot_instances_and_keep_checkpoints(job: dict[str, Any]) -> None:
    assert job["EnableManagedSpotTraining"] is True
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400, "MaxWaitTimeInSeconds": 172_800}
    place = f"s3://data/checkpoints/{PARAMETERS['AsOf']}/{SETTINGS['ModelImage']}"
    assert job["CheckpointConfig"] == {"S3Uri": place}


def test_the_search_has_the_size_that_was_asked_for() -> None:
    config = TUNED.request_of("TuneModel")["HyperParameterTuningJobConfig"]
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2}
    assert config["HyperParameterTuningJobObjective"]["MetricName"] == "validation:accuracy"


@pytest.mark.parametrize("definition", [ONCE, TUNED])
def test_both_models_score_the_same_rows_line_by_line(definition: Definition) -> None:
    model, score = definition.request_of("CreateModel"), definition.request_of("ScoreTestSplit")
    champion = definition.request_of("ScoreChampion")
    assert model["PrimaryContainer"] == {"Image": SETTINGS["ModelImage"], "ModelDataUrl": ARTIFACTS}
    assert champion["ModelName"] == PARAMETERS["ChampionModelName"]
    assert champion["TransformInput"] == score["TransformInput"]
    assert score["TransformInput"] == {
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/runs/one/dataset/test"}
        },
        "ContentType": "application/jsonlines",
        "SplitType": "Line",
    }
    assert [item["TransformOutput"]["S3OutputPath"] for item in (score, champion)] == [
        f"s3://data/runs/one/predictions/{who}" for who in ("challenger", "champion")
    ]
    assert (score["BatchStrategy"], score["MaxPayloadInMB"]) == ("MultiRecord", 6)


@pytest.mark.parametrize(
    ("step", "command", "predictions", "output"),
    [
        ("EvaluateQuality", "evaluate", {"predictions": "challenger"}, "quality"),
        ("CompareModels", "compare", {"challenger": "challenger", "champion": "champion"}, "comparison"),
    ],
)
def test_judges_get_predictions_and_labels(
    step: str, command: str, predictions: dict[str, str], output: str
) -> None:
    request = TUNED.request_of(step)
    inputs = {source["InputName"]: source["S3Input"]["S3Uri"] for source in request["ProcessingInputs"]}
    assert request["AppSpecification"]["ContainerArguments"] == [command]
    plan = {"plan": PARAMETERS["PlanUri"]} if step == "CompareModels" else {}
    assert inputs == {
        **plan,
        **{name: f"s3://data/runs/one/predictions/{who}" for name, who in predictions.items()},
        "test": "s3://data/runs/one/dataset/test",
        "labels": "s3://data/runs/one/dataset/labels",
        "dataset": "s3://data/runs/one/dataset/report",
    }
    assert outputs(request) == {f"/opt/ml/processing/output/{output}": f"s3://data/runs/one/{output}"}


def test_the_floor_says_what_was_missed_and_where_to_look() -> None:
    message = TUNED.resolve(TUNED.steps["BelowFloor"]["Arguments"]["ErrorMessage"])
    assert message.startswith("The accuracy over the test split is below the floor of 0.6: no model was ")
    assert message.endswith("s3://data/runs/one/quality/report.html")


def test_registration_waits_for_approval_with_its_metrics_and_origin() -> None:
    request = TUNED.request_of("RegisterModel")
    quality = request["ModelMetrics"]["ModelQuality"]
    assert request["ModelApprovalStatus"] == "PendingManualApproval"
    assert quality["Statistics"]["S3Uri"] == "s3://data/runs/one/quality/statistics.json"
    assert quality["Constraints"]["S3Uri"] == "s3://data/runs/one/quality/constraints.json"
    specification = request["InferenceSpecification"]
    assert "application/jsonlines" in specification["SupportedContentTypes"]
    assert specification["Containers"] == [{"Image": SETTINGS["ModelImage"], "ModelDataUrl": ARTIFACTS}]
    origin = request["CustomerMetadataProperties"]
    assert origin["DatasetSha256"] == "0" * 64
    assert (origin["TrainingJob"], origin["MaxTuningJobs"]) == (JOB, "4")
    assert origin["Report"] == "s3://data/runs/one/quality/report.html"


def outputs(request: dict[str, Any]) -> dict[str, str]:
    declared = [output["S3Output"] for output in request["ProcessingOutputConfig"]["Outputs"]]
    return {output["LocalPath"]: output["S3Uri"] for output in declared}


def input_of(definition: Definition, name: str) -> Shape:
    operation, _, _ = CREATE[definition.steps[name]["Type"]]
    shape = SAGEMAKER.operation_model(operation).input_shape
    assert shape is not None
    return shape


def follow(shape: Shape | None, path: str) -> Shape:
    """The shape at `A.B['c'].D` below a structure."""
    for name, index in re.findall(r"(\w+)(\['\w+'\])?\.?", path):
        assert isinstance(shape, StructureShape)
        shape = shape.members[name]
        if index:
            assert isinstance(shape, ListShape)
            shape = shape.member
    assert shape is not None
    return shape


def violations(value: Any, shape: Shape | None, path: str = "") -> Iterator[tuple[str, str]]:
    """What botocore leaves to the service: patterns, enumerations and greatest lengths."""
    if isinstance(shape, StructureShape):
        for key, item in sorted(value.items()):
            yield from violations(item, shape.members[key], f"{path}.{key}")
    elif isinstance(shape, ListShape):
        for number, item in enumerate(value):
            yield from violations(item, shape.member, f"{path}[{number}]")
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from violations(key, shape.key, f"{path}.{key}")
            yield from violations(item, shape.value, f"{path}.{key}")
    if shape is None:
        return
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        yield path, f"{value} is none of {shape.enum}"
    pattern = shape.metadata.get("pattern", "").replace(*PAIRS)
    if pattern and not regex.fullmatch(pattern, value):
        yield path, f"{value} does not match {pattern}"
    size = value if isinstance(value, int) else len(value)
    if size > shape.metadata.get("max", size):
        yield path, f"{value} is more than {shape.metadata['max']}"
