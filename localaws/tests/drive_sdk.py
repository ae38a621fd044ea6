"""What test_sagemaker_sdk.py runs in a process of its own: the SageMaker Python SDK, as its users use it.

Usage: python -P drive_sdk.py ROLE_ARN IMAGES_PREFIX REPORT
"""

# The SDK's functions are typed in parts only.
# mypy: disallow-untyped-calls=false

import contextlib
import io
import json
import sys
import tarfile
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import WaiterError
from sagemaker.analytics import HyperparameterTuningJobAnalytics
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.parameter import CategoricalParameter, ContinuousParameter, IntegerParameter
from sagemaker.processing import ProcessingInput, ProcessingOutput, Processor
from sagemaker.s3 import S3Downloader
from sagemaker.session import Session
from sagemaker.tuner import HyperparameterTuner
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import ProcessingStep, TrainingStep

INSTANCE = "ml.m5.large"
SCORE = r"score=([-0-9.e]+);"
LINES = "one\ntwo\nthree\n"

Answer = dict[str, Any]


class Drive:
    """One user's session, and the parts of it that a test looks at."""

    def __init__(self, role: str, images: str) -> None:
        # Named, since to make its name up the SDK asks AWS's STS itself, whatever AWS_ENDPOINT_URL says.
        self.bucket = "sdk-default-bucket"
        self.session = Session(default_bucket=self.bucket)
        self.pipeline_session = PipelineSession(default_bucket=self.bucket)
        self.session.default_bucket()  # makes it
        self.role = role
        self.images = images
        self.lines = self.session.upload_string_as_file_body(LINES, self.bucket, "in/lines.txt")

    def processing(self) -> Answer:
        """Processor.run, with its log."""
        processor = self.processor(self.session)
        processor.run(**self.copying("processed"), wait=True, logs=True)
        job: Any = processor.latest_job
        uri = job.outputs[0].destination
        return {
            "status": job.describe()["ProcessingJobStatus"],
            "output": S3Downloader.read_file(f"{uri}/capitals.txt", self.session),
        }

    def training(self) -> Answer:
        """Estimator.fit, with its log."""
        estimator = self.estimator("tiny")
        estimator.fit({"train": self.lines}, wait=True, logs="All")
        job: Any = estimator.latest_training_job
        return {"model": estimator.model_data, "name": job.name}

    def transform(self) -> Answer:
        """Estimator.fit, then its transformer, with its log."""
        estimator = self.estimator("tiny")
        estimator.fit({"train": self.lines}, wait=False)
        self.wait_for(estimator)
        transformer = estimator.transformer(
            1, INSTANCE, strategy="MultiRecord", assemble_with="Line", accept="text/plain"
        )
        transformer.transform(self.lines, content_type="text/plain", split_type="Line", wait=True, logs=True)
        uri = f"{transformer.output_path}/lines.txt.out"
        return {"output": S3Downloader.read_file(uri, self.session)}

    def tuning(self) -> Answer:
        """HyperparameterTuner.fit, its best job and its analytics."""
        tuner = HyperparameterTuner(
            self.estimator("parabola", hyperparameters={"kind": "static"}),
            objective_metric_name="score",
            metric_definitions=[{"Name": "score", "Regex": SCORE}],
            hyperparameter_ranges={
                "x": ContinuousParameter(0, 6),
                "depth": IntegerParameter(1, 8),
                "colour": CategoricalParameter(["red", "blue"]),
            },
            max_jobs=6,
            max_parallel_jobs=3,
            random_seed=1,
            early_stopping_type="Off",
            base_tuning_job_name="tuned",
        )
        tuner.fit(wait=True)
        job: Any = tuner.latest_tuning_job
        analytics = HyperparameterTuningJobAnalytics(job.name, self.session)
        frame = analytics.dataframe()
        return {
            "status": tuner.describe()["HyperParameterTuningJobStatus"],
            "best": tuner.best_training_job(),
            "model": tuner.best_estimator().model_data,
            "ranges": sorted(analytics.tuning_ranges),
            "rows": json.loads(
                frame.drop(columns=["TrainingStartTime", "TrainingEndTime"]).to_json(orient="records")
            ),
        }

    def spot(self) -> Answer:
        """An estimator on Spot instances, with checkpoints and its log, and a search of two with the same."""
        uri = f"s3://{self.bucket}/checkpoints"
        members: dict[str, Any] = {
            "use_spot_instances": True,
            "max_run": 60,
            "max_wait": 120,
            "checkpoint_s3_uri": uri,
        }
        estimator = self.estimator("counter", hyperparameters={"to": "15"}, **members)
        estimator.fit(wait=False)
        self.wait_for(estimator)
        estimator.logs()
        job: Any = estimator.latest_training_job
        described = job.describe()
        tuner = HyperparameterTuner(
            self.estimator("counter", **members),
            objective_metric_name="count",
            metric_definitions=[{"Name": "count", "Regex": "count=([0-9]+)"}],
            hyperparameter_ranges={"to": CategoricalParameter(["14", "16"])},
            strategy="Grid",
            max_jobs=2,
            max_parallel_jobs=2,
            base_tuning_job_name="spot",
        )
        tuner.fit(wait=True)
        search: Any = tuner.latest_tuning_job
        trials = HyperparameterTuningJobAnalytics(search.name, self.session).dataframe()
        return {
            "statuses": [item["Status"] for item in described["SecondaryStatusTransitions"]],
            "seconds": described["TrainingTimeInSeconds"],
            "starts": self.starts(job.name),
            "counts": {str(row.to): row.FinalObjectiveValue for row in trials.itertuples()},
            "trials": [self.starts(row.TrainingJobName) for row in trials.itertuples()],
            "left": S3Downloader.list(uri, self.session),
        }

    def wait_for(self, estimator: Estimator) -> None:
        """Until its job has ended: `fit` looks every 30 s only."""
        job: Any = estimator.latest_training_job
        waiter = self.session.sagemaker_client.get_waiter("training_job_completed_or_stopped")
        waiter.wait(TrainingJobName=job.name, WaiterConfig={"Delay": 1})

    def starts(self, job: str) -> list[int]:
        """The numbers that the image "counter" started at in a job: its model."""
        archive = S3Downloader.read_bytes(
            f"s3://{self.bucket}/{job}/output/model.tar.gz", sagemaker_session=self.session
        )
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            member: Any = tar.extractfile("starts.json")
            found: list[int] = json.loads(member.read())
            return found

    def pipeline(self) -> Answer:
        """Pipeline.upsert, start, wait and list_steps."""
        process = ProcessingStep(
            "Process", step_args=self.processor(self.pipeline_session).run(**self.copying("piped"))
        )
        capitals = process.properties.ProcessingOutputConfig.Outputs["capitals"].S3Output.S3Uri
        estimator = self.estimator("tiny", self.pipeline_session)
        channel = TrainingInput(capitals)
        train = TrainingStep("Train", step_args=estimator.fit({"train": channel}))
        pipeline = Pipeline("sdk", steps=[process, train], sagemaker_session=self.pipeline_session)
        pipeline.upsert(self.role)
        execution = pipeline.start()
        with contextlib.suppress(WaiterError):  # a failure's reason stands with its step
            execution.wait(delay=1, max_attempts=60)
        return {
            "status": execution.describe()["PipelineExecutionStatus"],
            "steps": {
                step["StepName"]: step.get("FailureReason", step["StepStatus"])
                for step in execution.list_steps()
            },
        }

    def boto3(self) -> Answer:
        """A tuning job without the SDK."""
        client: Any = boto3.client("sagemaker")
        name = "with-boto3"
        client.create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name,
            HyperParameterTuningJobConfig={
                "Strategy": "Grid",
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "score"},
                "ResourceLimits": {"MaxParallelTrainingJobs": 2},
                "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "x", "Values": ["1", "3", "2"]}]},
            },
            TrainingJobDefinition={
                "AlgorithmSpecification": {
                    "TrainingImage": f"{self.images}/parabola:latest",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "score", "Regex": SCORE}],
                },
                "RoleArn": self.role,
                "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/with-boto3"},
                "ResourceConfig": {"InstanceType": INSTANCE, "InstanceCount": 1, "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            },
        )
        described = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        while described["HyperParameterTuningJobStatus"] == "InProgress":
            time.sleep(0.2)
            described = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        pages = client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
            HyperParameterTuningJobName=name,
            SortBy="FinalObjectiveMetricValue",
            PaginationConfig={"PageSize": 2},
        )
        return {
            "status": described["HyperParameterTuningJobStatus"],
            "best": described["BestTrainingJob"]["TunedHyperParameters"],
            "by value": [
                job["TunedHyperParameters"]["x"] for page in pages for job in page["TrainingJobSummaries"]
            ],
        }

    def processor(self, session: Session) -> Processor:
        """Of the image that writes its input in capitals."""
        image = f"{self.images}/tiny:latest"
        return Processor(self.role, image, 1, INSTANCE, entrypoint=["work"], sagemaker_session=session)

    def copying(self, folder: str) -> dict[str, Any]:
        """Input and output of such a processor."""
        return {
            "inputs": [ProcessingInput(self.lines, "/opt/ml/processing/input", input_name="lines")],
            "outputs": [
                ProcessingOutput(
                    output_name="capitals",
                    source="/opt/ml/processing/output",
                    destination=f"s3://{self.bucket}/{folder}",
                )
            ],
        }

    def estimator(self, image: str, session: Session | None = None, **members: Any) -> Estimator:
        """Of one's own image."""
        return Estimator(
            f"{self.images}/{image}:latest",
            self.role,
            instance_count=1,
            instance_type=INSTANCE,
            sagemaker_session=session or self.session,
            **members,
        )


def attempted(part: Callable[[], Answer]) -> Answer:
    """What a part answers, or how it failed."""
    try:
        return part()
    except Exception:
        return {"failed": traceback.format_exc()}


def main() -> None:
    """Drive all parts side by side, since the SDK sleeps most of the time."""
    role, images, report = sys.argv[1:]
    drive = Drive(role, images)
    parts = (
        drive.processing,
        drive.training,
        drive.transform,
        drive.tuning,
        drive.spot,
        drive.pipeline,
        drive.boto3,
    )
    with ThreadPoolExecutor(len(parts)) as pool:
        answers = dict(zip((part.__name__ for part in parts), pool.map(attempted, parts), strict=True))
    Path(report).write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
