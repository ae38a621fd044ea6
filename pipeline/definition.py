"""The SageMaker Pipeline: feature ingestion, dataset, training or tuning, scoring, quality, registry.

`python -m pipeline.definition` renders it into `rendered/`; with `--check` it writes nothing and exits with 1
if a rendered file is stale. There are two definitions: `definition` trains once, `tuning` searches. They
differ in one step, since a condition step of SageMaker Pipelines can neither rejoin its branches nor be
nested (docs/decisions/0006). Each is rendered twice:

- `<name>.json` is for readers: the template's defaults for what has one, and `${Name}` for what depends on
  the account, the region or the stack.
- `<name>.include.json` is what template.yaml includes: the definition as one string in `Fn::Sub`, with a
  variable for every setting of a deployment (`settings.py`, docs/decisions/0015).

`ranges.include.json` is the template's mapping of what can be tuned per container. The steps are in
`data.py`, `model.py` and `quality.py`; `build` puts them together.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import boto3
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession

from pipeline.data import create_dataset, ingest_records
from pipeline.model import best_artifacts, best_job, create_model, register_model, train_model, tune_model
from pipeline.parameters import OF_EACH_RUN, search_size
from pipeline.quality import above_floor, evaluate_quality, has_champion, score_rows
from pipeline.ranges import Ranges, RangesError, read_ranges
from pipeline.settings import DEFAULTS, JSON_SETTINGS, PARAMETER_RANGES, VALUES, compact

CONTAINERS = Path(__file__).resolve().parents[1] / "containers"
RENDERED = Path(__file__).resolve().parent / "rendered"
DEFAULT_CONTAINER = "linear"  # the default of the template's ModelContainer


def build(*, tuned: bool) -> Pipeline:
    """Build the pipeline, without a name: CloudFormation gives it one."""
    ingest = ingest_records()
    dataset = create_dataset(ingest)
    train = tune_model(dataset) if tuned else train_model(dataset)
    artifacts = best_artifacts(train) if tuned else train.properties.ModelArtifacts.S3ModelArtifacts
    job = best_job(train) if tuned else train.properties.TrainingJobName
    model = create_model(artifacts)
    score = score_rows("ScoreTestSplit", "challenger", dataset, model.properties.ModelName)
    evaluate = evaluate_quality(dataset, score)
    register = register_model(dataset, evaluate, artifacts, job)
    return Pipeline(
        parameters=[*OF_EACH_RUN, *(search_size(4, 2) if tuned else search_size(1, 1))],
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
    """Return a session that never calls AWS: rendering needs no account, and the region appears nowhere."""
    # With credentials, boto3 does not search the network for some.
    dummy = boto3.Session("unused", "unused", region_name="us-east-1")
    return PipelineSession(boto_session=dummy)


def render() -> dict[Path, str]:
    """Return the content of every rendered file."""
    containers = read_ranges(CONTAINERS)
    defaults = DEFAULTS | {PARAMETER_RANGES: containers[DEFAULT_CONTAINER]}
    files = {"ranges.include.json": {"Tuning": {name: mapped(it) for name, it in containers.items()}}}
    for name, tuned in (("definition", False), ("tuning", True)):
        definition = json.loads(build(tuned=tuned).definition())
        files[f"{name}.json"] = readable(definition, defaults)
        files[f"{name}.include.json"] = included(definition)
    return {RENDERED / name: json.dumps(content, indent=2) + "\n" for name, content in files.items()}


def mapped(ranges: Ranges) -> dict[str, str]:
    """Return a container's part of the template's mapping."""
    return {"ParameterRanges": compact(ranges)}


def readable(value: Any, defaults: dict[str, Any]) -> Any:
    """Return the definition with the default of every setting that has one."""
    if isinstance(value, dict):
        return {key: readable(item, defaults) for key, item in value.items()}
    if isinstance(value, list):
        return [readable(item, defaults) for item in value]
    if isinstance(value, str) and value not in defaults:
        return re.sub(r"\$\{\w+\}", lambda found: str(defaults.get(found[0], found[0])), value)
    return defaults[value] if isinstance(value, str) else value


def included(definition: dict[str, Any]) -> dict[str, Any]:
    """Return what the template includes: the definition as one string for `Fn::Sub`."""
    body = compact(definition)
    for setting in JSON_SETTINGS:
        body = body.replace(f'"{setting}"', setting)
    used = {setting.strip("${}"): value for setting, value in VALUES.items() if setting in body}
    return {"PipelineDefinitionBody": {"Fn::Sub": [body, used]}}


def main(arguments: list[str]) -> int:
    """Write the stale files, or only name them with `--check`."""
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
            command = "`python -m pipeline.definition`"
            print(f"{path.name} is stale: run {command} and commit it", file=sys.stderr)
        return 1 if stale else 0
    for path, content in stale.items():
        path.write_text(content)
        print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
