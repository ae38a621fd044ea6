"""The plan of a run, and its execution of the SageMaker Pipeline."""

from stepfunctions import steps
from stepfunctions.steps.choice_rule import ChoiceRule
from stepfunctions.steps.states import State

from statemachine.asl import EXECUTION, FAILURE, FIRST_PAUSE, call, caught, invoke, of_payload, poll
from statemachine.lock import LOCK, MINE
from statemachine.stopping import PIPELINE_STATUS

# Fields of PlanRun's answer that are pipeline parameters, under the same name with a capital.
PLANNED = [
    "planUri",
    "asOf",
    "outputUri",
    "quarantineUri",
    "championModelName",
    "championNote",
    "offlineStoreDatabase",
    "offlineStoreTable",
    "maxTuningJobs",
    "maxParallelTuningJobs",
    "ingestVolumeSizeInGB",
    "datasetVolumeSizeInGB",
]


def plan(then: State, nothing: State, set_aside: State, failed: State) -> State:
    """Wait for the end of a burst of uploads, then plan the run.

    Args:
        then: the next state if there is something to run.
        nothing: the next state if nothing is new.
        set_aside: the next state if nothing is new but what no job can take.
        failed: the next state after a failure.
    """
    settle = steps.Wait("Settle", seconds_path="$.settle.seconds")
    ask = invoke(
        "PlanRun",
        {
            "execution": {
                "Id.$": EXECUTION,
                "Name.$": "$$.Execution.Name",
                "Input.$": "$$.Execution.Input",
            }
        },
        [caught(failed)],
        keep=of_payload(
            "run",
            "forced",
            "newObjects",
            "objects",
            "remaining",
            "setAside",
            "newSetAside",
            "ignored",
            "goneObjects",
            "goneNote",
            "pipelineName",
            "championModelPackageArn",
            "firstModel",
            *PLANNED,
        ),
        at="$.plan",
    )
    anything = steps.Choice("AnythingNew?")
    anything.add_choice(ChoiceRule.BooleanEquals("$.plan.run", True), then)
    anything.add_choice(ChoiceRule.NumericGreaterThan("$.plan.newSetAside", 0), set_aside)
    anything.default_choice(nothing)
    settle.next(ask)
    ask.next(anything)
    return settle


def run_pipeline(then: State, failed: State, again: State) -> State:
    """Start the SageMaker Pipeline and poll it; a pipeline has no event that a task could wait for.

    Args:
        then: the next state after a success.
        failed: the next state after a failure.
        again: the state of a pipeline that was started again; it is polled further.
    """
    start = call(
        "StartPipeline",
        "sagemaker:startPipelineExecution",
        {
            "PipelineName.$": "$.plan.pipelineName",
            "PipelineExecutionDescription.$": EXECUTION,
            "ClientRequestToken.$": f"States.Hash({EXECUTION}, 'SHA-256')",
            "PipelineParameters": [
                {"Name": name[0].upper() + name[1:], "Value.$": f"$.plan.{name}"} for name in PLANNED
            ],
        },
        [caught(failed)],
        keep={
            "executionArn.$": "$.PipelineExecutionArn",
            "pause": {"seconds": FIRST_PAUSE},
            "progress": {"status": "Executing"},
        },
        at="$.pipeline",
    )
    remember = call(
        "RememberPipeline",
        "dynamodb:updateItem",
        {
            "TableName": "${TableName}",
            "Key": LOCK,
            "UpdateExpression": "SET pipelineExecution = :pipeline",
            "ConditionExpression": "execution = :mine",
            "ExpressionAttributeValues": {**MINE, ":pipeline": {"S.$": "$.pipeline.executionArn"}},
        },
        [caught(failed)],
        comment="Should this execution be stopped, whoever supersedes its lock stops its pipeline",
    )
    describe = call(
        "DescribePipeline",
        "sagemaker:describePipelineExecution",
        {"PipelineExecutionArn.$": "$.pipeline.executionArn"},
        keep={"status.$": "$.PipelineExecutionStatus"},
        at="$.pipeline.progress",
        polled=True,
    )
    broken = steps.Pass(
        "PipelineFailed",
        parameters={
            "Error.$": f"States.Format('Pipeline.{{}}', {PIPELINE_STATUS})",
            "Cause.$": f"States.Format('{{}} is {{}}', $.pipeline.executionArn, {PIPELINE_STATUS})",
        },
        result_path=FAILURE,
    )
    finished = steps.Choice("PipelineFinished?")
    finished.add_choice(ChoiceRule.StringEquals(PIPELINE_STATUS, "Succeeded"), then)
    finished.add_choice(ChoiceRule.StringEquals(PIPELINE_STATUS, "Failed"), broken)
    finished.add_choice(ChoiceRule.StringEquals(PIPELINE_STATUS, "Stopped"), broken)
    wait = poll("Pipeline", describe, finished, "$.pipeline.pause", otherwise=failed)
    start.next(remember).next(wait)
    broken.next(failed)
    again.next(wait)
    return start
