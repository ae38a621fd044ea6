"""The outcome, which every path sets: `{"status", "error", "cause", "retriable", "subject", "details"}`.

`error` and `cause` exist even after a success: a run that then cannot be recorded or reported ends in
`Failed`.
"""

from stepfunctions import steps
from stepfunctions.steps.states import State

from statemachine.asl import caught

TROUBLE = "$.trouble"  # an error of the last steps, apart from the failure before them


def outcome(status: str, subject: str, cause: str, details: str) -> steps.Pass:
    """Set the outcome of a run that did not fail.

    Args:
        status: one of the workflow's ends.
        subject: of the notification; a path if it begins with a `$`.
        cause: a path or an intrinsic function.
        details: the same.
    """
    shown = {"subject": f"${{StackName}}: {subject}"}
    if subject.startswith("$"):
        shown = {"subject.$": f"States.Format('${{StackName}}: {{}}', {subject})"}
    return steps.Pass(
        "Outcome" + status.title().replace("_", ""),
        parameters={
            "status": status,
            **shown,
            "error": "RunNotConcluded",
            "cause.$": cause,
            "details.$": details,
        },
        result_path="$.outcome",
    )


def complain(task: str, then: State) -> steps.Catch:
    """Return a Catch for a later failure: it adds to the cause, fails the run and skips no step."""
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
    """Return an intrinsic function that adds a later failure to a cause."""
    return f"States.Format('{{}} Then {task} failed: {{}}', {cause}, {TROUBLE}.Cause)"
