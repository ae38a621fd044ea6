"""The step types match SageMaker's API model."""

from localaws.sagemaker.api.shapes import service_model
from localaws.sagemaker.pipelines.steps import AWS_ONLY, OWN_TYPES, STEP_TYPES


def test_operations_and_metadata_members_exist_in_sagemaker() -> None:
    model = service_model("sagemaker")
    metadata = model.shape_for("PipelineExecutionStepMetadata").members  # type: ignore[attr-defined]
    for step_type in STEP_TYPES.values():
        assert {f"Create{step_type.kind}", f"Describe{step_type.kind}"} <= set(model.operation_names)
        assert step_type.metadata in metadata
        assert {path.split(".")[0] for path in step_type.cache_attributes} <= set(
            step_type.request_shape.members
        )
        if step_type.name_member:
            limit = step_type.request_shape.members[step_type.name_member].metadata["max"]
            assert step_type.name_characters <= limit
    assert set(OWN_TYPES) <= set(metadata)
    assert not set(AWS_ONLY) & {*STEP_TYPES, *OWN_TYPES}
