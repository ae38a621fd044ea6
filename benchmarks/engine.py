"""The engine's own overhead: one pipeline execution against the same scripts run by hand.

Execution: pipeline/rendered/definition.json, started with StartPipelineExecution on a localaws with the plan
that the workflow would write; from its creation until it has succeeded, by its own timestamps. So it includes
what SageMaker does around the scripts: jobs, roles, downloads and uploads, the model's archive, the registry.

By hand: ingest, the dataset's query and create_dataset, train, serve with the same requests, evaluate; each
in the same environment, with the same inputs, the same feature store and Athena of the same localaws; the sum
of their wall times. Inputs lie in local folders before the clock starts, and nothing is uploaded.

In every round both sides run once, on a fresh localaws; who begins takes turns. The medians are compared, and
each step with what it is by hand.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import command, definition, job, laptop, rows
from benchmarks.bare import Bare
from benchmarks.containers import Containers
from benchmarks.errors import LaptopError
from benchmarks.laptop import BUCKET, Group, Laptop, image_uri
from benchmarks.report import Bound, Report, ratio, table
from localaws.settings import DEFAULT_REGION
from localaws.testing import allow

MAX_OVERHEAD = 1.15
LOOK_SECONDS = 1.0  # a look takes the laptop some milliseconds; the execution says itself when it ended
EXECUTION_SECONDS = 3600
PIPELINE, STACK = "benchmark", "benchmark"
PACKAGES = f"{STACK}-models"  # as the definition names it
NOT_BY_HAND = "between the steps"

Seconds = dict[str, float]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = command.parser("engine", __doc__)
    it.add_argument("--rows", type=command.positive, help="(default: the data as it is)")
    it.add_argument("--rounds", type=command.positive, default=1, help="(default: %(default)s)")
    return it


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit code."""
    options = parser().parse_args(arguments)
    report = Report("engine", "")
    executions: list[Seconds] = []
    by_hand: list[Seconds] = []
    Containers(laptop.WORKDIR / "environments").prepare("processing", "linear")
    for number in range(options.rounds):
        with laptop.start() as aws:
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


def prepare(aws: Laptop, data: Path | None, count: int | None) -> tuple[list[Path], str]:
    """The raw files as the user has them, or one with so many of their rows; and what they are in words."""
    if data and count is None:
        files = rows.files(data)
        return files, f"{len(files)} given files, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
    texts = rows.load(data)
    file, number = aws.workdir / "reviews.csv", count or len(texts)
    size = rows.write(file, rows.replicate(texts, number))
    kind = "given" if data else "generated"
    return [file], f"{number:,} {kind} rows, {size / 1e6:.1f} MB of CSV"


def run_by_hand(aws: Laptop, role_arn: str, files: list[Path]) -> Seconds:
    """The seconds of each part, and of all."""
    print("by hand", flush=True)
    seconds = Bare(aws, aws.feature_group("by-hand", role_arn), role_arn, files).run()
    return seconds | {"all": sum(seconds.values())}


def execute(aws: Laptop, role_arn: str, files: list[Path]) -> Seconds:
    """The seconds of each step, and of the whole execution."""
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
    given = [{"Name": name, "Value": value} for name, value in parameters.items()]
    started = sagemaker.start_pipeline_execution(PipelineName=PIPELINE, PipelineParameters=given)
    arn = started["PipelineExecutionArn"]
    seconds = succeeded(sagemaker, arn)
    print(f"  execution: {seconds:.2f} s", flush=True)
    return durations(sagemaker, arn) | {"all": seconds}


def upload(aws: Laptop, files: list[Path]) -> dict[str, str]:
    """Put the raw files and the plan where the workflow has them; the parameters that say so."""
    s3, uri = aws.client("s3"), f"s3://{BUCKET}"
    for file in files:
        s3.upload_file(str(file), BUCKET, job.RAW + file.name)
    keys = [job.RAW + file.name for file in files]
    plan = {"objects": [{"key": key, "etag": "", "size": 0, "eventTime": job.EVENT_TIME} for key in keys]}
    manifest = [{"prefix": f"{uri}/"}, "plans/benchmark/plan.json", *keys]
    for name, content in (("plan", plan), ("manifest", manifest)):
        s3.put_object(Bucket=BUCKET, Key=f"plans/benchmark/{name}.json", Body=json.dumps(content).encode())
    return {
        "ManifestUri": f"{uri}/plans/benchmark/manifest.json",
        "PlanUri": f"{uri}/plans/benchmark/plan.json",
        "OutputUri": f"{uri}/runs/benchmark",
        "QuarantineUri": f"{uri}/quarantine/benchmark",
        "AsOf": job.EVENT_TIME,
    }


def settings(group: Group, role_arn: str) -> dict[str, str]:
    """Return what the definition refers to, as a stack would have it."""
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
    """Wait until the execution has succeeded; the seconds from its creation to its end.

    Raises:
        LaptopError: It ends otherwise, or not in time.
    """
    deadline = time.monotonic() + EXECUTION_SECONDS
    while True:
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        status = found["PipelineExecutionStatus"]
        if status == "Succeeded":
            return float((found["LastModifiedTime"] - found["CreationTime"]).total_seconds())
        if status in ("Failed", "Stopped") or time.monotonic() > deadline:
            reasons = [f"{step['StepName']}: {step.get('FailureReason')}" for step in steps(sagemaker, arn)]
            raise LaptopError("\n  ".join([f"the execution is {status}", *reasons]))
        time.sleep(LOOK_SECONDS)


def durations(sagemaker: Any, arn: str) -> Seconds:
    """Each step's seconds.

    Raises:
        LaptopError: One came from the cache: then this was no whole run.
    """
    found = steps(sagemaker, arn)
    if cached := [step["StepName"] for step in found if "CacheHitResult" in step]:
        raise LaptopError(f"taken from the cache, so not measured: {', '.join(cached)}")
    return {step["StepName"]: (step["EndTime"] - step["StartTime"]).total_seconds() for step in found}


def steps(sagemaker: Any, arn: str) -> list[dict[str, Any]]:
    """An execution's steps, in the order of their start."""
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=arn, SortOrder="Ascending"
    )
    return [step for page in pages for step in page["PipelineExecutionSteps"]]


def medians(rounds: list[Seconds]) -> Seconds:
    """Each part's median."""
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def conclude(report: Report, execution: Seconds, by_hand: Seconds) -> None:
    """Compare the whole, and each step."""
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
            "times the seconds of the same scripts by hand",
            execution["all"] / by_hand["all"],
            MAX_OVERHEAD,
        )
    ]


def share(own: float, bare: float) -> str:
    """One as a multiple of the other, if there is another."""
    return ratio(own / bare) if bare else ""


if __name__ == "__main__":
    command.run(main)
