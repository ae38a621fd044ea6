"""The failure of a run: its explanation, one retry, and undoing what had begun."""

from stepfunctions import steps
from stepfunctions.steps.choice_rule import ChoiceRule
from stepfunctions.steps.states import State

from statemachine.asl import FAILURE, call, caught, invoke
from statemachine.deployment import undo_deployment
from statemachine.outcome import TROUBLE, complain, then_failed
from statemachine.stopping import undo_pipeline

RETRIED = "$.pipeline.retried"  # set after the pipeline was started again at the step that failed


def fail(again: State, then: State, untouched: State) -> State:
    """Explain the failure, then retry once or undo what the run had begun: what was live stays live.

    Args:
        again: the next state after the pipeline was started again at the step that failed.
        then: the next state if there is no retry.
        untouched: the same, if no deployment had begun.
    """
    # After the explanation: a stopped pipeline would be explained as stopped.
    undo = undo_pipeline(undo_deployment(then, untouched))
    explain = invoke(
        "ExplainFailure",
        {"failure.$": FAILURE, "pipelineExecutionArn.$": "$.pipeline.executionArn"},
        keep={
            "status.$": "$.Payload.status",
            "subject.$": "States.Format('${StackName}: {}', $.Payload.error)",
            "error.$": "$.Payload.error",
            "cause.$": "$.Payload.cause",
            "retriable.$": "$.Payload.retriable",
            "details.$": "$.Payload.error",
        },
        at="$.outcome",
    )
    unexplained = steps.Pass(
        "FailureUnexplained",
        comment="The original failure is what the run ends with, not the failure to explain it",
        parameters={
            "status": "FAILED",
            "subject": "${StackName}: run failed",
            "error.$": f"{FAILURE}.Error",
            "cause.$": then_failed("ExplainFailure", f"{FAILURE}.Cause"),
            "retriable": False,
            "details.$": f"{FAILURE}.Error",
        },
        result_path="$.outcome",
    )
    retry = call(
        "RetryPipeline",
        "sagemaker:retryPipelineExecution",
        {
            "PipelineExecutionArn.$": "$.pipeline.executionArn",
            "ClientRequestToken.$": "States.Hash($.pipeline.executionArn, 'SHA-256')",
        },
        [complain("RetryPipeline", undo)],
        comment="A fault of the platform: what had succeeded is not run again",
    )
    worth = steps.Choice("WorthRetrying?")
    retriable = ChoiceRule.BooleanEquals("$.outcome.retriable", True)
    worth.add_choice(ChoiceRule.And([retriable, ChoiceRule.IsPresent(RETRIED, False)]), retry)
    worth.default_choice(undo)
    explain.add_catch(caught(unexplained, at=TROUBLE))
    explain.next(worth)
    unexplained.next(undo)
    retry.next(again)
    return explain
