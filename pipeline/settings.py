"""The settings of a deployment: values that the template puts into the definition (docs/decisions/0015).

Each is a reference in the syntax of CloudFormation's `Fn::Sub`, to one of:

- a parameter, a resource or a pseudo parameter of template.yaml, such as `${FeatureGroup}`;
- a value of `VALUES`, which depends on conditions or mappings of the template.

What a run chooses is a parameter of the pipeline instead (`parameters.py`).
"""

import json
from typing import Any

HOURS = 3600  # seconds
MAX_RUNTIME = {"MaxRuntimeInSeconds": 24 * HOURS}
MAX_WAIT = {"MaxWaitTimeInSeconds": 48 * HOURS}  # for Spot capacity, the run time included

REGION = "${AWS::Region}"
BUCKET = "${DataBucket}"
ATHENA_URI = "s3://${DataBucket}/athena"
CHECKPOINT_URI = "s3://${DataBucket}/checkpoints"
FEATURE_GROUP = "${FeatureGroup}"
PACKAGE_GROUP = "${AWS::StackName}-models"
PROCESSING_IMAGE = "${ProcessingImage}"
MODEL_IMAGE = "${ModelImage}"
PROCESSING_ROLE = "${ProcessingRole.Arn}"
TRAINING_ROLE = "${TrainingRole.Arn}"
MODEL_ROLE = "${ModelRole.Arn}"
OFFLINE_TIMEOUT = "${OfflineStoreTimeoutMinutes}"  # a string: a container's environment takes no number
ACCURACY_FLOOR = "${AccuracyFloor}"
CODE_VERSION = "${CodeVersion}"
PROCESSING_INSTANCE = "${ProcessingInstanceType}"
INGEST_INSTANCES = "${IngestInstanceCount}"
TRAINING_INSTANCE = "${TrainingInstanceType}"
TRAINING_INSTANCES = "${TrainingInstanceCount}"
TRANSFORM_INSTANCE = "${TransformInstanceType}"
USE_SPOT = "${UseSpot}"
TRAINING_LIMITS = "${TrainingLimits}"
PARAMETER_RANGES = "${ParameterRanges}"

# Their values are JSON (numbers, a boolean, objects): alone in a string, they replace it with its quotes.
JSON_SETTINGS = (
    ACCURACY_FLOOR,
    INGEST_INSTANCES,
    TRAINING_INSTANCES,
    USE_SPOT,
    TRAINING_LIMITS,
    PARAMETER_RANGES,
)
SPOT_LIMITS = MAX_RUNTIME | MAX_WAIT
# The template's defaults. What depends on the account, the region or the stack has none.
DEFAULTS: dict[str, Any] = {
    OFFLINE_TIMEOUT: "30",
    ACCURACY_FLOOR: 0.6,
    CODE_VERSION: "unversioned",
    PROCESSING_INSTANCE: "ml.m5.large",
    INGEST_INSTANCES: 1,
    TRAINING_INSTANCE: "ml.m5.xlarge",
    TRAINING_INSTANCES: 1,
    TRANSFORM_INSTANCE: "ml.m5.large",
    USE_SPOT: True,
    TRAINING_LIMITS: SPOT_LIMITS,
}
REGISTRY = "${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/retrain"


def compact(content: object) -> str:
    """Return JSON on one line."""
    return json.dumps(content, separators=(",", ":"))


def image(name: str, folder: str) -> dict[str, Any]:
    """Return the URI of an image: the one that the user named, the one that the stack built, or `latest`."""
    built = {"Fn::GetAtt": ["Images", f"{name}Uri"]}
    latest = {"Fn::Sub": f"{REGISTRY}/{folder}:latest"}
    unnamed = {"Fn::If": ["BuildsImages", built, latest]}
    return {"Fn::If": [f"Has{name}Image", {"Ref": f"{name}ImageUri"}, unnamed]}


# The variables of `Fn::Sub` whose values depend on conditions or mappings of the template.
VALUES: dict[str, Any] = {
    PROCESSING_IMAGE: image("Processing", "processing"),
    MODEL_IMAGE: image("Model", "${ModelContainer}"),
    TRAINING_LIMITS: {"Fn::If": ["OnSpot", compact(SPOT_LIMITS), compact(MAX_RUNTIME)]},
    PARAMETER_RANGES: {
        "Fn::FindInMap": [
            "Tuning",
            {"Ref": "ModelContainer"},
            "ParameterRanges",
            {"DefaultValue": "{}"},
        ]
    },
}
