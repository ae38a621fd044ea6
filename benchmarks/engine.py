"""Measure the overhead of the pipeline engine: a pipeline execution compared with the same scripts by hand.

Execution: pipeline/rendered/definition.json, started with StartPipelineExecution on localaws with the plan
that the workflow would write. The time is from the execution's creation to its success, according to its
timestamps. It includes everything that SageMaker does around the scripts: jobs, roles, downloads and uploads,
the model archive and the registry.

By hand: ingest, the dataset's query and create_dataset, train, serve with the same requests, and evaluate.
Each uses the same environment and inputs, and the feature store and Athena of the same localaws. The time is
the sum of the wall times. Inputs are in local folders before the measurement, and nothing is uploaded.

Each round runs both sides once on a new localaws, with alternating order. The medians are compared, in total
and per step.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import command, definition, job, local_aws, rows
from benchmarks.bare import Bare
from benchmarks.containers import Containers
from benchmarks.errors import LocalAwsError
from benchmarks.local_aws import BUCKET, Group, LocalAws, image_uri
from benchmarks.report import Bound, Report, ratio, table
from localaws.settings import DEFAULT_REGION
from localaws.testing import allow

MAX_OVERHEAD = 1.15
POLL_SECONDS = 1.0  # does not affect the result, which is based on the execution's timestamps
EXECUTION_SECONDS = 3600
PIPELINE, STACK = "benchmark", "benchmark"
PACKAGES = f"{STACK}-models"  # the model package group of the definition
VOLUME_GB = "30"  # has no effect on localaws
NOT_BY_HAND = "between the steps"

Seconds = dict[str, float]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser("engine", __doc__)
    result.add_argument("--rows", type=command.positive, help="(default: all rows of the data)")
    result.add_argument("--rounds", type=command.positive, default=1, help="(default: %(default)s)")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    options = parser().parse_args(arguments)
    report = Report("engine", "")
    executions: list[Seconds] = []
    by_hand: list[Seconds] = []
    Containers(local_aws.WORKDIR / "environments").prepare("processing", "linear")
    for number in range(options.rounds):
        with local_aws.start() as aws:
            files, report.data = prepare(aws, options.data, options.rows)
            print(f"round {number + 1} of {options.rounds}: {report.data}", flush=True)
            role = aws.role("benchmark", allow("*"))
            sides = [
                lambda aws=aws, role=role, files=files: executions.append(execute(aws, role, files)),
                lambda aws=aws, role=role, files=files: by_hand.append(run_by_hand(aws, role, files)),
            ]
            for side in sides if number % 2 == 0 else reversed(sides):
                side()
    conclude(report, medians(executions), medians(by_hand))
    report.figures |= {"rounds": {"execution": executions, "by_hand": by_hand}}
    return report.conclude(options.json)


def prepare(aws: LocalAws, data: Path | None, count: int | None) -> tuple[list[Path], str]:
    """Return the raw files, or one file with `count` of their rows, and a description of the data."""
    if data and count is None:
        files = rows.files(data)
        return files, f"{len(files)} files, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
    texts = rows.load(data)
    file, number = aws.workdir / "reviews.csv", count or len(texts)
    size = rows.write(file, rows.replicate(texts, number))
    kind = "real" if data else "generated"
    return [file], f"{number:,} {kind} rows, {size / 1e6:.1f} MB of CSV"


def run_by_hand(aws: LocalAws, role_arn: str, files: list[Path]) -> Seconds:
    """Run the scripts by hand and return the seconds per step and in total (`all`)."""
    print("by hand", flush=True)
    seconds = Bare(aws, aws.feature_group("by-hand", role_arn), role_arn, files).run()
    return seconds | {"all": sum(seconds.values())}


def execute(aws: LocalAws, role_arn: str, files: list[Path]) -> Seconds:
    """Run a pipeline execution and return the seconds per step and in total (`all`)."""
    print("pipeline execution", flush=True)
    sagemaker = aws.client("sagemaker")
    group = aws.feature_group("executed", role_arn)
    store = {"OfflineStoreDatabase": group.database, "OfflineStoreTable": group.table}
    parameters = upload(aws, files) | store
    sagemaker.create_model_package_group(ModelPackageGroupName=PACKAGES)
    sagemaker.create_pipeline(
        PipelineName=PIPELINE,
        ClientRequestToken="benchmark-".ljust(32, "0"),
        PipelineDefinition=definition.body(settings(group, role_arn)),
        RoleArn=role_arn,
    )
    values = [{"Name": name, "Value": value} for name, value in parameters.items()]
    started = sagemaker.start_pipeline_execution(PipelineName=PIPELINE, PipelineParameters=values)
    arn = started["PipelineExecutionArn"]
    seconds = succeeded(sagemaker, arn)
    print(f"  execution: {seconds:.2f} s", flush=True)
    return durations(sagemaker, arn) | {"all": seconds}


def upload(aws: LocalAws, files: list[Path]) -> dict[str, str]:
    """Upload the raw files and the plan as the workflow does, and return the pipeline's parameters."""
    s3, uri = aws.client("s3"), f"s3://{BUCKET}"
    for file in files:
        s3.upload_file(str(file), BUCKET, job.RAW + file.name)
    objects = []
    for file in files:
        key = job.RAW + file.name
        etag = s3.head_object(Bucket=BUCKET, Key=key)["ETag"].strip('"')
        objects.append({"key": key, "etag": etag, "size": 0, "eventTime": job.EVENT_TIME})
    plan = json.dumps({"objects": objects}).encode()
    s3.put_object(Bucket=BUCKET, Key="plans/benchmark/plan.json", Body=plan)
    return {
        "IngestVolumeSizeInGB": VOLUME_GB,
        "DatasetVolumeSizeInGB": VOLUME_GB,
        "PlanUri": f"{uri}/plans/benchmark/plan.json",
        "OutputUri": f"{uri}/runs/benchmark",
        "QuarantineUri": f"{uri}/quarantine/benchmark",
        "AsOf": job.EVENT_TIME,
    }


def settings(group: Group, role_arn: str) -> dict[str, str]:
    """Return the values for the definition's `${...}` references, as in a deployed stack."""
    return {
        "AWS::Region": DEFAULT_REGION,
        "AWS::StackName": STACK,
        "DataBucket": BUCKET,
        "FeatureGroup": group.name,
        "ProcessingImage": image_uri("processing"),
        "ModelImage": image_uri("linear"),
        "ProcessingRole.Arn": role_arn,
        "TrainingRole.Arn": role_arn,
        "ModelRole.Arn": role_arn,
    }


def succeeded(sagemaker: Any, arn: str) -> float:
    """Wait until the execution has succeeded and return the seconds from its creation to its end.

    Raises:
        LocalAwsError: The execution failed, was stopped or exceeded EXECUTION_SECONDS.
    """
    deadline = time.monotonic() + EXECUTION_SECONDS
    while True:
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        status = found["PipelineExecutionStatus"]
        if status == "Succeeded":
            return float((found["LastModifiedTime"] - found["CreationTime"]).total_seconds())
        if status in ("Failed", "Stopped") or time.monotonic() > deadline:
            reasons = [f"{step['StepName']}: {step.get('FailureReason')}" for step in steps(sagemaker, arn)]
            raise LocalAwsError("\n  ".join([f"the execution is {status}", *reasons]))
        time.sleep(POLL_SECONDS)


def durations(sagemaker: Any, arn: str) -> Seconds:
    """Return the seconds of each step.

    Raises:
        LocalAwsError: A step was taken from the cache, so the execution was not complete.
    """
    found = steps(sagemaker, arn)
    if cached := [step["StepName"] for step in found if "CacheHitResult" in step]:
        raise LocalAwsError(f"not measured because of cache hits: {', '.join(cached)}")
    return {step["StepName"]: (step["EndTime"] - step["StartTime"]).total_seconds() for step in found}


def steps(sagemaker: Any, arn: str) -> list[dict[str, Any]]:
    """Return an execution's steps in the order of their start."""
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=arn, SortOrder="Ascending"
    )
    return [step for page in pages for step in page["PipelineExecutionSteps"]]


def medians(rounds: list[Seconds]) -> Seconds:
    """Return the median of each step's seconds."""
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def conclude(report: Report, execution: Seconds, by_hand: Seconds) -> None:
    """Compare the totals and each step."""
    own_steps = [name for name in execution if name != "all"]
    lines = [(name, execution[name], by_hand.get(name, 0.0)) for name in own_steps]
    rest = execution["all"] - sum(execution[name] for name in own_steps)
    lines += [(NOT_BY_HAND, rest, 0.0), ("all", execution["all"], by_hand["all"])]
    cells = [
        (name, f"{own:.2f}", f"{bare:.2f}" if bare else "", f"{own - bare:.2f}", share(own, bare))
        for name, own, bare in lines
    ]
    print(f"\n{table(('step', 'execution s', 'by hand s', 'more s', 'ratio'), cells)}")
    report.figures = {"execution": execution, "by_hand": by_hand}
    report.bounds = [
        Bound(
            "seconds as a multiple of the same scripts by hand",
            execution["all"] / by_hand["all"],
            MAX_OVERHEAD,
        )
    ]


def share(own: float, bare: float) -> str:
    """Return one time as a multiple of the other; empty if the other is 0."""
    return ratio(own / bare) if bare else ""


if __name__ == "__main__":
    command.run(main)
