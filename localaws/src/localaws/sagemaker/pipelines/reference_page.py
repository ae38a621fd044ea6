"""What pipelines can do here, as a page of documentation made from what the code does."""

from collections.abc import Iterable, Iterator

from localaws.sagemaker.pipelines.conditions import CONDITION_MEMBERS
from localaws.sagemaker.pipelines.placeholders import EXECUTION_VARIABLES
from localaws.sagemaker.pipelines.retrying import EXCEPTION_TYPES
from localaws.sagemaker.pipelines.schema import VERSION
from localaws.sagemaker.pipelines.steps import (
    AWS_ONLY,
    CONDITION,
    FAIL,
    LAMBDA,
    OWN_TYPES,
    STEP_TYPES,
    StepType,
)

_OWN_DOES = {
    CONDITION: ("decides between `IfSteps` and `ElseSteps`", "`Outcome`"),
    FAIL: ("ends the execution as Failed, with `ErrorMessage`", "none"),
    LAMBDA: ("`lambda:InvokeFunction`", "`OutputParameters['<name>']`"),
}

_PAGE = """\
# Pipeline steps

What a SageMaker Pipeline may have on the laptop. `python -m localaws step-types` writes this page from the
code; what is not here is refused by name when the pipeline is created.

The definition is SageMaker's, version {version}. It is checked as a whole by `CreatePipeline` and
`UpdatePipeline`: steps and their members, every reference, cycles, and the arguments of every step against
the API that it calls.

## Step types

| `Type` | What it does | What later steps may refer to | Besides `Arguments` |
|---|---|---|---|
{steps}

Only AWS runs {aws_only}.

- A step runs as the pipeline's role, and independent steps run side by side, as many as
  `ParallelismConfiguration` allows.
- Steps of a branch that is not taken never start, nor does what needs them. A condition step cannot stand in
  a branch, and no step may name one in `DependsOn`.
- After a failure nothing more starts. `RetryPipelineExecution` runs an execution that failed or was stopped
  again: what succeeded stays, the rest runs.

## References

`Get` names `Parameters.<name>`, `Steps.<name>.<property>` or `Execution.<variable>` ({variables}).
`Std:Join` joins texts, numbers and references. `Std:JsonGet` reads a value of a JSON file in S3, as the
pipeline's role: of a step's property file (`PropertyFile`) or of any (`S3Uri`).

## Conditions

| `Type` | Members |
|---|---|
{conditions}

All conditions of a step have to hold. Numbers are compared with numbers and texts with texts; what differs in
kind is not equal, and cannot be ordered.

## Caching

With `CacheConfig` (`Enabled`, `ExpireAfter`) a successful earlier run of the same step in the same pipeline
is reused if these arguments are the same, and if it ended no longer ago than `ExpireAfter`:

| `Type` | Arguments |
|---|---|
{caching}

One thing is added to SageMaker's rules: the content of the image's folder counts too, of a transform that of
its model's image. On AWS an image's URI is all that is compared; here changed code would else be answered
from the cache. As on AWS, what lies at an S3 URI does not count: an input counts by its URI.

## Retry policies

`RetryPolicies` may name {exceptions}. The laptop has no capacity to run out of:
`SageMaker.CAPACITY_ERROR` never happens here.
"""


def page() -> str:
    """The whole page, in Markdown."""
    return _PAGE.format(
        version=VERSION,
        steps="\n".join(_rows(_step_rows())),
        aws_only=_listed(AWS_ONLY),
        variables=_listed(EXECUTION_VARIABLES),
        conditions="\n".join(
            _rows((f"`{kind}`", _listed(members)) for kind, members in CONDITION_MEMBERS.items())
        ),
        caching="\n".join(
            _rows(
                (f"`{name}`", _listed(step_type.cache_attributes))
                for name, step_type in STEP_TYPES.items()
                if step_type.cache_attributes
            )
        ),
        exceptions=_listed(EXCEPTION_TYPES),
    )


def _step_rows() -> Iterator[tuple[str, ...]]:
    for name, step_type in STEP_TYPES.items():
        properties = _listed((f"Describe{step_type.kind}", *step_type.described_by_too))
        yield f"`{name}`", _operations(step_type), f"the answer of {properties}", _listed(step_type.members)
    for name, members in OWN_TYPES.items():
        does, properties = _OWN_DOES[name]
        yield f"`{name}`", does, properties, _listed(members) or "nothing"


def _operations(step_type: StepType) -> str:
    verbs = ("Create", "Describe", "Stop") if step_type.is_job else ("Create", "Describe")
    return _listed(f"{verb}{step_type.kind}" for verb in verbs)


def _rows(cells: Iterable[tuple[str, ...]]) -> Iterator[str]:
    return (f"| {' | '.join(row)} |" for row in cells)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
