"""Definitions: valid, or rejected with a message that names the problem."""

import json
from typing import Any

import pytest

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.pipelines.definition import PipelineDefinition

Document = dict[str, Any]

ROLE = "arn:aws:iam::000000000000:role/steps"
CLUSTER = {"InstanceCount": {"Get": "Parameters.N"}, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
TRAINING = {
    "AlgorithmSpecification": {"TrainingImage": {"Get": "Parameters.P"}, "TrainingInputMode": "File"},
    "RoleArn": ROLE,
    "OutputDataConfig": {
        "S3OutputPath": {"Std:Join": {"On": "/", "Values": ["s3:/", {"Get": "Parameters.P"}]}}
    },
    "ResourceConfig": CLUSTER,
    "HyperParameters": {"run": {"Get": "Execution.PipelineExecutionId"}},
}
PROCESSING = {
    "AppSpecification": {"ImageUri": "tiny"},
    "ProcessingResources": {"ClusterConfig": CLUSTER},
    "RoleArn": ROLE,
    "ProcessingOutputConfig": {
        "Outputs": [
            {
                "OutputName": "metrics",
                "S3Output": {
                    "S3Uri": "s3://b/metrics",
                    "LocalPath": "/opt/ml/processing/output",
                    "S3UploadMode": "EndOfJob",
                },
            }
        ]
    },
}
TUNING = {
    "HyperParameterTuningJobConfig": {
        "Strategy": "Bayesian",
        "ResourceLimits": {"MaxParallelTrainingJobs": {"Get": "Parameters.N"}},
    },
    "TrainingJobDefinition": {**TRAINING, "StoppingCondition": {"MaxRuntimeInSeconds": 60}},
}
del TUNING["TrainingJobDefinition"]["HyperParameters"]
FILE = {"PropertyFileName": "Metrics", "OutputName": "metrics", "FilePath": "metrics.json"}
ACCURACY = {
    "Std:JsonGet": {
        "PropertyFile": {"Get": "Steps.E.PropertyFiles.Metrics"},
        "Path": "metrics['f1'][0].value",
    }
}
MODEL_DATA = "ModelArtifacts.S3ModelArtifacts"


def step(name: str, kind: str = "Training", arguments: Document = TRAINING, **members: Any) -> Document:
    return {"Name": name, "Type": kind, "Arguments": arguments} | members


def model(name: str, data: str | Document, **members: Any) -> Document:
    """Return a Model step; `data` is the path of a Get, or a reference."""
    url = {"Get": data} if isinstance(data, str) else data
    container = {"Image": "tiny", "ModelDataUrl": url}
    return step(name, "Model", {"ExecutionRoleArn": ROLE, "PrimaryContainer": container}, **members)


def evaluation(name: str = "E", **members: Any) -> Document:
    return step(name, "Processing", PROCESSING, PropertyFiles=[FILE], **members)


def condition(
    name: str, *if_steps: Document, otherwise: tuple[Document, ...] = (), left: Any = 1, **members: Any
) -> Document:
    arguments = {
        "Conditions": [{"Type": "GreaterThan", "LeftValue": left, "RightValue": 0.5}],
        "IfSteps": list(if_steps),
        "ElseSteps": list(otherwise),
    }
    return step(name, "Condition", arguments, **members)


def fail(name: str, message: Any = "no") -> Document:
    return step(name, "Fail", {"ErrorMessage": message})


def function(name: str, **members: Any) -> Document:
    outputs = [{"OutputName": "where", "OutputType": "String"}]
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
    return step(name, "Lambda", {"any": [{"Get": "Parameters.N"}]}) | {
        "FunctionArn": arn,
        "OutputParameters": outputs,
        **members,
    }


def body(*steps: Document, **top: Any) -> str:
    parameters = [
        {"Name": "P", "Type": "String"},
        {"Name": "N", "Type": "Integer", "DefaultValue": 2},
    ]
    return json.dumps({"Version": "2020-12-01", "Parameters": parameters, "Steps": list(steps)} | top)


def test_dependencies_come_from_references_depends_on_and_branches() -> None:
    definition = PipelineDefinition.parse(
        body(
            step("A"),
            model("B", f"Steps.A.{MODEL_DATA}"),
            model("C", {"Get": f"Steps.A.{MODEL_DATA}"}, DependsOn=["B"]),
            evaluation(),
            condition("D", step("F"), otherwise=(fail("G", ACCURACY),), left=ACCURACY),
            model("H", f"Steps.F.{MODEL_DATA}"),
        )
    )
    assert definition.dependencies == {
        "A": set(),
        "B": {"A"},
        "C": {"A", "B"},
        "E": set(),
        "D": {"E"},
        "F": {"D"},
        "G": {"D", "E"},
        "H": {"F"},
    }
    assert [(name, found.branch) for name, found in definition.steps.items() if found.branch] == [
        ("F", ("D", True)),
        ("G", ("D", False)),
    ]


VALID = {
    "tuning": (step("A", "Tuning", TUNING), model("B", "Steps.A.BestTrainingJob.TrainingJobArn")),
    "tuned jobs": (
        step("A", "Tuning", TUNING),
        model("B", "Steps.A.TrainingJobSummaries[0].TrainingJobName"),
    ),
    "an image by name": (
        evaluation(),
        model("B", "Steps.E.ProcessingOutputConfig.Outputs['metrics'].S3Output.S3Uri"),
    ),
    "a map's value": (step("A"), model("B", "Steps.A.HyperParameters['run']")),
    "an outcome": (condition("D"), fail("F", {"Std:Join": {"Values": [{"Get": "Steps.D.Outcome"}]}})),
    "lambda": (function("L"), model("B", "Steps.L.OutputParameters['where']")),
    "lambda without cache": (function("L", CacheConfig={"Enabled": False}),),
    "json in S3": (condition("D", left={"Std:JsonGet": {"S3Uri": {"Get": "Parameters.P"}, "Path": "$.a"}}),),
    "json in arguments": (evaluation(), step("A", arguments=TRAINING | {"HyperParameters": {"x": ACCURACY}})),
    "a prefix of names": (step("A", arguments=TRAINING | {"TrainingJobName": "mine"}),),
    "caching": (evaluation(CacheConfig={"Enabled": True, "ExpireAfter": "30d"}),),
    "retrying": (step("A", RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"], "ExpireAfterMin": 5}]),),
    "no message": (fail("F", ""),),
    "hyphens": (step("A-1"), model("B", f"Steps.A-1.{MODEL_DATA}")),
}


@pytest.mark.parametrize("case", VALID)
def test_a_valid_definition_is_accepted(case: str) -> None:
    PipelineDefinition.parse(body(*VALID[case]))


def test_references_to_a_tuning_step_s_job_list_are_found() -> None:
    definition = PipelineDefinition.parse(body(*VALID["tuned jobs"], step("C", "Tuning", TUNING)))
    assert (definition.reads_tuned_jobs("A"), definition.reads_tuned_jobs("C")) == (True, False)


INVALID = {
    "not JSON": ("{", "Unable to parse the pipeline definition as JSON"),
    "too deep": ("[" * 100_000, "Unable to parse the pipeline definition as JSON"),
    "no steps": (body(), r"at \$.Steps: \[\]"),
    "version": (body(step("A"), Version="1999"), "'2020-12-01' was expected"),
    "top member": (body(step("A"), Cache=1), "'Cache' was unexpected"),
    "default": (
        body(step("A"), Parameters=[{"Name": "P", "Type": "Integer", "DefaultValue": "2"}]),
        "Parameter 'P' is of type Integer, but '2' is not",
    ),
    "twice": (body(step("A"), step("A")), "step names are not unique: 'A' is used twice"),
    "twice in branches": (body(step("A"), condition("D", step("A"))), "not unique: 'A' is used twice"),
    "type": (body(step("A", "EMR")), "step type 'EMR' of step 'A' is not supported locally"),
    "member": (body(step("A", Cache=1)), "Invalid step 'A': a Training step has no member 'Cache'"),
    "member of another": (body(step("A", PropertyFiles=[])), "Training step has no member 'PropertyFiles'"),
    "cached model": (
        body(model("A", "Parameters.P", CacheConfig={})),
        "Model step has no member 'CacheConfig'",
    ),
    "cached lambda": (
        body(function("L", CacheConfig={"Enabled": True, "ExpireAfter": "1d"})),
        "The CacheConfig of the Lambda step 'L' is not supported locally",
    ),
    "expiry": (
        body(step("A", CacheConfig={"Enabled": True, "ExpireAfter": "soon"})),
        "Invalid step 'A': 'soon' is not an ISO 8601 duration",
    ),
    "retries": (
        body(step("A", RetryPolicies=[{"ExceptionType": ["Moon"]}])),
        r"ExceptionType\[0\]: 'Moon' is not",
    ),
    "dangling step": (
        body(model("B", "Steps.Z.ModelArtifacts")),
        "Invalid step 'B': It refers to 'Steps.Z.ModelArtifacts', which does not exist in the pipeline",
    ),
    "dangling parameter": (body(model("B", "Parameters.Q")), "Invalid step 'B': It refers to 'Parameters.Q'"),
    "dangling variable": (body(model("B", "Execution.Moon")), "It refers to 'Execution.Moon'"),
    "a whole step": (body(step("A"), model("B", "Steps.A")), "It refers to 'Steps.A'"),
    "property": (
        body(step("A"), model("B", "Steps.A.ModelArtifacts.Uri")),
        "'Steps.A.ModelArtifacts.Uri', but ModelArtifacts has no member 'Uri', only S3ModelArtifacts",
    ),
    "below a text": (
        body(step("A"), model("B", "Steps.A.TrainingJobName.x")),
        "the value before 'x' has no members",
    ),
    "output": (
        body(evaluation(), model("B", "Steps.E.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri")),
        "but the list has no item 'out', only metrics",
    ),
    "structure": (
        body(step("A"), model("B", "Steps.A.ModelArtifacts")),
        "'Steps.A.ModelArtifacts' of type structure at 'primaryContainer.modelDataUrl' must be a string",
    ),
    "other type": (
        body(step("A", arguments=TRAINING | {"RoleArn": {"Get": "Parameters.N"}})),
        "Invalid step 'A': its Arguments: Value 'Parameters.N' of type integer at 'roleArn' must be a string",
    ),
    "parameter for a list": (
        body(step("A", arguments=TRAINING | {"InputDataConfig": {"Get": "Parameters.P"}})),
        "Value at 'inputDataConfig' must be a list",
    ),
    "missing argument": (
        body(step("A", arguments={})),
        "Value null at 'outputDataConfig' failed to satisfy constraint: Member must not be null",
    ),
    "unknown argument": (body(step("A", arguments=TRAINING | {"X": 1})), "Unknown member 'X'"),
    "wrong argument": (
        body(step("A", arguments=TRAINING | {"RoleArn": "me"})),
        "Value 'me' at 'roleArn' failed to satisfy constraint: Member must",
    ),
    "package name": (body(step("A", "RegisterModel", {"ModelPackageName": "x"})), "'ModelPackageName'"),
    "reference as arguments": (
        body(step("A", arguments={"Get": "Parameters.P"})),
        "Invalid step 'A': its Arguments are a reference",
    ),
    "join of a list": (
        body(model("B", {"Std:Join": {"On": "", "Values": [["a"]]}})),
        "Std:Join only joins strings, numbers and references",
    ),
    "join of a structure": (
        body(step("A"), model("B", {"Std:Join": {"On": "", "Values": [{"Get": "Steps.A.ModelArtifacts"}]}})),
        "Std:Join only joins strings, numbers and references, not Steps.A.ModelArtifacts",
    ),
    "function": (body(model("B", {"Std:Moon": {}})), "'Std:Moon': {}} is not supported locally"),
    "missing dependency": (body(step("B", DependsOn=["Z"])), "Step 'B' depends on 'Z'"),
    "cycle": (
        body(step("A", DependsOn=["B"]), step("B", DependsOn=["A"])),
        "cycle between steps (A -> B -> A|B -> A -> B)",
    ),
    "cycle through a branch": (
        body(condition("D", evaluation(), left=ACCURACY)),
        "cycle between steps (D -> E -> D|E -> D -> E)",
    ),
    "nested": (
        body(condition("D", condition("E"))),
        r"Condition step 'D' has condition steps \['E'\] in its IfSteps",
    ),
    "branch": (
        body(condition("D", {"Name": "A"})),
        r"at \$.Steps\[0\].Arguments.IfSteps\[0\]: '(Type|Arguments)' is a required property",
    ),
    "conditions": (
        body(step("D", "Condition", {"IfSteps": []})),
        "Invalid step 'D': Conditions must be a list",
    ),
    "condition's arguments": (
        body(step("D", "Condition", condition("D")["Arguments"] | {"Then": []})),
        r"have no members \['Then'\]",
    ),
    "after a condition": (
        body(condition("D"), step("A", DependsOn=["D"])),
        "depends on the condition step 'D'",
    ),
    "after a fail step": (body(fail("F"), step("A", DependsOn=["F"])), "A can not depends on F"),
    "of a fail step": (body(fail("F"), model("A", "Steps.F.ErrorMessage")), "Fail step has no properties"),
    "outcome": (body(condition("D"), model("A", "Steps.D.Result")), "which a Condition step does not have"),
    "message": (body(fail("F", ["a"])), "the Arguments of a Fail step must be an ErrorMessage string"),
    "lambda's output": (body(function("L"), model("A", "Steps.L.OutputParameters['x']")), "does not have"),
    "function's ARN": (body(step("L", "Lambda", {})), "a Lambda step requires a FunctionArn"),
    "property file": (
        body(
            evaluation(), condition("D", left=json.loads(json.dumps(ACCURACY).replace("Files.M", "Files.Q")))
        ),
        r"'Steps.E.PropertyFiles.Qetrics', but the property files of step 'E' are \[Metrics\]",
    ),
    "property file as a property": (
        body(evaluation(), model("B", "Steps.E.PropertyFiles.Metrics")),
        "is a property file, which only Std:JsonGet can read",
    ),
    "property file's output": (
        body(step("E", "Processing", PROCESSING, PropertyFiles=[FILE | {"OutputName": "x"}])),
        r"refers to the output 'x', but the outputs are \['metrics'\]",
    ),
    "json without a path": (
        body(condition("D", left={"Std:JsonGet": {"S3Uri": "s3://b/x"}})),
        "Std:JsonGet requires Path and either PropertyFile",
    ),
    "json's path": (
        body(condition("D", left={"Std:JsonGet": {"S3Uri": "s3://b/x", "Path": "a[*]"}})),
        r"'a\[\*\]' is not a property path",
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_definition_is_rejected(case: str) -> None:
    text, message = INVALID[case]
    with pytest.raises(ValidationException, match=message):
        PipelineDefinition.parse(text)
