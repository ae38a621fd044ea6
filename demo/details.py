"""Read the results of pipeline steps: record counts, row counts and objective values."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from demo.objects import read, split
from demo.stack import Clients

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        HyperParameterTrainingJobSummaryTypeDef,
        PipelineExecutionStepTypeDef,
    )

SPLITS = ("train", "validation", "test")
OBJECTIVE = "validation:accuracy"


@dataclass(frozen=True)
class Training:
    """A training job of a hyperparameter search; `objective` is None until the job has reported it."""

    name: str
    status: str
    objective: float | None
    hyperparameters: dict[str, str]


class Details:
    """Read the results of steps; those of an ended step are cached, those of a search are not."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._notes: dict[str, str] = {}
        self._readers: dict[str, Callable[[str], str]] = {
            "IngestRecords": self._ingested,
            "CreateDataset": self._split,
            "TrainModel": self._trained,
        }

    def note(self, step: PipelineExecutionStepTypeDef) -> str:
        """Return a short text with the step's result; empty if there is none."""
        name, metadata = step["StepName"], step.get("Metadata", {})
        # For a step without a cache hit, AWS returns an empty CacheHitResult.
        cached = "cached" if step.get("CacheHitResult", {}).get("SourcePipelineExecutionArn") else ""
        if "Condition" in metadata:
            return {"True": "yes", "False": "no"}.get(metadata["Condition"].get("Outcome", ""), "")
        reader = self._readers.get(name)
        if not reader or step["StepStatus"] != "Succeeded":
            return cached
        if name not in self._notes:
            self._notes[name] = ", ".join(filter(None, [_attempt(reader, _job(step)), cached]))
        return self._notes[name]

    def trainings(self, step: PipelineExecutionStepTypeDef) -> list[Training]:
        """Return the training jobs of a tuning step in the order of their start."""
        arn = step.get("Metadata", {}).get("TuningJob", {}).get("Arn")
        if not arn:
            return []
        pages = self._clients.sagemaker.get_paginator(
            "list_training_jobs_for_hyper_parameter_tuning_job"
        ).paginate(HyperParameterTuningJobName=arn.rpartition("/")[2])
        found = [each for page in pages for each in page["TrainingJobSummaries"]]
        return [_training(each) for each in sorted(found, key=lambda each: each["CreationTime"])]

    def _ingested(self, job: str) -> str:
        bucket, prefix = split(self._output(job, "report"))
        pages = self._clients.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        records = sum(int(self._read(f"s3://{bucket}/{key}")["records"]) for key in keys)
        return f"{records:,} records"

    def _split(self, job: str) -> str:
        splits = self._read(f"{self._output(job, 'report')}/dataset.json")["splits"]
        return " + ".join(f"{splits[name]['rows']:,}" for name in SPLITS) + " rows"

    def _trained(self, job: str) -> str:
        found = self._clients.sagemaker.describe_training_job(TrainingJobName=job)
        values = {each["MetricName"]: each["Value"] for each in found.get("FinalMetricDataList", [])}
        return f"{OBJECTIVE} {values[OBJECTIVE]:.4f}" if OBJECTIVE in values else ""

    def _output(self, job: str, name: str) -> str:
        found = self._clients.sagemaker.describe_processing_job(ProcessingJobName=job)
        outputs = found["ProcessingOutputConfig"]["Outputs"]
        return next(each["S3Output"]["S3Uri"].rstrip("/") for each in outputs if each["OutputName"] == name)

    def _read(self, uri: str) -> Any:
        return json.loads(read(self._clients.s3, uri))


def _attempt(reader: Callable[[str], str], job: str) -> str:
    """Return the note, or nothing if it is not readable; the run must be shown without notes too."""
    try:
        return reader(job)
    except (ClientError, LookupError, StopIteration, ValueError):
        return ""


def _job(step: PipelineExecutionStepTypeDef) -> str:
    metadata: Any = step.get("Metadata", {})
    arns = [metadata[kind]["Arn"] for kind in ("ProcessingJob", "TrainingJob") if kind in metadata]
    return arns[0].rpartition("/")[2] if arns else ""


def _training(found: HyperParameterTrainingJobSummaryTypeDef) -> Training:
    return Training(
        name=found["TrainingJobName"],
        status=found["TrainingJobStatus"],
        objective=found.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value"),
        hyperparameters=dict(found.get("TunedHyperParameters", {})),
    )
