"""The data steps: ingestion into the feature store, and the dataset that is made from it."""

from sagemaker.workflow.steps import Step, StepTypeEnum

from pipeline.parameters import (
    AS_OF,
    DATASET_VOLUME,
    INGEST_VOLUME,
    OFFLINE_DATABASE,
    OFFLINE_TABLE,
    OUTPUT_URI,
    PLAN_URI,
    QUARANTINE_URI,
)
from pipeline.settings import (
    ATHENA_URI,
    BUCKET,
    FEATURE_GROUP,
    INGEST_INSTANCES,
    OFFLINE_TIMEOUT,
    PROCESSING_IMAGE,
    PROCESSING_INSTANCE,
    PROCESSING_ROLE,
    REGION,
)
from pipeline.steps import (
    RequestStep,
    athena_input,
    below,
    output_of,
    processing_job,
    s3_input,
    s3_output,
    text,
)

# The latest version of each record as of a time, without deleted records.
QUERY = (
    "SELECT record_id, event_time, text, label, split, source FROM ("
    "SELECT *, row_number() OVER (PARTITION BY record_id "
    "ORDER BY event_time DESC, api_invocation_time DESC, write_time DESC) AS version "
    'FROM "',
    "\" WHERE event_time <= '",
    "') WHERE version = 1 AND NOT is_deleted",
)


def ingest_records() -> RequestStep:
    """Write the new raw files to the feature store, and wait until a query finds their records."""
    request = processing_job(
        PROCESSING_IMAGE,
        PROCESSING_ROLE,
        PROCESSING_INSTANCE,
        "ingest",
        # Only the plan: `ingest` reads the raw objects itself, since SageMaker fails a job whose manifest
        # names an object that it cannot download (docs/decisions/0020).
        inputs=[s3_input("plan", PLAN_URI)],
        # Continuous: a job that fails still reports which files it refused, and why.
        outputs=[
            s3_output("report", below(OUTPUT_URI, "ingest"), mode="Continuous"),
            s3_output("quarantine", QUARANTINE_URI, mode="Continuous"),
        ],
        environment={
            "AWS_DEFAULT_REGION": REGION,  # SageMaker sets none in a job, and boto3 needs one
            "BUCKET_NAME": BUCKET,
            "FEATURE_GROUP_NAME": FEATURE_GROUP,
            "OFFLINE_STORE_DATABASE": OFFLINE_DATABASE,
            "OFFLINE_STORE_TABLE": OFFLINE_TABLE,
            "OFFLINE_STORE_TIMEOUT_MINUTES": OFFLINE_TIMEOUT,
            "ATHENA_OUTPUT_URI": below(ATHENA_URI, "ingest"),
        },
        instances=INGEST_INSTANCES,
        volume=INGEST_VOLUME,
    )
    description = "Check the new raw files against the data contract and write their records"
    return RequestStep("IngestRecords", StepTypeEnum.PROCESSING, description, request, cached=True)


def create_dataset(ingest: Step) -> RequestStep:
    """Split the records that are live as of the run's time."""
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
        volume=DATASET_VOLUME,
    )
    return RequestStep(
        "CreateDataset",
        StepTypeEnum.PROCESSING,
        "Take each record's latest version as of the run's time, and split them",
        request,
        files={"Dataset": ("report", "dataset.json")},
        cached=True,
    )
