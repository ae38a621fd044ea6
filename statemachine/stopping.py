"""Stopping a pipeline execution."""

from stepfunctions import steps
from stepfunctions.steps.choice_rule import ChoiceRule
from stepfunctions.steps.states import State

from statemachine.asl import Task, call
from statemachine.outcome import complain

PIPELINE_STATUS = "$.pipeline.progress.status"  # set when the pipeline starts


def undo_pipeline(then: State) -> State:
    """Stop the run's own pipeline execution if it is still in progress."""
    stop = stop_pipeline("StopPipeline", "$.pipeline.executionArn", complain("StopPipeline", then))
    stop.next(then)
    started = ChoiceRule.IsPresent(PIPELINE_STATUS, True)
    unfinished = ChoiceRule.StringEquals(PIPELINE_STATUS, "Executing")
    executing = steps.Choice("PipelineStillExecuting?")
    executing.add_choice(ChoiceRule.And([started, unfinished]), stop)
    executing.default_choice(then)
    return executing


def stop_pipeline(name: str, arn: str, catch: steps.Catch) -> Task:
    """Stop the pipeline execution whose ARN is at a path."""
    return call(
        name,
        "sagemaker:stopPipelineExecution",
        {"PipelineExecutionArn.$": arn, "ClientRequestToken.$": f"States.Hash({arn}, 'SHA-256')"},
        [catch],
    )
