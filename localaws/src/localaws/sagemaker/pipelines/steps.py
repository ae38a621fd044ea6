"""The supported step types of pipelines and their API operations."""

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
    """A step type that runs through SageMaker's API.

    Attributes:
        kind: the resource in the names of the operations: Create<kind>, Describe<kind>, Stop<kind>.
        metadata: the member of the step's Metadata that contains the ARN.
        name_member: the argument with the name, which the pipeline generates; None if SageMaker does.
        is_job: whether the resource is a job, which the step waits for and can stop.
        name_characters: maximum length of the name.
        cache_attributes: paths of the arguments in the cache key; empty if the type has no caching.
        members: members of a step of this type, in addition to COMMON_MEMBERS.
        more_describe_operations: operations besides Describe whose responses are properties of the step.
    """

    kind: str
    metadata: str
    name_member: str | None
    is_job: bool
    name_characters: int = 63
    cache_attributes: tuple[str, ...] = ()
    members: tuple[str, ...] = ("RetryPolicies",)
    more_describe_operations: tuple[str, ...] = ()

    @property
    def arn_member(self) -> str:
        """The member of Create's response that contains the ARN."""
        return f"{self.kind}Arn"

    @property
    def describe_member(self) -> str:
        """The member of Describe's request that identifies the resource."""
        return self.name_member or "ModelPackageName"

    @property
    def status_member(self) -> str:
        """The member of Describe's response that contains a job's status."""
        return f"{self.kind}Status"

    @property
    def request_shape(self) -> StructureShape:
        """The botocore shape of the step's arguments, Create's request."""
        return cast(StructureShape, operation_model(f"Create{self.kind}").input_shape)

    @property
    def response_shapes(self) -> tuple[StructureShape, ...]:
        """The botocore shapes of the step's properties: Describe's response, and the job list of Tuning."""
        operations = (f"Describe{self.kind}", *self.more_describe_operations)
        return tuple(
            cast(StructureShape, operation_model(operation).output_shape) for operation in operations
        )


# Cache attributes of each training job definition of a tuning job.
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
        more_describe_operations=(LIST_TUNED_JOBS,),
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
# Steps that run in the pipeline itself, and their members in addition to COMMON_MEMBERS.
OWN_TYPES: dict[str, tuple[str, ...]] = {
    CONDITION: (),
    FAIL: (),
    LAMBDA: ("FunctionArn", "OutputParameters"),
}
# Step types of the definition's schema and of the SDK that only AWS supports.
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
        document: the step in the definition.
        branch: for a step in a branch, the condition step's name and the outcome with which the step runs.
    """

    document: Document
    branch: tuple[str, bool] | None = None

    @property
    def name(self) -> str:
        """The step's name."""
        return str(self.document["Name"])

    @property
    def type(self) -> str:
        """The step's type, such as "Processing"."""
        return str(self.document["Type"])

    @property
    def arguments(self) -> Document:
        """The step's Arguments; of a condition step without the branches, which are separate steps."""
        arguments: Document = self.document["Arguments"]
        if self.type == CONDITION:
            return {"Conditions": arguments.get("Conditions")}
        return arguments
