"""The quality steps: scoring the test rows, and comparing with the floor and the champion."""

from typing import Any

from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionEquals, ConditionGreaterThanOrEqualTo
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.steps import Step, StepTypeEnum

from pipeline.parameters import CHAMPION, CHAMPION_NOTE, NO_CHAMPION, OUTPUT_URI, PLAN_URI
from pipeline.settings import (
    ACCURACY_FLOOR,
    PROCESSING_IMAGE,
    PROCESSING_INSTANCE,
    PROCESSING_ROLE,
    TRANSFORM_INSTANCE,
)
from pipeline.steps import (
    JSON_LINES,
    Request,
    RequestStep,
    below,
    output_of,
    processing_job,
    s3_input,
    s3_output,
    text,
    value_of,
)

OF_CHAMPION = {"CHAMPION_MODEL_NAME": CHAMPION, "CHAMPION_NOTE": CHAMPION_NOTE}  # the reports name it
ACCURACY = "multiclass_classification_metrics.accuracy.value"


def score_rows(name: str, who: str, dataset: Step, model: object) -> RequestStep:
    """Score the test split by Batch Transform with the image that the endpoints run."""
    request = {
        "ModelName": model,
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": 6,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": output_of(dataset, "test")}},
            "ContentType": JSON_LINES,
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": below(OUTPUT_URI, "predictions", who),
            "Accept": JSON_LINES,
            "AssembleWith": "Line",
        },
        "TransformResources": {"InstanceCount": 1, "InstanceType": TRANSFORM_INSTANCE},
    }
    description = f"Score the test split with the {who}, in the image that serves"
    return RequestStep(name, StepTypeEnum.TRANSFORM, description, request, cached=True)


def evaluate_quality(dataset: Step, score: Step) -> RequestStep:
    """Compare predictions and labels; the job writes Model Monitor's files and a report."""
    request = quality_job(
        "evaluate",
        dataset,
        [s3_input("predictions", score.properties.TransformOutput.S3OutputPath)],
        s3_output("quality", below(OUTPUT_URI, "quality")),
        environment=OF_CHAMPION,
    )
    return RequestStep(
        "EvaluateQuality",
        StepTypeEnum.PROCESSING,
        "Compare the predictions with the labels; write the model's quality as Model Monitor does",
        request,
        files={"ModelQuality": ("quality", "statistics.json")},
        cached=True,
    )


def compare_models(dataset: Step, challenger: Step, champion: Step) -> RequestStep:
    """Test whether the challenger is better than the champion on the same rows."""
    request = quality_job(
        "compare",
        dataset,
        [
            s3_input("plan", PLAN_URI),  # which rows are new
            *(
                s3_input(name, score.properties.TransformOutput.S3OutputPath)
                for name, score in (("challenger", challenger), ("champion", champion))
            ),
        ],
        s3_output("comparison", below(OUTPUT_URI, "comparison")),
        environment=OF_CHAMPION,
    )
    description = "Compare the new model with the champion, row by row"
    return RequestStep("CompareModels", StepTypeEnum.PROCESSING, description, request, cached=True)


def quality_job(
    command: str,
    dataset: Step,
    predictions: list[Request],
    output: Request,
    environment: dict[str, Any] | None = None,
) -> Request:
    """Return the request of a command that evaluates predictions for the test split."""
    return processing_job(
        PROCESSING_IMAGE,
        PROCESSING_ROLE,
        PROCESSING_INSTANCE,
        command,
        inputs=[
            *predictions,
            s3_input("test", output_of(dataset, "test")),
            s3_input("labels", output_of(dataset, "labels")),
            s3_input("dataset", output_of(dataset, "report")),
        ],
        outputs=[output],
        environment=environment,
    )


def above_floor(evaluate: Step, register: Step) -> ConditionStep:
    """Register the model unless its accuracy is below the floor."""
    message = text(
        "The accuracy over the test split is below the floor of ",
        ACCURACY_FLOOR,
        ": no model was registered. See ",
        output_of(evaluate, "quality"),
        "/report.html",
    )
    return ConditionStep(
        "AboveFloor",
        description="Is the accuracy at least the floor?",
        conditions=[
            ConditionGreaterThanOrEqualTo(value_of(evaluate, "ModelQuality", ACCURACY), ACCURACY_FLOOR)
        ],
        if_steps=[register],
        else_steps=[FailStep("BelowFloor", message, description="Register nothing, and say why")],
    )


def has_champion(dataset: Step, challenger: Step) -> ConditionStep:
    """Score the same rows with the champion, if there is one, and compare."""
    champion = score_rows("ScoreChampion", "champion", dataset, CHAMPION)
    return ConditionStep(
        "NoChampion",
        description="Is there no champion to compare with?",
        conditions=[ConditionEquals(CHAMPION, NO_CHAMPION)],
        if_steps=[],
        else_steps=[champion, compare_models(dataset, challenger, champion)],
    )
