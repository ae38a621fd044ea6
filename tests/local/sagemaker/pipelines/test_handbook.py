"""The page about pipeline steps says what the code does."""

import subprocess
import sys
from pathlib import Path

from localaws.sagemaker.pipelines.steps import AWS_ONLY, OWN_TYPES, STEP_TYPES
from localaws.sagemaker.shapes import service_model

PAGE = Path(__file__).parents[4] / "docs/pipeline-steps.md"


def test_the_page_is_what_the_command_writes() -> None:
    command = [sys.executable, "-m", "localaws", "step-types"]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert PAGE.read_text() == written, "stale: python -m localaws step-types > docs/pipeline-steps.md"


def test_every_operation_and_every_metadata_member_is_sagemaker_s() -> None:
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
