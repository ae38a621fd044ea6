"""What every path comes to: `{"status", "error", "cause", "retriable", "subject", "details"}`.

`error` and `cause` stand there even after a success, since a run that then cannot be recorded or told of ends
in `Failed` all the same.
"""

from stepfunctions import steps
from stepfunctions.steps.states import State

from statemachine.asl import caught

TROUBLE = "$.trouble"  # where an error of the last steps lies, apart from the failure that led there


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
