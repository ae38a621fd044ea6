import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import regex
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

PIPELINE = Path(__file__).parents[2] / "pipeline"
DEFINITION: dict[str, Any] = json.loads((PIPELINE / "definition.json").read_text())
STEPS: dict[str, dict[str, Any]] = {step["Name"]: step for step in DEFINITION["Steps"]}
SAGEMAKER = botocore.session.Session().get_service_model("sagemaker")
NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")  # of steps and parameters, by the definition's published schema

# The operation that makes a step's job, the field that Pipelines itself fills in, and the answer that
# later steps refer to.
CREATE = {
    "Processing": ("CreateProcessingJob", "ProcessingJobName", "DescribeProcessingJob"),
    "Training": ("CreateTrainingJob", "TrainingJobName", "DescribeTrainingJob"),
    "Transform": ("CreateTransformJob", "TransformJobName", "DescribeTransformJob"),
    "Model": ("CreateModel", "ModelName", "DescribeModel"),
    "RegisterModel": ("CreateModelPackage", None, "DescribeModelPackage"),
}
PARAMETERS = {
    "ManifestUri": "s3://data/runs/one/plan/manifest.json",
    "OutputUri": "s3://data/runs/one",
    "ProcessingImageUri": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/retrain/processing:latest",
    "ModelImageUri": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/retrain/linear:latest",
    "ProcessingRoleArn": "arn:aws:iam::111122223333:role/retrain-ProcessingRole-1",
    "TrainingRoleArn": "arn:aws:iam::111122223333:role/retrain-TrainingRole-1",
    "ModelRoleArn": "arn:aws:iam::111122223333:role/retrain-ModelRole-1",
    "ModelPackageGroupName": "retrain-models",
    "ProcessingInstanceType": "ml.m5.large",
    "TrainingInstanceType": "ml.m5.xlarge",
    "TransformInstanceType": "ml.m5.large",
}
ARTIFACTS = "s3://data/runs/one/model/pipelines-abc-TrainModel-xyz/output/model.tar.gz"

# Renders a copy of the folder where every attempt to reach the network is an error.
RENDER = """
import socket, sys

def refuse(*args, **kwargs):
    raise AssertionError(f"rendering reached for the network: {args[1:]}")

socket.socket.connect = socket.getaddrinfo = refuse
import definition

codes = [definition.main(arguments) for arguments in (["--check"], [], ["--check"])]
sys.exit(codes != [1, 0, 0])
"""


def test_rendered_files_are_fresh(tmp_path: Path) -> None:
    shutil.copy(PIPELINE / "definition.py", tmp_path)
    (tmp_path / "definition.json").write_text("{}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-c", RENDER],
        cwd=tmp_path,
        env=environment | {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("definition.json", "definition.include.json"):
        assert f"{name} is stale: run `python pipeline/definition.py`" in done.stderr
        assert (PIPELINE / name).read_text() == (tmp_path / name).read_text(), f"{name} is stale"


def test_the_include_is_the_same_definition_on_one_line() -> None:
    included = json.loads((PIPELINE / "definition.include.json").read_text())
    assert included.keys() == {"PipelineDefinitionBody"}
    body = included["PipelineDefinitionBody"]
    assert json.loads(body) == DEFINITION
    assert "\n" not in body
    assert "${" not in body, "CloudFormation would take it for a variable"


@pytest.mark.parametrize(
    "pattern",
    ["arn:", r"\d{12}", "s3://", "amazonaws", r"[a-z]{2}-(north|south|east|west|central)+-\d", "/role/"],
)
def test_the_definition_belongs_to_no_account(pattern: str) -> None:
    assert re.search(pattern, json.dumps(DEFINITION)) is None


def test_parameters_are_strings_and_only_instance_types_have_a_default() -> None:
    declared = {parameter["Name"]: parameter for parameter in DEFINITION["Parameters"]}
    assert declared.keys() == PARAMETERS.keys()
    assert {parameter["Type"] for parameter in declared.values()} == {"String"}
    defaults = {name for name, parameter in declared.items() if "DefaultValue" in parameter}
    assert defaults == {"ProcessingInstanceType", "TrainingInstanceType", "TransformInstanceType"}
    assert all(NAME.fullmatch(name) for name in declared)


def test_steps_stand_in_the_order_of_their_data() -> None:
    assert DEFINITION["Version"] == "2020-12-01"
    assert {name: depends_on(step) for name, step in STEPS.items()} == {
        "PrepareData": set(),
        "TrainModel": {"PrepareData"},
        "CreateModel": {"TrainModel"},
        "ScoreTestSplit": {"PrepareData", "CreateModel"},
        "EvaluateQuality": {"PrepareData", "ScoreTestSplit"},
        "RegisterModel": {"TrainModel", "EvaluateQuality"},
    }
    assert len(STEPS) == len(DEFINITION["Steps"])
    for step in STEPS.values():
        assert step.keys() == {"Name", "Type", "Arguments", "Description"}
        assert NAME.fullmatch(step["Name"])


def test_every_parameter_is_used() -> None:
    used = {reference for reference in references(DEFINITION["Steps"]) if reference.startswith("Parameters.")}
    assert used == {f"Parameters.{name}" for name in PARAMETERS}


@pytest.mark.parametrize("name", STEPS)
def test_references_lead_to_a_field_of_the_describe_answer(name: str) -> None:
    for reference in references(STEPS[name]["Arguments"]):
        kind, _, path = reference.partition(".")
        if kind == "Parameters":
            assert path in PARAMETERS
        elif kind == "Execution":
            assert path == "PipelineExecutionArn"
        else:
            assert kind == "Steps"
            step, _, field = path.partition(".")
            assert list(STEPS).index(step) < list(STEPS).index(name)
            shape = SAGEMAKER.operation_model(CREATE[STEPS[step]["Type"]][2]).output_shape
            assert isinstance(follow(shape, field), StringShape), reference


@pytest.mark.parametrize("name", STEPS)
def test_aws_would_accept_the_request(name: str) -> None:
    request, shape = request_of(name), input_of(name)
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    assert list(violations(request, shape)) == []


def test_the_checks_refuse_what_aws_would_refuse() -> None:
    request, shape = request_of("TrainModel"), input_of("TrainModel")
    request["RoleArn"] = "TrainingRole"
    request["AlgorithmSpecification"]["TrainingInputMode"] = "Files"
    assert [path for path, _ in violations(request, shape)] == [
        ".AlgorithmSpecification.TrainingInputMode",
        ".RoleArn",
    ]


def test_prepare_reads_the_manifest_and_writes_the_dataset() -> None:
    request = request_of("PrepareData")
    source, plan = request["ProcessingInputs"]
    assert request["AppSpecification"]["ContainerEntrypoint"] == ["prepare"]
    assert source["S3Input"]["S3DataType"] == "ManifestFile"
    assert source["S3Input"]["S3Uri"] == PARAMETERS["ManifestUri"]
    assert source["S3Input"]["LocalPath"] == "/opt/ml/processing/input/raw"
    assert plan["S3Input"]["S3DataType"] == "S3Prefix"
    assert plan["S3Input"]["S3Uri"] == PARAMETERS["ManifestUri"]
    assert plan["S3Input"]["LocalPath"] == "/opt/ml/processing/input/plan"
    assert outputs(request) == {
        f"/opt/ml/processing/output/{name}": f"s3://data/runs/one/dataset/{name}"
        for name in ("train", "test", "labels", "report")
    }


def test_training_reads_the_training_split_and_reports_accuracy() -> None:
    request = request_of("TrainModel")
    [channel] = request["InputDataConfig"]
    assert channel["ChannelName"] == "train"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == "s3://data/runs/one/dataset/train"
    assert request["OutputDataConfig"]["S3OutputPath"] == "s3://data/runs/one/model"
    found = {
        metric["Name"]: re.findall(metric["Regex"], "epoch 1 train:accuracy=0.95; validation:accuracy=0.89;")
        for metric in request["AlgorithmSpecification"]["MetricDefinitions"]
    }
    assert found == {"train:accuracy": ["0.95"], "validation:accuracy": ["0.89"]}


def test_scoring_sends_the_test_split_line_by_line_to_the_trained_model() -> None:
    model, score = request_of("CreateModel"), request_of("ScoreTestSplit")
    assert model["PrimaryContainer"] == {"Image": PARAMETERS["ModelImageUri"], "ModelDataUrl": ARTIFACTS}
    assert score["TransformInput"] == {
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/runs/one/dataset/test"}
        },
        "ContentType": "application/jsonlines",
        "SplitType": "Line",
    }
    assert score["TransformOutput"] == {
        "S3OutputPath": "s3://data/runs/one/predictions",
        "Accept": "application/jsonlines",
        "AssembleWith": "Line",
    }
    assert (score["BatchStrategy"], score["MaxPayloadInMB"]) == ("MultiRecord", 6)


def test_evaluation_compares_predictions_and_labels() -> None:
    request = request_of("EvaluateQuality")
    inputs = {source["InputName"]: source["S3Input"]["S3Uri"] for source in request["ProcessingInputs"]}
    assert request["AppSpecification"]["ContainerEntrypoint"] == ["evaluate"]
    assert inputs == {
        "predictions": "s3://data/runs/one/predictions",
        "test": "s3://data/runs/one/dataset/test",
        "labels": "s3://data/runs/one/dataset/labels",
    }
    assert outputs(request) == {"/opt/ml/processing/output/quality": "s3://data/runs/one/quality"}


def test_registration_waits_for_approval_with_its_metrics() -> None:
    request = request_of("RegisterModel")
    quality = request["ModelMetrics"]["ModelQuality"]
    assert request["ModelApprovalStatus"] == "PendingManualApproval"
    assert quality["Statistics"]["S3Uri"] == "s3://data/runs/one/quality/statistics.json"
    assert quality["Constraints"]["S3Uri"] == "s3://data/runs/one/quality/constraints.json"
    specification = request["InferenceSpecification"]
    assert "application/jsonlines" in specification["SupportedContentTypes"]
    assert specification["Containers"] == [{"Image": PARAMETERS["ModelImageUri"], "ModelDataUrl": ARTIFACTS}]


def outputs(request: dict[str, Any]) -> dict[str, str]:
    declared = [output["S3Output"] for output in request["ProcessingOutputConfig"]["Outputs"]]
    return {output["LocalPath"]: output["S3Uri"] for output in declared}


def input_of(name: str) -> Shape:
    shape = SAGEMAKER.operation_model(CREATE[STEPS[name]["Type"]][0]).input_shape
    assert shape is not None
    return shape


def request_of(name: str) -> dict[str, Any]:
    """The request that Pipelines would make in a typical execution."""
    _, given, _ = CREATE[STEPS[name]["Type"]]
    request: dict[str, Any] = resolve(STEPS[name]["Arguments"])
    assert given not in request, f"Pipelines names the jobs of {name}"
    return {given: f"pipelines-abc-{name}-xyz", **request} if given else request


def resolve(value: Any) -> Any:
    """Puts values in the place of references."""
    if isinstance(value, list):
        return [resolve(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Get"}:
        return look_up(value["Get"])
    if value.keys() == {"Std:Join"}:
        return value["Std:Join"]["On"].join(resolve(value["Std:Join"]["Values"]))
    return {key: resolve(item) for key, item in value.items()}


def look_up(reference: str) -> str:
    kind, _, path = reference.partition(".")
    if kind == "Parameters":
        return PARAMETERS[path]
    if kind == "Execution":
        return "arn:aws:sagemaker:eu-central-1:111122223333:pipeline/retrain-pipeline/execution/abcdefghijkl"
    step, _, field = path.partition(".")
    if output := re.fullmatch(r"ProcessingOutputConfig\.Outputs\['(\w+)'\]\.S3Output\.S3Uri", field):
        declared = STEPS[step]["Arguments"]["ProcessingOutputConfig"]["Outputs"]
        [uri] = [item["S3Output"]["S3Uri"] for item in declared if item["OutputName"] == output[1]]
        return str(resolve(uri))
    if field == "ModelArtifacts.S3ModelArtifacts":
        return ARTIFACTS
    if field == "ModelName":
        return f"pipelines-abc-{step}-xyz"
    assert field == "TransformOutput.S3OutputPath"
    return str(resolve(STEPS[step]["Arguments"]["TransformOutput"]["S3OutputPath"]))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if value.keys() == {"Get"}:
            yield value["Get"]
        else:
            yield from references(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def depends_on(step: dict[str, Any]) -> set[str]:
    found = [reference.split(".") for reference in references(step["Arguments"])]
    return {parts[1] for parts in found if parts[0] == "Steps"}


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
    pattern = shape.metadata.get("pattern")
    if pattern and not regex.fullmatch(pattern, value):
        yield path, f"{value} does not match {pattern}"
    size = value if isinstance(value, int) else len(value)
    if size > shape.metadata.get("max", size):
        yield path, f"{value} is more than {shape.metadata['max']}"
