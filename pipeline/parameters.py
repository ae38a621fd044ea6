"""The pipeline's parameters: what an execution is told, and what the stack's settings are."""

from sagemaker.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString

NO_CHAMPION = "none"

REGION = ParameterString("Region")
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
    REGION,
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


def search_size(jobs: int, parallel: int) -> list[ParameterInteger]:
    """The parameters that say how many trainings there are, with a definition's own defaults."""
    return [
        ParameterInteger(MAX_TUNING_JOBS.name, default_value=jobs),
        ParameterInteger(MAX_PARALLEL_TUNING_JOBS.name, default_value=parallel),
    ]
