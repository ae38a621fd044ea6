"""Parse and validate pipeline definitions as a whole, before any step runs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeVar

from localaws.sagemaker.api import shapes
from localaws.sagemaker.api.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.api.shapes import Document, Unknown
from localaws.sagemaker.pipelines import caching, conditions, parameters, references, schema
from localaws.sagemaker.pipelines.placeholders import PROPERTY_FILES, Placeholders
from localaws.sagemaker.pipelines.retrying import RetryPolicy
from localaws.sagemaker.pipelines.steps import (
    COMMON_MEMBERS,
    CONDITION,
    FAIL,
    LAMBDA,
    OWN_TYPES,
    STEP_TYPES,
    TUNED_JOBS,
    Step,
)

_T = TypeVar("_T")
_BRANCHES = {"IfSteps": True, "ElseSteps": False}


@dataclass(frozen=True)
class PipelineDefinition:
    """A valid pipeline definition.

    Attributes:
        parameters: the parameters' declarations, by name.
        steps: all steps by name, including the branches of condition steps.
        dependencies: per step, the steps that must end before it.
    """

    parameters: Mapping[str, Document]
    steps: Mapping[str, Step]
    dependencies: Mapping[str, frozenset[str]]

    @classmethod
    def parse(cls, body: str) -> "PipelineDefinition":
        """Parse and validate a definition.

        Raises:
            ValidationException: the definition is invalid; the message has the step, parameter or reference.
            NotSupportedLocally: the definition uses a feature that only AWS supports.
        """
        document = schema.load(body)
        declared = _by_name(((spec["Name"], spec) for spec in document.get("Parameters", [])), "parameter")
        for spec in declared.values():
            parameters.check(spec)
        steps = _by_name(((step.name, step) for step in _all_steps(document["Steps"])), "step")
        placeholders = Placeholders(declared, steps)
        for step in steps.values():
            try:
                _check_step(step, placeholders)
            except NotSupportedLocally:
                raise
            except ValidationException as error:
                raise ValidationException(f"Invalid step {step.name!r}: {error.message}") from error
        dependencies = {name: _dependencies(step, steps) for name, step in steps.items()}
        _check_cycles(dependencies)
        return cls(declared, steps, dependencies)

    def parameter_values(self, supplied: Mapping[str, str]) -> dict[str, Any]:
        """Return the value of every parameter for one execution.

        Raises:
            ValidationException: a value is missing, unknown or of the wrong type.
        """
        return parameters.values(self.parameters, supplied)

    def reads_tuned_jobs(self, name: str) -> bool:
        """Return whether any step refers to the job list of the tuning step `name`."""
        return any(
            references.segments(path)[:3] == ["Steps", name, TUNED_JOBS]
            for step in self.steps.values()
            for path in references.find(step.arguments)
        )


def _all_steps(documents: list[Document]) -> Iterator[Step]:
    """Yield all steps; the steps of a condition step's branches follow it."""
    for index, document in enumerate(documents):
        yield Step(document)
        if document["Type"] != CONDITION:
            continue
        for member, outcome in _BRANCHES.items():
            branch: list[Document] = document["Arguments"].get(member, [])
            schema.check_branch(branch, f"$.Steps[{index}].Arguments.{member}")
            if nested := [step["Name"] for step in branch if step["Type"] == CONDITION]:
                raise ValidationException(
                    f"Condition step {document['Name']!r} has condition steps {nested} in its {member}: "
                    "condition steps cannot be nested"
                )
            yield from (Step(step, (document["Name"], outcome)) for step in branch)


def _by_name(items: Iterable[tuple[str, _T]], kind: str) -> dict[str, _T]:
    named: dict[str, _T] = {}
    for name, item in items:
        if name in named:
            raise ValidationException(
                f"Invalid pipeline definition: the {kind} names are not unique: {name!r} is used twice"
            )
        named[name] = item
    return named


def _check_step(step: Step, placeholders: Placeholders) -> None:
    """Check that a step has the members that its type requires, and no unknown ones."""
    if step.type not in STEP_TYPES and step.type not in OWN_TYPES:
        raise NotSupportedLocally(f"The step type {step.type!r} of step {step.name!r}")
    _check_members(step)
    if references.is_reference(step.document["Arguments"]):
        raise ValidationException("its Arguments are a reference")
    if step.type == CONDITION:
        conditions.check(step.arguments["Conditions"], "Conditions")
    arguments = placeholders.fill(step.arguments)
    if step.type == FAIL:
        _check_message(arguments)
    if step.type in STEP_TYPES:
        _check_arguments(step, arguments)
        _check_property_files(step)
        caching.expiry(step.document)
        for policy in step.document.get("RetryPolicies", []):
            RetryPolicy.parse(policy)


def _check_members(step: Step) -> None:
    known = STEP_TYPES[step.type].members if step.type in STEP_TYPES else OWN_TYPES[step.type]
    for member in step.document:
        if member == "CacheConfig" and step.type == LAMBDA and not caching.expiry(step.document):
            continue
        if member == "CacheConfig" and step.type == LAMBDA:
            raise NotSupportedLocally(f"The CacheConfig of the Lambda step {step.name!r}")
        if member not in (*COMMON_MEMBERS, *known):
            raise ValidationException(f"a {step.type} step has no member {member!r}")
    if step.type == CONDITION and (extra := set(step.document["Arguments"]) - {"Conditions", *_BRANCHES}):
        raise ValidationException(f"the Arguments of a Condition step have no members {sorted(extra)}")
    if step.type == LAMBDA and "FunctionArn" not in step.document:
        raise ValidationException("a Lambda step requires a FunctionArn")


def _check_message(arguments: Document) -> None:
    message = arguments.get("ErrorMessage")
    if set(arguments) - {"ErrorMessage"} or not isinstance(message, str | Unknown | None):
        raise ValidationException(
            f"the Arguments of a Fail step must be an ErrorMessage string, not {arguments}"
        )


def _check_arguments(step: Step, arguments: Document) -> None:
    step_type = STEP_TYPES[step.type]
    if step_type.name_member:
        # The pipeline generates the name; a name in the arguments is used as its prefix.
        arguments = {step_type.name_member: Unknown("the job's name")} | arguments
    elif "ModelPackageName" in arguments:
        raise ValidationException("Unknown Argument member 'ModelPackageName'")
    if found := shapes.violations(arguments, step_type.request_shape):
        raise ValidationException(f"its Arguments: {'; '.join(found)}")


def _check_property_files(step: Step) -> None:
    outputs = step.arguments.get("ProcessingOutputConfig", {}).get("Outputs", [])
    names = [output.get("OutputName") for output in outputs]
    for file in step.document.get(PROPERTY_FILES, []):
        if file["OutputName"] not in names:
            raise ValidationException(
                f"the property file {file['PropertyFileName']!r} refers to the output "
                f"{file['OutputName']!r}, but the outputs are {names}"
            )


def _dependencies(step: Step, steps: Mapping[str, Step]) -> frozenset[str]:
    explicit = step.document.get("DependsOn", [])
    for name in explicit:
        if name not in steps:
            raise ValidationException(
                f"Step {step.name!r} depends on {name!r}, which does not exist in the pipeline"
            )
        if steps[name].type == FAIL:
            raise ValidationException(
                f"{step.name} can not depends on {name}: no step runs after a Fail step"
            )
        if steps[name].type == CONDITION:
            raise ValidationException(
                f"Step {step.name!r} depends on the condition step {name!r}, which only the steps of its "
                "branches can follow: move it into IfSteps or ElseSteps"
            )
    paths = (references.segments(path) for path in references.find(step.arguments))
    referenced = (str(parts[1]) for parts in paths if parts[0] == "Steps")
    return frozenset((*explicit, *referenced, *(step.branch[:1] if step.branch else ())))


def _check_cycles(dependencies: Mapping[str, frozenset[str]]) -> None:
    try:
        TopologicalSorter(dependencies).prepare()
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise ValidationException(f"Invalid pipeline definition: cycle between steps {cycle}") from error
