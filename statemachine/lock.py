"""One run at a time: the lock is claimed first and released last."""

from stepfunctions import steps
from stepfunctions.steps.choice_rule import ChoiceRule
from stepfunctions.steps.states import State

from statemachine.asl import EXECUTION, FAILURE, Map, call, caught
from statemachine.outcome import complain
from statemachine.stopping import stop_pipeline

LOCK = {"pk": {"S": "LOCK"}, "sk": {"S": "LOCK"}}
MINE = {":mine": {"S.$": EXECUTION}}
CLAIM = {**LOCK, "execution": {"S.$": EXECUTION}, "claimedAt": {"S.$": "$$.State.EnteredTime"}}
HOLDER = "$.lock.Item.execution.S"
LEFT_PIPELINE = "$.lock.Item.pipelineExecution.S"
REQUESTS = "$.released.Attributes.requests.L"  # the inputs of executions that met this one
VISIBLE_AFTER = 15  # seconds; DescribeExecution may not know an execution that has just started
LOST = "DynamoDb.ConditionalCheckFailedException"
# Step Functions' names of errors and the API's differ in the suffix that the SDK for Java adds.
STALE = ["ExecutionDoesNotExistException", "ExecutionDoesNotExist", "InvalidArnException", "InvalidArn"]


def claim_lock(then: State, failed: State) -> State:
    """Claim the lock; take it over from a holder that no longer runs, and end if the holder runs."""
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
            # Its own lock counts as free: a retried request may follow one that succeeded.
            "ConditionExpression": "attribute_not_exists(pk) OR execution = :mine",
            "ExpressionAttributeValues": MINE,
        },
        [caught(read, LOST, at="$.lost"), caught(failed)],
    )
    held = steps.Choice("StillHeld?")
    supersede = supersede_lock(then, read, failed)
    held.add_choice(ChoiceRule.IsPresent(HOLDER, True), describe_holder(supersede, read, failed))
    held.default_choice(claim)
    claim.next(then)
    read.next(held)
    return claim


def describe_holder(stale: State, read: State, failed: State) -> State:
    """Describe the holder; one that is unknown twice, with a pause between, counts as gone."""
    already = steps.Succeed(
        "AlreadyRunning",
        comment="Nothing is lost: the execution that holds the lock looks for new data when it is done",
        output_path="$.holder",
    )
    running = steps.Choice("HolderRunning?")
    queue = queue_request(already, read, failed)
    running.add_choice(ChoiceRule.StringEquals("$.holder.status", "RUNNING"), queue)
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


def queue_request(then: State, read: State, failed: State) -> State:
    """Leave an operator's request with the lock, so that the holder starts it after its release.

    An event only wakes, and the holder looks for new data anyway.
    """
    request = steps.Pass(
        "ReadRequest",
        parameters={
            "input.$": "$$.Execution.Input",
            "text.$": "States.JsonToString($$.Execution.Input)",
        },
        result_path="$.request",
    )
    queue = call(
        "QueueRequest",
        "dynamodb:updateItem",
        {
            "TableName": "${TableName}",
            "Key": LOCK,
            "UpdateExpression": "SET requests = list_append(if_not_exists(requests, :none), :mine)",
            # The holder may have released in the meantime: then this execution can run itself.
            "ConditionExpression": "execution = :holder",
            "ExpressionAttributeValues": {
                ":holder": {"S.$": HOLDER},
                ":none": {"L": []},
                ":mine": {"L": [{"S.$": "$.request.text"}]},
            },
        },
        [caught(read, LOST, at="$.lost"), caught(failed)],
        keep={"startsAfterwards": True},
        at="$.holder.request",
    )
    event = ChoiceRule.And(
        [ChoiceRule.IsPresent(f"$.request.input.{key}", True) for key in ("source", "detail")]
    )
    only_wakes = steps.Choice("OnlyWakes?")
    only_wakes.add_choice(
        ChoiceRule.Or(
            [
                ChoiceRule.StringEquals("$.request.text", "{}"),
                event,
                ChoiceRule.IsPresent("$.request.input.Records", True),
            ]
        ),
        then,
    )
    only_wakes.default_choice(queue)
    request.next(only_wakes)
    queue.next(then)
    return request


def supersede_lock(then: State, read: State, failed: State) -> State:
    """Take over a stale lock, and stop the pipeline that its holder left."""
    supersede = call(
        "SupersedeLock",
        "dynamodb:updateItem",  # the requests of others stay
        {
            "TableName": "${TableName}",
            "Key": LOCK,
            "UpdateExpression": "SET execution = :mine, claimedAt = :now REMOVE pipelineExecution",
            "ConditionExpression": "execution = :stale OR execution = :mine",
            "ExpressionAttributeValues": {
                **MINE,
                ":stale": {"S.$": HOLDER},
                ":now": {"S.$": "$$.State.EnteredTime"},
            },
        },
        [caught(read, LOST, at="$.lost"), caught(failed)],
        at="$.lock",
        comment="The holder ended without releasing: it was stopped. If another was quicker, look again",
    )
    # It may have ended already, which is fine.
    stop = stop_pipeline("StopLeftPipeline", LEFT_PIPELINE, caught(supersede, at="$.gone"))
    left = steps.Choice("PipelineLeft?")
    left.add_choice(ChoiceRule.IsPresent(LEFT_PIPELINE, True), stop)
    left.default_choice(supersede)
    stop.next(supersede)
    supersede.next(then)
    return left


def without_lock(then: State) -> State:
    """Fail before the lock is claimed: this concerns no data, and every uploaded file may cause it."""
    outcome = {"error.$": f"{FAILURE}.Error", "cause.$": f"{FAILURE}.Cause"}
    failed = steps.Pass("LockNotClaimed", parameters=outcome, result_path="$.outcome")
    failed.next(then)
    return failed


def release_lock(then: State) -> State:
    """Release the lock if this execution still holds it, and start the requests that were left with it."""
    start = call(
        "StartRequest",
        "sfn:startExecution",
        {"StateMachineArn.$": "$$.StateMachine.Id", "Input.$": "$.S"},
        keep={"executionArn.$": "$.ExecutionArn"},
    )
    each = Map(
        "StartRequests", items_path=REQUESTS, result_path="$.started", catch=[complain("StartRequests", then)]
    )
    each.attach_iterator(start)
    waiting = steps.Choice("RequestsWaiting?")
    waiting.add_choice(ChoiceRule.IsPresent(REQUESTS, True), each)
    waiting.default_choice(then)
    task = call(
        "ReleaseLock",
        "dynamodb:deleteItem",
        {
            "TableName": "${TableName}",
            "Key": LOCK,
            "ConditionExpression": "execution = :mine",
            "ExpressionAttributeValues": {":mine": {"S.$": EXECUTION}},
            "ReturnValues": "ALL_OLD",
        },
        [caught(then, LOST, at="$.lost"), complain("ReleaseLock", then)],
        at="$.released",
    )
    task.next(waiting)
    each.next(then)
    return task
