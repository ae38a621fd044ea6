"""The step types that a pipeline may have here, and what each one stands for."""

from dataclasses import dataclass
from typing import cast

from botocore.model import StructureShape

from localaws.sagemaker.api.shapes import Document, operation_model

CONDITION, FAIL, LAMBDA = "Condition", "Fail", "Lambda"
LIST_TUNED_JOBS = "ListTrainingJobsForHyperParameterTuningJob"
TUNED_JOBS = "TrainingJobSummaries"
COMMON_MEMBERS = ("Name", "Type", "Arguments", "DisplayName", "Description", "DependsOn")


@dataclass(frozen=True)
class StepType:
    """How a step of one type is done with SageMaker's own API.

    Attributes:
        kind: the noun of the operations: Create<kind>, Describe<kind>, Stop<kind>.
        metadata: the member of the step's Metadata that holds the ARN.
        name_member: the argument that the pipeline fills in; None where SageMaker names the result.
        is_job: whether it runs, so that it has to be waited for and can be stopped.
        name_characters: how long the name may be.
        cache_attributes: paths of the arguments that make two runs the same; none where no run is reused.
        members: what a step of this type has besides the members of every step.
        described_by_too: operations whose answers are properties of the step, besides Describe.
    """

    kind: str
    metadata: str
    name_member: str | None
    is_job: bool
    name_characters: int = 63
    cache_attributes: tuple[str, ...] = ()
    members: tuple[str, ...] = ("RetryPolicies",)
    described_by_too: tuple[str, ...] = ()

    @property
    def arn_member(self) -> str:
        """The member of Create's answer that holds the ARN."""
        return f"{self.kind}Arn"

    @property
    def describe_member(self) -> str:
        """The member by which Describe finds the result."""
        return self.name_member or "ModelPackageName"

    @property
    def status_member(self) -> str:
        """The member of Describe's answer that tells how a job stands."""
        return f"{self.kind}Status"

    @property
    def request_shape(self) -> StructureShape:
        """The arguments, as botocore knows them."""
        return cast(StructureShape, operation_model(f"Create{self.kind}").input_shape)

    @property
    def answer_shapes(self) -> tuple[StructureShape, ...]:
        """Where the step's properties are found: Describe's answer, and of tuning the list of its jobs."""
        operations = (f"Describe{self.kind}", *self.described_by_too)
        return tuple(
            cast(StructureShape, operation_model(operation).output_shape) for operation in operations
        )


# What makes two tuned jobs the same, for one definition or for each of several.
_TUNED = ("AlgorithmSpecification", "HyperParameterRanges", "InputDataConfig", "StaticHyperParameters")

# Cache attributes: "Default cache key attributes by pipeline step type" of the SageMaker developer guide.
STEP_TYPES = {
    "Processing": StepType(
        "ProcessingJob",
        "ProcessingJob",
        "ProcessingJobName",
        is_job=True,
        cache_attributes=("AppSpecification", "Environment", "ProcessingInputs"),
        members=("CacheConfig", "PropertyFiles", "RetryPolicies"),
    ),
    "Training": StepType(
        "TrainingJob",
        "TrainingJob",
        "TrainingJobName",
        is_job=True,
        cache_attributes=(
            "AlgorithmSpecification",
            "CheckpointConfig",
            "DebugHookConfig",
            "DebugRuleConfigurations",
            "Environment",
            "HyperParameters",
            "InputDataConfig",
        ),
        members=("CacheConfig", "RetryPolicies"),
    ),
    "Tuning": StepType(
        "HyperParameterTuningJob",
        "TuningJob",
        "HyperParameterTuningJobName",
        is_job=True,
        name_characters=32,
        cache_attributes=(
            "HyperParameterTuningJobConfig",
            *(f"TrainingJobDefinition.{member}" for member in (*_TUNED, "TuningObjective")),
            "TrainingJobDefinitions",
        ),
        members=("CacheConfig", "RetryPolicies"),
        described_by_too=(LIST_TUNED_JOBS,),
    ),
    "Transform": StepType(
        "TransformJob",
        "TransformJob",
        "TransformJobName",
        is_job=True,
        cache_attributes=("DataProcessing", "Environment", "ModelName", "TransformInput"),
        members=("CacheConfig", "RetryPolicies"),
    ),
    "Model": StepType("Model", "Model", "ModelName", is_job=False),
    "RegisterModel": StepType("ModelPackage", "RegisterModel", None, is_job=False),
}
# Steps that the pipeline does itself, and what each has besides the members of every step.
OWN_TYPES: dict[str, tuple[str, ...]] = {
    CONDITION: (),
    FAIL: (),
    LAMBDA: ("FunctionArn", "OutputParameters"),
}
# Step types of the definition's schema and of the SDK that only AWS runs.
AWS_ONLY = (
    "AutoML",
    "Callback",
    "ClarifyCheck",
    "EMR",
    "Endpoint",
    "EndpointConfig",
    "InferenceComponent",
    "Lineage",
    "QualityCheck",
)


@dataclass(frozen=True)
class Step:
    """A step of a definition.

    Attributes:
        document: as the definition has it.
        branch: the condition step that decides about it, and the outcome with which it runs.
    """

    document: Document
    branch: tuple[str, bool] | None = None

    @property
    def name(self) -> str:
        """Its own."""
        return str(self.document["Name"])

    @property
    def type(self) -> str:
        """Such as "Processing"."""
        return str(self.document["Type"])

    @property
    def arguments(self) -> Document:
        """What it does it with; a condition's branches are steps of their own."""
        arguments: Document = self.document["Arguments"]
        if self.type == CONDITION:
            return {"Conditions": arguments.get("Conditions")}
        return arguments
