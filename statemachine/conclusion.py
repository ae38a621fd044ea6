"""The end of every run, whatever its outcome."""

from stepfunctions import steps
from stepfunctions.steps.choice_rule import ChoiceRule
from stepfunctions.steps.states import State

from statemachine.asl import EXECUTION, call, invoke, lines, of_payload
from statemachine.outcome import complain, outcome


def nothing_new(then: State) -> State:
    """Set the outcome of a run without new files, which notifies nobody."""
    text = (
        "States.Format('All of {} files are in the ledger; set aside: {}; no data: {}', "
        "$.plan.objects, $.plan.setAside, $.plan.ignored)"
    )
    nothing = outcome("NOTHING_NEW", "nothing new", text, "States.JsonToString($.plan)")
    nothing.next(then)
    return nothing


def only_set_aside(then: State) -> State:
    """Set the outcome of a run whose new files are all set aside: it notifies, since somebody has to act."""
    text = "States.Format('No job can take the new files; set aside: {}', $.plan.newSetAside)"
    set_aside = outcome("SET_ASIDE", "files set aside", text, "States.JsonToString($.plan)")
    set_aside.next(then)
    return set_aside


def update_ledger(then: State) -> State:
    """Record what became of the planned files, so that the next look does not find them new again."""
    task = invoke(
        "UpdateLedger",
        {
            "planUri.$": "$.plan.planUri",
            "execution.$": "$$.Execution.Name",
            "outcome": {"status.$": "$.outcome.status"},
            "pipelineExecutionArn.$": "$.pipeline.executionArn",
            "goneNote.$": "$.plan.goneNote",
        },
        [complain("UpdateLedger", then)],
        keep=of_payload(
            "records",
            "deletedRecords",
            "quarantinedRows",
            "quarantinedFiles",
            "setAside",
            "newLabels",
            "heldLabels",
            "omittedLabels",
            "summary",
        ),
        at="$.ledger",
    )
    task.next(then)
    return task


def notify(then: State) -> State:
    """Notify the topic's subscribers, with the verdict's table or the cause."""
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


def look_once_more(then: State) -> State:
    """Start the next run for data that arrived while the lock was held."""
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
    # Without a plan to compare with, the files that broke this run would count as new and break the next.
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
    """End as the outcome says."""
    ended = steps.Choice("HowDidItEnd?")
    for status, name in (
        ("DEPLOYED", "Deployed"),
        ("REJECTED", "Rejected"),
        ("NOTHING_NEW", "NothingNew"),
        ("SET_ASIDE", "SetAside"),
    ):
        ended.add_choice(ChoiceRule.StringEquals("$.outcome.status", status), steps.Succeed(name))
    ended.default_choice(failure)
    return ended
