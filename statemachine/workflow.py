"""The workflow: from files under raw/ to a model on two endpoints, or a reason why not.

`python statemachine/workflow.py` renders this file to `retrain.asl.json`; `--check` writes nothing and exits
with 1 when that file is stale.

The functions below stand in the order of the flow. The data that flows: `settle` and `pause` (seconds),
`plan`, `pipeline`, `evaluation`, `cost`, `deployment`, `smokeTest`, `ledger`, and `outcome`, which every
path comes to: `{"status", "error", "cause", "retriable", "subject", "details"}`. `error` and `cause` stand
there even after a success, since a run that then cannot be recorded or told of ends in `Failed` all the same.
The data may not exceed 256 KiB: what grows with the files lies in S3, and here only its URI.

An execution's history holds 25,000 events. A poll's pauses grow by 5 s a turn, so after T seconds it is
sqrt(10 T) late at most and has turned sqrt(2 T / 5) times. SageMaker lets a job run for 28 days: 984 turns of
11 events, 10,824 in all. The endpoints' loops come to 8,184, if all four take a day.
"""

import json
import sys
from pathlib import Path
from typing import Any

import endpoints
from asl import FAILURE, FIRST_PAUSE, Fail, Map, Task, call, caught, invoke, poll, sent_once
from stepfunctions import steps
from stepfunctions.steps.choice_rule import ChoiceRule
from stepfunctions.steps.states import State

RENDERED = Path(__file__).resolve().parent / "retrain.asl.json"
COMMENT = "Retrains a model on what was dropped under raw/; if it is good enough, two endpoints serve it"
EXECUTION = "$$.Execution.Id"
TROUBLE = "$.trouble"  # where an error of the last steps lies, apart from the failure that led there
PIPELINE_STATUS = "$.pipeline.progress.status"  # from the start on
REMEMBERED = "$.deployment.remembered"  # the endpoints, once it is known what they served before
LOCK = {"pk": {"S": "LOCK"}, "sk": {"S": "LOCK"}}
MINE = {":mine": {"S.$": EXECUTION}}
CLAIM = {**LOCK, "execution": {"S.$": EXECUTION}, "claimedAt": {"S.$": "$$.State.EnteredTime"}}
HOLDER = "$.lock.Item.execution.S"
LEFT_PIPELINE = "$.lock.Item.pipelineExecution.S"
VISIBLE_AFTER = 15  # seconds; DescribeExecution may not know an execution that has just started
LOST = "DynamoDb.ConditionalCheckFailedException"
# The states' names and their API's differ in the ending that the SDK for Java adds.
STALE = ["ExecutionDoesNotExistException", "ExecutionDoesNotExist", "InvalidArnException", "InvalidArn"]
RETRIED = "$.pipeline.retried"  # once the pipeline has been started again at the step that failed
PIPELINE_SETTINGS = [
    "FeatureGroupName",
    "AthenaUri",
    "CheckpointUri",
    "OfflineStoreTimeoutMinutes",
    "AccuracyFloor",
    "CodeVersion",
    "IngestInstanceCount",
    "ProcessingImageUri",
    "ModelImageUri",
    "ProcessingRoleArn",
    "TrainingRoleArn",
    "ModelRoleArn",
    "ModelPackageGroupName",
    "ProcessingInstanceType",
    "TrainingInstanceType",
    "TrainingInstanceCount",
    "TransformInstanceType",
]
# Of what PlanRun answers: a pipeline's parameter each, under the same name with a capital.
PLANNED = [
    "manifestUri",
    "planUri",
    "asOf",
    "outputUri",
    "quarantineUri",
    "championModelName",
    "offlineStoreDatabase",
    "offlineStoreTable",
    "maxTuningJobs",
    "maxParallelTuningJobs",
]
ASYNC_OUTPUT = {
    "S3OutputPath": "s3://${DataBucketName}/async/output",
    "S3FailurePath": "s3://${DataBucketName}/async/failure",
}


def author() -> State:
    """The whole flow, put together from its end, because a state names its successor."""
    failure = Fail("Failed", error_path="$.outcome.error", cause_path="$.outcome.cause")
    release = release_lock(look_once_more(end(failure)))
    record = update_ledger(notify(release))
    again = steps.Pass("PipelineRetried", result={"once": True}, result_path=RETRIED)
    failed = fail(again, record)
    deployed = deploy(record, failed)
    rejected = reject(record, failed)
    judged = evaluate(deployed, rejected, failed)
    piped = run_pipeline(judged, failed, again)
    planned = plan(piped, nothing_new(release), failed)
    return begin(claim_lock(planned, without_lock(failure)))


def begin(then: State) -> State:
    """Starts from nothing: what the execution was given is read by PlanRun alone, any event will do."""
    first = steps.Pass(
        "Begin",
        parameters={
            "settle": {"seconds.$": "States.StringToJson('${SettleSeconds}')"},
            # An intrinsic function's text takes no line break, its arguments do.
            "newline": "\n",
            # The last twelve digits: unique enough, and SageMaker's names end at 63 characters.
            "id.$": "States.ArrayGetItem(States.StringSplit(States.UUID(), '-'), 4)",
            "plan": {"planUri": None},
            "pipeline": {"executionArn": None},
            "ledger": {"summary": ""},
        },
    )
    first.next(then)
    return first


def claim_lock(then: State, failed: State) -> State:
    """One run at a time: a holder that no longer runs is superseded, a running one is left to it."""
    read = call(
        "ReadLock",
        "dynamodb:getItem",
        {"TableName": "${TableName}", "Key": LOCK, "ConsistentRead": True},
        [caught(failed)],
        at="$.lock",
    )
    claim = call(
        "ClaimLock",
        "dynamodb:putItem",
        {
            "TableName": "${TableName}",
            "Item": CLAIM,
            # Its own lock is no obstacle: a retried request may find that the first one arrived.
            "ConditionExpression": "attribute_not_exists(pk) OR execution = :mine",
            "ExpressionAttributeValues": MINE,
        },
        [caught(read, LOST, at="$.lost"), caught(failed)],
    )
    held = steps.Choice("StillHeld?")
    supersede = supersede_lock(then, read, failed)
    held.add_choice(ChoiceRule.IsPresent("$.lock.Item", True), describe_holder(supersede, read, failed))
    held.default_choice(claim)
    claim.next(then)
    read.next(held)
    return claim


def describe_holder(stale: State, read: State, failed: State) -> State:
    """Asks whether the holder runs; only one that is unknown twice, a while apart, is taken for gone."""
    already = steps.Succeed(
        "AlreadyRunning",
        comment="Nothing is lost: the execution that holds the lock looks for new data when it is done",
        output_path="$.holder",
    )
    running = steps.Choice("HolderRunning?")
    running.add_choice(ChoiceRule.StringEquals("$.holder.status", "RUNNING"), already)
    running.default_choice(stale)
    doubt = steps.Pass("DoubtHolder", input_path=HOLDER, result_path="$.doubted")
    doubt.next(steps.Wait("WaitForHolder", seconds=VISIBLE_AFTER)).next(read)
    twice = [ChoiceRule.IsPresent("$.doubted", True), ChoiceRule.StringEqualsPath("$.doubted", HOLDER)]
    doubted = steps.Choice("DoubtedBefore?")
    doubted.add_choice(ChoiceRule.And(twice), stale)
    doubted.default_choice(doubt)
    describe = call(
        "DescribeHolder",
        "sfn:describeExecution",
        {"ExecutionArn.$": HOLDER},
        [caught(doubted, *(f"Sfn.{error}" for error in STALE), at="$.gone"), caught(failed)],
        keep={"execution.$": "$.ExecutionArn", "status.$": "$.Status"},
        at="$.holder",
    )
    describe.next(running)
    return describe


def supersede_lock(then: State, read: State, failed: State) -> State:
    """Takes a stale lock over, and stops the pipeline that its holder left."""
    supersede = call(
        "SupersedeLock",
        "dynamodb:putItem",
        {
            "TableName": "${TableName}",
            "Item": CLAIM,
            "ConditionExpression": "execution = :stale OR execution = :mine",
            "ExpressionAttributeValues": {**MINE, ":stale": {"S.$": HOLDER}},
        },
        [caught(read, LOST, at="$.lost"), caught(failed)],
        at="$.lock",
        comment="The holder ended without releasing: it was stopped. If another was quicker, look again",
    )
    # It may have ended long since, which is no trouble.
    stop = stop_pipeline("StopLeftPipeline", LEFT_PIPELINE, caught(supersede, at="$.gone"))
    left = steps.Choice("PipelineLeft?")
    left.add_choice(ChoiceRule.IsPresent(LEFT_PIPELINE, True), stop)
    left.default_choice(supersede)
    stop.next(supersede)
    supersede.next(then)
    return left


def without_lock(then: State) -> State:
    """A failure before the lock is owned: it concerns no data, and every uploaded file may meet it."""
    outcome = {"error.$": f"{FAILURE}.Error", "cause.$": f"{FAILURE}.Cause"}
    failed = steps.Pass("LockNotClaimed", parameters=outcome, result_path="$.outcome")
    failed.next(then)
    return failed


def plan(then: State, nothing: State, failed: State) -> State:
    """Waits for the end of a burst of uploads, then asks what there is to train on."""
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
            "run", "forced", "newObjects", "objects", "pipelineName", "championModelPackageArn", *PLANNED
        ),
        at="$.plan",
    )
    anything = steps.Choice("AnythingNew?")
    anything.add_choice(ChoiceRule.BooleanEquals("$.plan.run", True), then)
    anything.default_choice(nothing)
    settle.next(ask)
    ask.next(anything)
    return settle


def run_pipeline(then: State, failed: State, again: State) -> State:
    """Starts the SageMaker Pipeline and polls it; a pipeline has no event that a task could wait for.

    Args:
        then: where a success leads.
        failed: where a failure leads.
        again: where a pipeline comes from that was started again, to be polled on.
    """
    start = call(
        "StartPipeline",
        "sagemaker:startPipelineExecution",
        {
            "PipelineName.$": "$.plan.pipelineName",
            "PipelineExecutionDescription.$": EXECUTION,
            "ClientRequestToken.$": f"States.Hash({EXECUTION}, 'SHA-256')",
            "PipelineParameters": [
                *({"Name": name[0].upper() + name[1:], "Value.$": f"$.plan.{name}"} for name in PLANNED),
                *({"Name": name, "Value": f"${{{name}}}"} for name in PIPELINE_SETTINGS),
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


def evaluate(good: State, bad: State, failed: State) -> State:
    """Lets a function judge the metrics, has the costs added to its report, and branches on its verdict."""
    judge = invoke(
        "EvaluateModel",
        {
            "pipelineExecutionArn.$": "$.pipeline.executionArn",
            "championModelPackageArn.$": "$.plan.championModelPackageArn",
        },
        [caught(failed)],
        keep=of_payload(
            "approved", "modelPackageArn", "table", "summary", "statisticsUri", "samplesUri", "reportUri"
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
    """Keeps the model in the registry, with the reasons; what is live stays live."""
    task = approval("RejectModel", "Rejected", "$.evaluation.summary", caught(failed))
    rejected = outcome("REJECTED", "model rejected", "$.evaluation.summary", verdict())
    task.next(rejected).next(then)
    return task


def deploy(then: State, failed: State) -> State:
    """Approves the model and brings it to both endpoints, side by side, then tries them."""
    name = steps.Pass(
        "NameDeployment",
        parameters={
            "model.$": "States.Format('${StackName}-{}', $.id)",
            "endpoints": [
                {
                    "name": f"${{{kind}EndpointName}}",
                    "config.$": config_name(kind),
                    "pause": {"seconds": FIRST_PAUSE},
                }
                for kind in ("RealTime", "Async")
            ],
        },
        result_path="$.deployment",
    )
    remember = each_endpoint(
        "RememberEndpoints", "$.deployment.endpoints", endpoints.remember(), caught(failed), at=REMEMBERED
    )
    approve = approval("ApproveModel", "Approved", "$.evaluation.summary", caught(failed))
    create = call(
        "CreateModel",
        "sagemaker:createModel",
        {
            "ModelName.$": "$.deployment.model",
            "PrimaryContainer": {"ModelPackageName.$": "$.evaluation.modelPackageArn"},
            "ExecutionRoleArn": "${ModelRoleArn}",
        },
    )
    live = each_endpoint("DeployEndpoints", REMEMBERED, endpoints.deploy(), caught(failed))
    smoke = invoke(
        "SmokeTest",
        {
            "samplesUri.$": "$.evaluation.samplesUri",
            "realTimeEndpointName": "${RealTimeEndpointName}",
            "asyncEndpointName": "${AsyncEndpointName}",
        },
        [caught(failed)],
        keep=of_payload("answers"),
        at="$.smokeTest",
    )
    real_time = configure("RealTime")
    asynchronous = configure("Async", AsyncInferenceConfig={"OutputConfig": ASYNC_OUTPUT})
    steps.Chain([name, remember, approve, create])
    sent_once(create, real_time, failed)
    sent_once(real_time, asynchronous, failed)
    sent_once(asynchronous, live, failed)
    deployed = outcome("DEPLOYED", "model deployed", "$.evaluation.summary", verdict())
    steps.Chain([live, smoke, deployed, then])
    return name


def configure(kind: str, **more: Any) -> Task:
    """An endpoint's configuration: one instance that serves the new model."""
    variant = {
        "VariantName": "AllTraffic",
        "ModelName.$": "$.deployment.model",
        "InstanceType": "${EndpointInstanceType}",
        "InitialInstanceCount": 1,
    }
    return call(
        f"Configure{kind}",
        "sagemaker:createEndpointConfig",
        {
            "EndpointConfigName.$": config_name(kind),
            "ProductionVariants": [variant],
            **more,
        },
    )


def config_name(kind: str) -> str:
    """An intrinsic function that names an endpoint's new configuration."""
    return f"States.Format('${{StackName}}-{{}}-{kind.lower()}', $.id)"


def fail(again: State, then: State) -> State:
    """Says why, and tries once more or undoes what the run had begun: what was live before is live after.

    Args:
        again: where a pipeline leads that was started again at the step that failed.
        then: where the run leads that is given up.
    """
    # Stopped first, the pipeline would be the explanation.
    undo = undo_pipeline(undo_deployment(then))
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


def undo_pipeline(then: State) -> State:
    """Stops the pipeline if it still executes: nobody waits for it any more."""
    stop = stop_pipeline("StopPipeline", "$.pipeline.executionArn", complain("StopPipeline", then))
    stop.next(then)
    started = ChoiceRule.IsPresent(PIPELINE_STATUS, True)
    unfinished = ChoiceRule.StringEquals(PIPELINE_STATUS, "Executing")
    executing = steps.Choice("PipelineStillExecuting?")
    executing.add_choice(ChoiceRule.And([started, unfinished]), stop)
    executing.default_choice(then)
    return executing


def stop_pipeline(name: str, arn: str, catch: steps.Catch) -> Task:
    """Stops the pipeline execution whose ARN lies at a path."""
    return call(
        name,
        "sagemaker:stopPipelineExecution",
        {"PipelineExecutionArn.$": arn, "ClientRequestToken.$": f"States.Hash({arn}, 'SHA-256')"},
        [catch],
    )


def undo_deployment(then: State) -> State:
    """Restores both endpoints and rejects the model, if it was about to be deployed."""
    takeback = approval(
        "TakeApprovalBack",
        "Rejected",
        "States.Format('Good enough, but not deployed: {}. See {}', $.outcome.error, $$.Execution.Id)",
        complain("TakeApprovalBack", then),
    )
    restore = each_endpoint(
        "RestoreEndpoints", REMEMBERED, endpoints.restore(), complain("RestoreEndpoints", takeback)
    )
    begun = steps.Choice("DeploymentBegun?")
    begun.add_choice(ChoiceRule.IsPresent(REMEMBERED, True), restore)
    begun.default_choice(then)
    restore.next(takeback).next(then)
    return begun


def nothing_new(then: State) -> State:
    """An outcome that nobody is told of."""
    text = "States.Format('All of {} files are in the ledger', $.plan.objects)"
    nothing = outcome("NOTHING_NEW", "nothing new", text, "States.JsonToString($.plan)")
    nothing.next(then)
    return nothing


def update_ledger(then: State) -> State:
    """Records what became of the planned files, or the next look would find them new again."""
    task = invoke(
        "UpdateLedger",
        {
            "planUri.$": "$.plan.planUri",
            "execution.$": "$$.Execution.Name",
            "outcome": {"status.$": "$.outcome.status"},
            "pipelineExecutionArn.$": "$.pipeline.executionArn",
        },
        [complain("UpdateLedger", then)],
        keep=of_payload("records", "quarantinedRows", "quarantinedFiles", "summary"),
        at="$.ledger",
    )
    task.next(then)
    return task


def notify(then: State) -> State:
    """Tells the topic's subscribers, with the verdict's table or the cause."""
    task = call(
        "Notify",
        "sns:publish",
        {
            "TopicArn": "${NotificationTopicArn}",
            "Subject.$": "$.outcome.subject",
            "Message.$": lines("$.outcome.cause", "$.ledger.summary", "$.outcome.details", EXECUTION),
        },
        [complain("Notify", then)],
    )
    task.next(then)
    return task


def release_lock(then: State) -> State:
    """Frees the lock if this execution still holds it."""
    task = call(
        "ReleaseLock",
        "dynamodb:deleteItem",
        {
            "TableName": "${TableName}",
            "Key": LOCK,
            "ConditionExpression": "execution = :mine",
            "ExpressionAttributeValues": {":mine": {"S.$": EXECUTION}},
        },
        [caught(then, LOST, at="$.lost"), complain("ReleaseLock", then)],
    )
    task.next(then)
    return task


def look_once_more(then: State) -> State:
    """Starts the next run for data that arrived while the lock was held, and so started none itself."""
    start = call(
        "StartNextRun",
        "sfn:startExecution",
        {"StateMachineArn.$": "$$.StateMachine.Id", "Input": "{}"},
        [complain("StartNextRun", then)],
        keep={"executionArn.$": "$.ExecutionArn"},
        at="$.next",
    )
    look = invoke(
        "LookOnceMore",
        {
            "lookAgain": {
                "planUri.$": "$.plan.planUri",
                "outcome": {"status.$": "$.outcome.status"},
            }
        },
        [complain("LookOnceMore", then)],
        keep=of_payload("run"),
        at="$.again",
        function="PlanRun",
    )
    more = steps.Choice("MoreData?")
    more.add_choice(ChoiceRule.BooleanEquals("$.again.run", True), start)
    more.default_choice(then)
    # Without a plan to compare with, what broke this run would look new and break the next one, for ever.
    unplanned = ChoiceRule.And(
        [ChoiceRule.StringEquals("$.outcome.status", "FAILED"), ChoiceRule.IsNull("$.plan.planUri", True)]
    )
    sensible = steps.Choice("FailedBeforeThePlan?")
    sensible.add_choice(unplanned, then)
    sensible.default_choice(look)
    look.next(more)
    start.next(then)
    return sensible


def end(failure: State) -> State:
    """Ends as the outcome says."""
    ended = steps.Choice("HowDidItEnd?")
    for status, name in (("DEPLOYED", "Deployed"), ("REJECTED", "Rejected"), ("NOTHING_NEW", "NothingNew")):
        ended.add_choice(ChoiceRule.StringEquals("$.outcome.status", status), steps.Succeed(name))
    ended.default_choice(failure)
    return ended


def outcome(status: str, subject: str, cause: str, details: str) -> steps.Pass:
    """How a run went that did not fail, `cause` and `details` being paths or intrinsic functions."""
    return steps.Pass(
        "Outcome" + status.title().replace("_", ""),
        parameters={
            "status": status,
            "subject": f"${{StackName}}: {subject}",
            "error": "RunNotConcluded",
            "cause.$": cause,
            "details.$": details,
        },
        result_path="$.outcome",
    )


def complain(task: str, then: State) -> steps.Catch:
    """A failure after the outcome adds to its cause, fails the run and stops no further step."""
    complaint = steps.Pass(
        f"{task}Failed",
        parameters={
            "status": "FAILED",
            "subject.$": "$.outcome.subject",
            "error.$": "$.outcome.error",
            "cause.$": then_failed(task, "$.outcome.cause"),
            "details.$": "$.outcome.details",
        },
        result_path="$.outcome",
    )
    complaint.next(then)
    return caught(complaint, at=TROUBLE)


def then_failed(task: str, cause: str) -> str:
    """An intrinsic function that adds a later trouble to a cause."""
    return f"States.Format('{{}} Then {task} failed: {{}}', {cause}, {TROUBLE}.Cause)"


def approval(name: str, status: str, why: str, catch: steps.Catch) -> State:
    """Sets the model package's status in the registry; `why` takes 1,024 characters and no line break."""
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


def each_endpoint(name: str, items: str, loop: State, catch: steps.Catch, at: str | None = None) -> State:
    """Does the same to both endpoints, side by side."""
    task = Map(name, items_path=items, result_path=at, catch=[catch])
    task.attach_iterator(loop)
    return task


def verdict() -> str:
    """An intrinsic function: what the judgement rests on, the model package, its report and what it cost."""
    return lines(
        "States.JsonToString($.evaluation.table)",
        "$.evaluation.modelPackageArn",
        "$.evaluation.reportUri",
        "$.cost.text",
    )


def of_payload(*fields: str) -> dict[str, str]:
    """A ResultSelector that takes these fields of what a function answered."""
    return {f"{field}.$": f"$.Payload.{field}" for field in fields}


def lines(*values: str) -> str:
    """An intrinsic function that puts each value on a line of its own, with one empty line between."""
    pattern = "{}{}".join(["{}"] * len(values))
    gaps = ", $.newline, $.newline, "
    return f"States.Format('{pattern}', {gaps.join(values)})"


def render() -> str:
    """The rendered file's content, its states in the order in which a reader meets them."""
    definition = steps.Graph(author(), comment=COMMENT).to_dict()
    return json.dumps(in_order(definition), indent=2) + "\n"


def in_order(definition: dict[str, Any]) -> dict[str, Any]:
    """The same states, each followed by its successors: loops before ways on, ways on before errors."""
    states, ordered, errors = definition["States"], {}, [definition["StartAt"]]
    while errors:
        pending = [errors.pop(0)]
        while pending:
            name = pending.pop()
            if name in ordered:
                continue
            state = ordered[name] = states[name]
            errors += [catch["Next"] for catch in state.get("Catch", [])]
            ways = [state[key] for key in ("Next", "Default") if key in state]
            ways += [choice["Next"] for choice in reversed(state.get("Choices", []))]
            pending += sorted(ways, key=lambda way: states[way].get("Next") in ordered)
    return {**definition, "States": ordered}


def main(arguments: list[str]) -> int:
    """Writes the file if it is stale, or with `--check` only says so."""
    text = render()
    if RENDERED.exists() and RENDERED.read_text() == text:
        return 0
    if "--check" in arguments:
        print(f"{RENDERED.name} is stale: run statemachine/workflow.py and commit it", file=sys.stderr)
        return 1
    RENDERED.write_text(text)
    print(f"wrote {RENDERED.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
