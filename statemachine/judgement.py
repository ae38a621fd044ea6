"""The judgement of a model, and its status in the registry."""

from stepfunctions import steps
from stepfunctions.steps.choice_rule import ChoiceRule
from stepfunctions.steps.states import State

from statemachine.asl import call, caught, invoke, lines, of_payload
from statemachine.outcome import TROUBLE, outcome


def evaluate(good: State, bad: State, failed: State) -> State:
    """Let JudgeModel judge the metrics, add the costs to its report, and branch on the verdict."""
    judge = invoke(
        "JudgeModel",
        {
            "pipelineExecutionArn.$": "$.pipeline.executionArn",
            "championModelPackageArn.$": "$.plan.championModelPackageArn",
            "championNote.$": "$.plan.championNote",
            "firstModel.$": "$.plan.firstModel",
        },
        [caught(failed)],
        keep=of_payload(
            "approved",
            "verdict",
            "modelPackageArn",
            "table",
            "summary",
            "statisticsUri",
            "samplesUri",
            "reportUri",
        ),
        at="$.evaluation",
    )
    enough = steps.Choice("GoodEnough?")
    enough.add_choice(ChoiceRule.BooleanEquals("$.evaluation.approved", True), good)
    enough.default_choice(bad)
    unknown = steps.Pass(
        "CostUnknown",
        comment="A price that is missing is no reason to keep a good model back",
        parameters={"text.$": f"States.Format('The cost could not be estimated: {{}}', {TROUBLE}.Cause)"},
        result_path="$.cost",
    )
    estimate = invoke(
        "EstimateCost",
        {"pipelineExecutionArn.$": "$.pipeline.executionArn"},
        [caught(unknown, at=TROUBLE)],
        keep=of_payload("total", "text", "costUri"),
        at="$.cost",
    )
    judge.next(estimate)
    estimate.next(enough)
    unknown.next(enough)
    return judge


def reject(then: State, failed: State) -> State:
    """Keep the model in the registry, with the reasons; what is live stays live."""
    task = approval("RejectModel", "Rejected", "$.evaluation.summary", caught(failed))
    rejected = outcome("REJECTED", "$.evaluation.verdict", "$.evaluation.summary", verdict())
    task.next(rejected).next(then)
    return task


def approval(name: str, status: str, why: str, catch: steps.Catch) -> State:
    """Set the model package's status; `why` takes 1,024 characters and no line break."""
    return call(
        name,
        "sagemaker:updateModelPackage",
        {
            "ModelPackageArn.$": "$.evaluation.modelPackageArn",
            "ModelApprovalStatus": status,
            "ApprovalDescription.$": why,
        },
        [catch],
    )


def verdict() -> str:
    """Return an intrinsic function: the judgement's table, the model package, its report and its cost."""
    return lines(
        "States.JsonToString($.evaluation.table)",
        "$.evaluation.modelPackageArn",
        "$.evaluation.reportUri",
        "$.cost.text",
    )
