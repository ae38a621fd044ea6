"""The pipeline's parameters: what each run chooses. What a deployment chooses is in `settings.py`."""

from sagemaker.workflow.parameters import ParameterInteger, ParameterString

NO_CHAMPION = "none"

PLAN_URI = ParameterString("PlanUri")
AS_OF = ParameterString("AsOf")
OUTPUT_URI = ParameterString("OutputUri")
QUARANTINE_URI = ParameterString("QuarantineUri")
OFFLINE_DATABASE = ParameterString("OfflineStoreDatabase")
OFFLINE_TABLE = ParameterString("OfflineStoreTable")
CHAMPION = ParameterString("ChampionModelName", default_value=NO_CHAMPION)
CHAMPION_NOTE = ParameterString("ChampionNote", default_value="the execution names none")
# Of the volumes of IngestRecords and CreateDataset: PlanRun computes them from the files' sizes.
INGEST_VOLUME = ParameterInteger("IngestVolumeSizeInGB")
DATASET_VOLUME = ParameterInteger("DatasetVolumeSizeInGB")
MAX_TUNING_JOBS = ParameterInteger("MaxTuningJobs")
MAX_PARALLEL_TUNING_JOBS = ParameterInteger("MaxParallelTuningJobs")

OF_EACH_RUN = [
    PLAN_URI,
    AS_OF,
    OUTPUT_URI,
    QUARANTINE_URI,
    OFFLINE_DATABASE,
    OFFLINE_TABLE,
    CHAMPION,
    CHAMPION_NOTE,
    INGEST_VOLUME,
    DATASET_VOLUME,
]


def search_size(jobs: int, parallel: int) -> list[ParameterInteger]:
    """Return the parameters for the number of trainings, with the defaults of one definition."""
    return [
        ParameterInteger(MAX_TUNING_JOBS.name, default_value=jobs),
        ParameterInteger(MAX_PARALLEL_TUNING_JOBS.name, default_value=parallel),
    ]
