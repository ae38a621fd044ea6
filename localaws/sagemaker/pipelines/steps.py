"""The step types that a pipeline may have here, and the operations that each one stands for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StepType:
    """How a step of one type is done with SageMaker's own API.

    Attributes:
        kind: the noun of the operations: Create<kind>, Describe<kind>, Stop<kind>.
        metadata: the member of the step's Metadata that holds the ARN.
        name_member: the argument that the pipeline fills in; None where SageMaker names the result.
        is_job: whether it runs, so that it has to be waited for and can be stopped.
    """

    kind: str
    metadata: str
    name_member: str | None
    is_job: bool

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


STEP_TYPES = {
    "Processing": StepType("ProcessingJob", "ProcessingJob", "ProcessingJobName", is_job=True),
    "Training": StepType("TrainingJob", "TrainingJob", "TrainingJobName", is_job=True),
    "Transform": StepType("TransformJob", "TransformJob", "TransformJobName", is_job=True),
    "Model": StepType("Model", "Model", "ModelName", is_job=False),
    "RegisterModel": StepType("ModelPackage", "RegisterModel", None, is_job=False),
}
