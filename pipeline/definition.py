"""The SageMaker Pipeline: feature ingestion, dataset, training or tuning, scoring, quality, registry.

`python pipeline/definition.py` renders this file twice: to `definition.json`, which trains once, and to
`tuning.json`, which searches. They differ in one step, since a condition step of SageMaker Pipelines can
neither rejoin its branches nor stand in another one's (docs/decisions/0006). Both are as the template's
defaults make them. Each is written once more as the one string that CloudFormation takes, with its variables
(`*.include.json`), and what each container lets be tuned as a mapping of the template
(`ranges.include.json`; docs/decisions/0015). `--check` writes nothing and exits with 1 when a rendered file
is stale.
"""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from ranges import Ranges, RangesError, read_ranges
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionEquals, ConditionGreaterThanOrEqualTo
from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import Step, StepTypeEnum
from steps import (
    JSON_LINES,
    MAX_RUNTIME,
    MAX_WAIT,
    VOLUME_GB,
    Request,
    RequestStep,
    athena_input,
    below,
    channel,
    output_of,
    processing_job,
    s3_input,
    s3_output,
    text,
    value_of,
)

HERE = Path(__file__).resolve().parent
MIME_TYPES = [JSON_LINES, "application/json", "text/csv"]
OBJECTIVE = "validation:accuracy"
METRICS = [
    {"Name": name, "Regex": f"{name}=([0-9.]+)"}
    for name in ("train:accuracy", OBJECTIVE, "validation:log_loss")
]
RETRIES = {"MaximumRetryAttempts": 2}  # after a fault of SageMaker's own, within the same time
DEFAULT_CONTAINER = "linear"  # the template's ModelContainer, unless it is told another
ACCURACY = "multiclass_classification_metrics.accuracy.value"
NO_CHAMPION = "none"

# The latest version of each record, unless it is a deletion, of what had happened by then.
QUERY = (
    "SELECT record_id, event_time, text, label, split, source FROM ("
    "SELECT *, row_number() OVER (PARTITION BY record_id "
    "ORDER BY event_time DESC, api_invocation_time DESC, write_time DESC) AS version "
    'FROM "',
    "\" WHERE event_time <= '",
    "') WHERE version = 1 AND NOT is_deleted",
)

MANIFEST_URI = ParameterString("ManifestUri")
PLAN_URI = ParameterString("PlanUri")
AS_OF = ParameterString("AsOf")
OUTPUT_URI = ParameterString("OutputUri")
QUARANTINE_URI = ParameterString("QuarantineUri")
ATHENA_URI = ParameterString("AthenaUri")
CHECKPOINT_URI = ParameterString("CheckpointUri")
FEATURE_GROUP = ParameterString("FeatureGroupName")
OFFLINE_DATABASE = ParameterString("OfflineStoreDatabase")
OFFLINE_TABLE = ParameterString("OfflineStoreTable")
OFFLINE_TIMEOUT = ParameterString("OfflineStoreTimeoutMinutes", default_value="30")
CHAMPION = ParameterString("ChampionModelName", default_value=NO_CHAMPION)
ACCURACY_FLOOR = ParameterFloat("AccuracyFloor", default_value=0.6)
MAX_TUNING_JOBS = ParameterInteger("MaxTuningJobs")
MAX_PARALLEL_TUNING_JOBS = ParameterInteger("MaxParallelTuningJobs")
CODE_VERSION = ParameterString("CodeVersion", default_value="unversioned")
PROCESSING_IMAGE = ParameterString("ProcessingImageUri")
MODEL_IMAGE = ParameterString("ModelImageUri")
PROCESSING_ROLE = ParameterString("ProcessingRoleArn")
TRAINING_ROLE = ParameterString("TrainingRoleArn")
MODEL_ROLE = ParameterString("ModelRoleArn")
PACKAGE_GROUP = ParameterString("ModelPackageGroupName")
PROCESSING_INSTANCE = ParameterString("ProcessingInstanceType", default_value="ml.m5.large")
TRAINING_INSTANCE = ParameterString("TrainingInstanceType", default_value="ml.m5.xlarge")
TRAINING_INSTANCES = ParameterInteger("TrainingInstanceCount", default_value=1)
TRANSFORM_INSTANCE = ParameterString("TransformInstanceType", default_value="ml.m5.large")
INGEST_INSTANCES = ParameterInteger("IngestInstanceCount", default_value=1)

REQUIRED = [
    MANIFEST_URI,
    PLAN_URI,
    AS_OF,
    OUTPUT_URI,
    QUARANTINE_URI,
    ATHENA_URI,
    CHECKPOINT_URI,
    FEATURE_GROUP,
    OFFLINE_DATABASE,
    OFFLINE_TABLE,
    PROCESSING_IMAGE,
    MODEL_IMAGE,
    PROCESSING_ROLE,
    TRAINING_ROLE,
    MODEL_ROLE,
    PACKAGE_GROUP,
]
OPTIONAL = [
    CHAMPION,
    ACCURACY_FLOOR,
    OFFLINE_TIMEOUT,
    CODE_VERSION,
    PROCESSING_INSTANCE,
    INGEST_INSTANCES,
    TRAINING_INSTANCE,
    TRAINING_INSTANCES,
    TRANSFORM_INSTANCE,
]


class Choices(NamedTuple):
    """What no pipeline parameter can choose: it stands in the definition when the stack is deployed.

    SageMaker refuses MaxWaitTimeInSeconds where EnableManagedSpotTraining is false, so a parameter cannot
    switch the one without the other; and of a list like the ranges, parameters can change no more than parts.
    """

    spot: object
    limits: object
    ranges: object


SPOT_LIMITS = MAX_RUNTIME | MAX_WAIT
VARIABLES = Choices("${UseSpot}", "${TrainingLimits}", "${ParameterRanges}")


def build(*, tuned: bool, choices: Choices) -> Pipeline:
    """The pipeline, without a name: CloudFormation gives it one."""
    ingest = ingest_records()
    dataset = create_dataset(ingest)
    train = tune_model(dataset, choices) if tuned else train_model(dataset, choices)
    artifacts = best_artifacts(train) if tuned else train.properties.ModelArtifacts.S3ModelArtifacts
    job = best_job(train) if tuned else train.properties.TrainingJobName
    model = create_model(artifacts)
    score = score_rows("ScoreTestSplit", "challenger", dataset, model.properties.ModelName)
    evaluate = evaluate_quality(dataset, score)
    register = register_model(dataset, evaluate, artifacts, job)
    return Pipeline(
        parameters=[*REQUIRED, *OPTIONAL, *(search_size(4, 2) if tuned else search_size(1, 1))],
        pipeline_experiment_config=None,
        steps=[
            ingest,
            dataset,
            train,
            model,
            score,
            evaluate,
            above_floor(evaluate, register),
            has_champion(dataset, score),
        ],
        sagemaker_session=offline_session(),
    )


def search_size(jobs: int, parallel: int) -> list[ParameterInteger]:
    """The parameters that say how many trainings there are, with a definition's own defaults."""
    return [
        ParameterInteger(MAX_TUNING_JOBS.name, default_value=jobs),
        ParameterInteger(MAX_PARALLEL_TUNING_JOBS.name, default_value=parallel),
    ]


def ingest_records() -> RequestStep:
    """Writes what is new under raw/ to the feature store, and waits until a query finds it there."""
    request = processing_job(
        PROCESSING_IMAGE,
        PROCESSING_ROLE,
        PROCESSING_INSTANCE,
        "ingest",
        inputs=[
            s3_input("raw", MANIFEST_URI, data_type="ManifestFile", distribution="ShardedByS3Key"),
            s3_input("plan", PLAN_URI),
        ],
        # Continuous: also what fails says which files it refused, and why.
        outputs=[
            s3_output("report", below(OUTPUT_URI, "ingest"), mode="Continuous"),
            s3_output("quarantine", QUARANTINE_URI, mode="Continuous"),
        ],
        environment={
            "FEATURE_GROUP_NAME": FEATURE_GROUP,
            "OFFLINE_STORE_DATABASE": OFFLINE_DATABASE,
            "OFFLINE_STORE_TABLE": OFFLINE_TABLE,
            "OFFLINE_STORE_TIMEOUT_MINUTES": OFFLINE_TIMEOUT,
            "ATHENA_OUTPUT_URI": below(ATHENA_URI, "ingest"),
        },
        instances=INGEST_INSTANCES,
    )
    description = "Check the new raw files against the data contract and write their records"
    return RequestStep("IngestRecords", StepTypeEnum.PROCESSING, description, request, cached=True)


def create_dataset(ingest: Step) -> RequestStep:
    """Splits the records that are live as of the run's time."""
    head, middle, tail = QUERY
    query = text(head, OFFLINE_TABLE, middle, AS_OF, tail)
    request = processing_job(
        PROCESSING_IMAGE,
        PROCESSING_ROLE,
        PROCESSING_INSTANCE,
        "create_dataset",
        inputs=[
            athena_input("records", OFFLINE_DATABASE, query, below(ATHENA_URI, "dataset")),
            s3_input("ingest", output_of(ingest, "report")),
        ],
        outputs=[
            s3_output(name, below(OUTPUT_URI, "dataset", name))
            for name in ("train", "validation", "test", "labels", "report")
        ],
        environment={"AS_OF": AS_OF},
    )
    return RequestStep(
        "CreateDataset",
        StepTypeEnum.PROCESSING,
        "Take each record's latest version as of the run's time, and split them",
        request,
        files={"Dataset": ("report", "dataset.json")},
        cached=True,
    )


def train_model(dataset: Step, choices: Choices) -> RequestStep:
    """Trains the bring-your-own model image once, with its own defaults."""
    request = training_job(dataset, choices)
    return RequestStep("TrainModel", StepTypeEnum.TRAINING, "Train the text classifier", request, cached=True)


def tune_model(dataset: Step, choices: Choices) -> RequestStep:
    """Trains the bring-your-own model image with hyperparameters that a search proposes."""
    request = {
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": OBJECTIVE},
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": MAX_TUNING_JOBS,
                "MaxParallelTrainingJobs": MAX_PARALLEL_TUNING_JOBS,
            },
            "ParameterRanges": choices.ranges,
            "TrainingJobEarlyStoppingType": "Auto",
            "RandomSeed": 1,
        },
        "TrainingJobDefinition": training_job(dataset, choices),
    }
    description = "Train the text classifier with several hyperparameters; the best on validation rows wins"
    return RequestStep("TuneModel", StepTypeEnum.TUNING, description, request, cached=True)


def training_job(dataset: Step, choices: Choices) -> Request:
    """What one training does, by itself or as one of a search.

    The checkpoints' place is part of what a training is cached by, so it cannot name the run. It names what
    they depend on: another time or image finds none of them. SageMaker's documentation promises no place of
    its own to each training of a search: a container keeps its checkpoints below its job's name.
    """
    return {
        "AlgorithmSpecification": {
            "TrainingImage": MODEL_IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": METRICS,
        },
        "CheckpointConfig": {"S3Uri": below(CHECKPOINT_URI, AS_OF, MODEL_IMAGE)},
        "EnableManagedSpotTraining": choices.spot,
        "InputDataConfig": [channel(name, output_of(dataset, name)) for name in ("train", "validation")],
        "OutputDataConfig": {"S3OutputPath": below(OUTPUT_URI, "model")},
        "ResourceConfig": {
            "InstanceCount": TRAINING_INSTANCES,
            "InstanceType": TRAINING_INSTANCE,
            "VolumeSizeInGB": VOLUME_GB,
        },
        "RetryStrategy": RETRIES,
        "RoleArn": TRAINING_ROLE,
        "StoppingCondition": choices.limits,
    }


def best_job(tune: Step) -> object:
    """The training job that the search found best."""
    return tune.properties.BestTrainingJob.TrainingJobName


def best_artifacts(tune: Step) -> object:
    """Where the best training job's model lies; the search's description does not say it in one piece."""
    folder = tune.properties.TrainingJobDefinition.OutputDataConfig.S3OutputPath
    return below(folder, best_job(tune), "output/model.tar.gz")


def create_model(artifacts: object) -> RequestStep:
    """Batch Transform takes a model's name, so the artifacts become a model first."""
    request = {
        "ExecutionRoleArn": MODEL_ROLE,
        "PrimaryContainer": {"Image": MODEL_IMAGE, "ModelDataUrl": artifacts},
    }
    description = "Join the trained artifacts and their image to a model"
    return RequestStep("CreateModel", StepTypeEnum.CREATE_MODEL, description, request)


def score_rows(name: str, who: str, dataset: Step, model: object) -> RequestStep:
    """Batch-scores the test split with the image that the endpoints run."""
    request = {
        "ModelName": model,
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": 6,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": output_of(dataset, "test")}},
            "ContentType": JSON_LINES,
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": below(OUTPUT_URI, "predictions", who),
            "Accept": JSON_LINES,
            "AssembleWith": "Line",
        },
        "TransformResources": {"InstanceCount": 1, "InstanceType": TRANSFORM_INSTANCE},
    }
    description = f"Score the test split with the {who}, in the image that serves"
    return RequestStep(name, StepTypeEnum.TRANSFORM, description, request, cached=True)


def evaluate_quality(dataset: Step, score: Step) -> RequestStep:
    """Compares predictions and labels; writes Model Monitor's files and a report."""
    request = quality_job(
        "evaluate",
        dataset,
        [s3_input("predictions", score.properties.TransformOutput.S3OutputPath)],
        s3_output("quality", below(OUTPUT_URI, "quality")),
    )
    return RequestStep(
        "EvaluateQuality",
        StepTypeEnum.PROCESSING,
        "Compare the predictions with the labels; write the model's quality as Model Monitor does",
        request,
        files={"ModelQuality": ("quality", "statistics.json")},
        cached=True,
    )


def compare_models(dataset: Step, challenger: Step, champion: Step) -> RequestStep:
    """Tests whether the challenger is better than the champion on the same rows."""
    request = quality_job(
        "compare",
        dataset,
        [
            s3_input(name, score.properties.TransformOutput.S3OutputPath)
            for name, score in (("challenger", challenger), ("champion", champion))
        ],
        s3_output("comparison", below(OUTPUT_URI, "comparison")),
        environment={"CHAMPION_MODEL_NAME": CHAMPION},
    )
    description = "Compare the new model with the live one, row by row"
    return RequestStep("CompareModels", StepTypeEnum.PROCESSING, description, request, cached=True)


def quality_job(
    command: str,
    dataset: Step,
    predictions: list[Request],
    output: Request,
    environment: dict[str, Any] | None = None,
) -> Request:
    """A command that judges predictions over the test split."""
    return processing_job(
        PROCESSING_IMAGE,
        PROCESSING_ROLE,
        PROCESSING_INSTANCE,
        command,
        inputs=[
            *predictions,
            s3_input("test", output_of(dataset, "test")),
            s3_input("labels", output_of(dataset, "labels")),
            s3_input("dataset", output_of(dataset, "report")),
        ],
        outputs=[output],
        environment=environment,
    )


def above_floor(evaluate: Step, register: Step) -> ConditionStep:
    """Registers no model that is worse than the floor."""
    message = text(
        "The accuracy over the test split is below the floor of ",
        ACCURACY_FLOOR,
        ": no model was registered. See ",
        output_of(evaluate, "quality"),
        "/report.html",
    )
    return ConditionStep(
        "AboveFloor",
        description="Is the accuracy at least the floor?",
        conditions=[
            ConditionGreaterThanOrEqualTo(value_of(evaluate, "ModelQuality", ACCURACY), ACCURACY_FLOOR)
        ],
        if_steps=[register],
        else_steps=[FailStep("BelowFloor", message, description="Register nothing, and say why")],
    )


def has_champion(dataset: Step, challenger: Step) -> ConditionStep:
    """Scores the same rows with the live model, if there is one, and compares."""
    champion = score_rows("ScoreChampion", "champion", dataset, CHAMPION)
    return ConditionStep(
        "NoChampion",
        description="Is there no live model to compare with?",
        conditions=[ConditionEquals(CHAMPION, NO_CHAMPION)],
        if_steps=[],
        else_steps=[champion, compare_models(dataset, challenger, champion)],
    )


def register_model(dataset: Step, evaluate: Step, artifacts: object, job: object) -> RequestStep:
    """Registers the model with its metrics and its origin, pending the workflow's judgement."""
    request = {
        "ModelPackageGroupName": PACKAGE_GROUP,
        "ModelPackageDescription": "Text classifier, retrained because data arrived",
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [{"Image": MODEL_IMAGE, "ModelDataUrl": artifacts}],
            "SupportedContentTypes": MIME_TYPES,
            "SupportedResponseMIMETypes": MIME_TYPES,
        },
        "ModelMetrics": {
            "ModelQuality": {
                name: {
                    "ContentType": "application/json",
                    "S3Uri": below(output_of(evaluate, "quality"), f"{name.lower()}.json"),
                }
                for name in ("Statistics", "Constraints")
            }
        },
        "CustomerMetadataProperties": {
            "AsOf": AS_OF,
            "CodeVersion": CODE_VERSION,
            "DatasetSha256": value_of(dataset, "Dataset", "sha256"),
            "Manifest": MANIFEST_URI,
            "MaxTuningJobs": text(MAX_TUNING_JOBS),
            "PipelineExecution": ExecutionVariables.PIPELINE_EXECUTION_ARN,
            "Report": below(output_of(evaluate, "quality"), "report.html"),
            "TrainingJob": job,
        },
    }
    description = "Register the model with its quality and its origin, pending approval"
    return RequestStep("RegisterModel", StepTypeEnum.REGISTER_MODEL, description, request)


def offline_session() -> PipelineSession:
    """A session that never calls: rendering needs no account, and the region appears nowhere."""
    # Credentials that exist keep boto3 from looking for some on the network.
    dummy = boto3.Session("unused", "unused", region_name="us-east-1")
    return PipelineSession(boto_session=dummy)


def render() -> dict[Path, str]:
    """Every rendered file's content."""
    containers = read_ranges(HERE.parent / "containers")
    defaults = Choices(True, SPOT_LIMITS, containers[DEFAULT_CONTAINER])
    files = {"ranges.include.json": {"Tuning": {name: mapped(it) for name, it in containers.items()}}}
    for name, tuned in (("definition", False), ("tuning", True)):
        files[f"{name}.json"] = json.loads(build(tuned=tuned, choices=defaults).definition())
        files[f"{name}.include.json"] = included(build(tuned=tuned, choices=VARIABLES))
    return {HERE / name: json.dumps(content, indent=2) + "\n" for name, content in files.items()}


def mapped(ranges: Ranges) -> dict[str, str]:
    """A container's part of the template's mapping."""
    return {"ParameterRanges": compact(ranges)}


def included(pipeline: Pipeline) -> dict[str, Any]:
    """What the template includes: the definition, its variables being JSON and so without quotes."""
    body = compact(json.loads(pipeline.definition()))
    for variable in VARIABLES:
        body = body.replace(f'"{variable}"', str(variable))
    ranges = ["Tuning", {"Ref": "ModelContainer"}, "ParameterRanges", {"DefaultValue": "{}"}]
    values = {
        "TrainingLimits": {"Fn::If": ["OnSpot", compact(SPOT_LIMITS), compact(MAX_RUNTIME)]},
        "ParameterRanges": {"Fn::FindInMap": ranges},
    }
    used = {name: value for name, value in values.items() if f"${{{name}}}" in body}
    return {"PipelineDefinitionBody": {"Fn::Sub": [body, used]}}


def compact(content: object) -> str:
    """JSON on one line."""
    return json.dumps(content, separators=(",", ":"))


def main(arguments: list[str]) -> int:
    """Writes what is stale, or with `--check` only names it."""
    try:
        rendered = render()
    except RangesError as error:
        print(error, file=sys.stderr)
        return 1
    stale = {
        path: content
        for path, content in rendered.items()
        if not path.exists() or path.read_text() != content
    }
    if "--check" in arguments:
        for path in stale:
            print(f"{path.name} is stale: run `python pipeline/definition.py` and commit it", file=sys.stderr)
        return 1 if stale else 0
    for path, content in stale.items():
        path.write_text(content)
        print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
