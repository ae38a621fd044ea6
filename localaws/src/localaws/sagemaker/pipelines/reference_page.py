"""Generate the documentation page of the supported pipeline steps from the code."""

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

_OWN_BEHAVIOUR = {
    CONDITION: ("runs either `IfSteps` or `ElseSteps`", "`Outcome`"),
    FAIL: ("ends the execution with the status Failed and `ErrorMessage`", "none"),
    LAMBDA: ("`lambda:InvokeFunction`", "`OutputParameters['<name>']`"),
}

_PAGE = """\
# Pipeline steps

The features of SageMaker Pipelines that localaws supports. `python -m localaws step-types` generates this
page from the code. `CreatePipeline` rejects any other feature with a message that names it.

The format is SageMaker's pipeline definition, version {version}. `CreatePipeline` and `UpdatePipeline`
validate the whole definition: the steps and their members, all references, cycles, and the arguments of every
step against the API operation that it calls.

## Step types

| `Type` | Operations | Properties for later steps | Members besides `Arguments` |
|---|---|---|---|
{steps}

Not supported (AWS only): {aws_only}.

- A step runs with the pipeline's role. Independent steps run in parallel, up to the limit of
  `ParallelismConfiguration`.
- The steps of a branch that is not taken never start, nor do steps that depend on them. Condition steps
  cannot be nested, and no step can name a condition step in `DependsOn`.
- After a failure, no further step starts. `RetryPipelineExecution` reruns a failed or stopped execution:
  successful steps are kept, all others run.

## References

`Get` names `Parameters.<name>`, `Steps.<name>.<property>` or `Execution.<variable>` ({variables}).
`Std:Join` joins strings, numbers and references. `Std:JsonGet` reads a value from a JSON file in S3 with the
pipeline's role: from a step's property file (`PropertyFile`) or from any file (`S3Uri`).

## Conditions

| `Type` | Members |
|---|---|
{conditions}

All conditions of a step must be true. Values of different types (number, string, boolean) are never equal and
cannot be ordered.

## Caching

With `CacheConfig` (`Enabled`, `ExpireAfter`), a step reuses the latest successful run of the same step in the
same pipeline if that run ended at most `ExpireAfter` ago and the following arguments are equal:

| `Type` | Arguments |
|---|---|
{caching}

Unlike on AWS, the content of the image's folder is compared too (for a transform, that of its model's image).
AWS compares only the image's URI; here, changed code has the same URI and would wrongly hit the cache. As on
AWS, inputs are compared by their S3 URIs, not by the objects' content.

## Retry policies

Exception types of `RetryPolicies`: {exceptions}. `SageMaker.CAPACITY_ERROR` never occurs in localaws.
"""


def page() -> str:
    """Return the page in Markdown."""
    return _PAGE.format(
        version=VERSION,
        steps="\n".join(_rows(_step_rows())),
        aws_only=_code_list(AWS_ONLY),
        variables=_code_list(EXECUTION_VARIABLES),
        conditions="\n".join(
            _rows((f"`{kind}`", _code_list(members)) for kind, members in CONDITION_MEMBERS.items())
        ),
        caching="\n".join(
            _rows(
                (f"`{name}`", _code_list(step_type.cache_attributes))
                for name, step_type in STEP_TYPES.items()
                if step_type.cache_attributes
            )
        ),
        exceptions=_code_list(EXCEPTION_TYPES),
    )


def _step_rows() -> Iterator[tuple[str, ...]]:
    for name, step_type in STEP_TYPES.items():
        properties = _code_list((f"Describe{step_type.kind}", *step_type.more_describe_operations))
        yield (
            f"`{name}`",
            _operations(step_type),
            f"the response of {properties}",
            _code_list(step_type.members),
        )
    for name, own_members in OWN_TYPES.items():
        operations, properties = _OWN_BEHAVIOUR[name]
        yield f"`{name}`", operations, properties, _code_list(own_members) or "none"


def _operations(step_type: StepType) -> str:
    verbs = ("Create", "Describe", "Stop") if step_type.is_job else ("Create", "Describe")
    return _code_list(f"{verb}{step_type.kind}" for verb in verbs)


def _rows(cells: Iterable[tuple[str, ...]]) -> Iterator[str]:
    return (f"| {' | '.join(row)} |" for row in cells)


def _code_list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
