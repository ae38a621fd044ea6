"""The SageMaker Pipeline: feature ingestion, dataset, training or tuning, scoring, quality, registry.

`python -m pipeline.definition` renders it twice: to `definition.json`, which trains once, and to
`tuning.json`, which searches. They differ in one step, since a condition step of SageMaker Pipelines can
neither rejoin its branches nor stand in another one's (docs/decisions/0006). Both are as the template's
defaults make them. Each is written once more as the one string that CloudFormation takes, with its variables
(`*.include.json`), and what each container lets be tuned as a mapping of the template
(`ranges.include.json`; docs/decisions/0015). `--check` writes nothing and exits with 1 when a rendered file
is stale.

Its steps stand in `data.py`, `model.py` and `quality.py`; `build` puts them together.
"""

import json
import sys
from pathlib import Path
from typing import Any

import boto3
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession

from pipeline.data import create_dataset, ingest_records
from pipeline.model import (
    Choices,
    best_artifacts,
    best_job,
    create_model,
    register_model,
    train_model,
    tune_model,
)
from pipeline.parameters import OPTIONAL, REQUIRED, search_size
from pipeline.quality import above_floor, evaluate_quality, has_champion, score_rows
from pipeline.ranges import Ranges, RangesError, read_ranges
from pipeline.steps import MAX_RUNTIME, MAX_WAIT

CONTAINERS = Path(__file__).resolve().parents[1] / "containers"
RENDERED = Path(__file__).resolve().parent / "rendered"
DEFAULT_CONTAINER = "linear"  # the template's ModelContainer, unless it is told another
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


def offline_session() -> PipelineSession:
    """A session that never calls: rendering needs no account, and the region appears nowhere."""
    # Credentials that exist keep boto3 from looking for some on the network.
    dummy = boto3.Session("unused", "unused", region_name="us-east-1")
    return PipelineSession(boto_session=dummy)


def render() -> dict[Path, str]:
    """Every rendered file's content."""
    containers = read_ranges(CONTAINERS)
    defaults = Choices(True, SPOT_LIMITS, containers[DEFAULT_CONTAINER])
    files = {"ranges.include.json": {"Tuning": {name: mapped(it) for name, it in containers.items()}}}
    for name, tuned in (("definition", False), ("tuning", True)):
        files[f"{name}.json"] = json.loads(build(tuned=tuned, choices=defaults).definition())
        files[f"{name}.include.json"] = included(build(tuned=tuned, choices=VARIABLES))
    return {RENDERED / name: json.dumps(content, indent=2) + "\n" for name, content in files.items()}


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
            print(f"{path.name} is stale: run `python -m pipeline.definition` and commit it", file=sys.stderr)
        return 1 if stale else 0
    for path, content in stale.items():
        path.write_text(content)
        print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
