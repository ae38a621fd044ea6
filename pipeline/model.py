"""The model steps: training or tuning, the model with its image, and its registration."""

from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.steps import Step, StepTypeEnum

from pipeline.parameters import AS_OF, MAX_PARALLEL_TUNING_JOBS, MAX_TUNING_JOBS, OUTPUT_URI, PLAN_URI
from pipeline.settings import (
    CHECKPOINT_URI,
    CODE_VERSION,
    MODEL_IMAGE,
    MODEL_ROLE,
    PACKAGE_GROUP,
    PARAMETER_RANGES,
    TRAINING_INSTANCE,
    TRAINING_INSTANCES,
    TRAINING_LIMITS,
    TRAINING_ROLE,
    USE_SPOT,
)
from pipeline.steps import (
    JSON_LINES,
    VOLUME_GB,
    Request,
    RequestStep,
    below,
    channel,
    output_of,
    text,
    value_of,
)

MIME_TYPES = [JSON_LINES, "application/json", "text/csv"]
OBJECTIVE = "validation:accuracy"
METRICS = [
    {"Name": name, "Regex": f"{name}=([0-9.]+)"}
    for name in ("train:accuracy", OBJECTIVE, "validation:log_loss")
]
RETRIES = {"MaximumRetryAttempts": 2}  # after an internal error of SageMaker, within the same time


def train_model(dataset: Step) -> RequestStep:
    """Train the bring-your-own model image once, with its own defaults."""
    request = training_job(dataset)
    return RequestStep("TrainModel", StepTypeEnum.TRAINING, "Train the text classifier", request, cached=True)


def tune_model(dataset: Step) -> RequestStep:
    """Train the bring-your-own model image with hyperparameters that a search proposes."""
    request = {
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": OBJECTIVE},
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": MAX_TUNING_JOBS,
                "MaxParallelTrainingJobs": MAX_PARALLEL_TUNING_JOBS,
            },
            "ParameterRanges": PARAMETER_RANGES,
            "TrainingJobEarlyStoppingType": "Auto",
            "RandomSeed": 1,
        },
        "TrainingJobDefinition": training_job(dataset),
    }
    description = "Train the text classifier with several hyperparameters; the best on validation rows wins"
    return RequestStep("TuneModel", StepTypeEnum.TUNING, description, request, cached=True)


def training_job(dataset: Step) -> Request:
    """Return the request of one training, alone or as part of a search.

    The checkpoints' URI is part of the cache key of a training, so it cannot name the run. It names what they
    depend on: another time or another image finds none of them. SageMaker's documentation promises no folder
    per training of a search: a container keeps its checkpoints below its job's name.
    """
    return {
        "AlgorithmSpecification": {
            "TrainingImage": MODEL_IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": METRICS,
        },
        "CheckpointConfig": {"S3Uri": below(CHECKPOINT_URI, AS_OF, MODEL_IMAGE)},
        # No parameter of the pipeline could set it: SageMaker refuses MaxWaitTimeInSeconds without Spot.
        "EnableManagedSpotTraining": USE_SPOT,
        "InputDataConfig": [channel(name, output_of(dataset, name)) for name in ("train", "validation")],
        "OutputDataConfig": {"S3OutputPath": below(OUTPUT_URI, "model")},
        "ResourceConfig": {
            "InstanceCount": TRAINING_INSTANCES,
            "InstanceType": TRAINING_INSTANCE,
            "VolumeSizeInGB": VOLUME_GB,
        },
        "RetryStrategy": RETRIES,
        "RoleArn": TRAINING_ROLE,
        "StoppingCondition": TRAINING_LIMITS,
    }


def best_job(tune: Step) -> object:
    """Return the name of the search's best training job."""
    return tune.properties.BestTrainingJob.TrainingJobName


def best_artifacts(tune: Step) -> object:
    """Return the URI of the best training job's model, which the search's description has only in parts."""
    folder = tune.properties.TrainingJobDefinition.OutputDataConfig.S3OutputPath
    return below(folder, best_job(tune), "output/model.tar.gz")


def create_model(artifacts: object) -> RequestStep:
    """Create a model of the artifacts, since Batch Transform takes a model's name."""
    request = {
        "ExecutionRoleArn": MODEL_ROLE,
        "PrimaryContainer": {"Image": MODEL_IMAGE, "ModelDataUrl": artifacts},
    }
    description = "Join the trained artifacts and their image to a model"
    return RequestStep("CreateModel", StepTypeEnum.CREATE_MODEL, description, request)


def register_model(dataset: Step, evaluate: Step, artifacts: object, job: object) -> RequestStep:
    """Register the model with its metrics and its origin, pending the workflow's judgement."""
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
            "Plan": PLAN_URI,
            "MaxTuningJobs": text(MAX_TUNING_JOBS),
            "PipelineExecution": ExecutionVariables.PIPELINE_EXECUTION_ARN,
            "Report": below(output_of(evaluate, "quality"), "report.html"),
            "TrainingJob": job,
        },
    }
    description = "Register the model with its quality and its origin, pending approval"
    return RequestStep("RegisterModel", StepTypeEnum.REGISTER_MODEL, description, request)
