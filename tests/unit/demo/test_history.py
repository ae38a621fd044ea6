"""Events in botocore's format are converted to states with durations and outputs."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.stub import Stubber

from demo.history import History, new_events

START = datetime(2026, 1, 1, tzinfo=UTC)
ARN = "arn:aws:states:us-east-1:123456789012:execution:retrain:one"
PIPELINE = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/retrain-pipeline/execution/abc123"


def event(number: int, kind: str, second: float, previous: int = 0, **details: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"id": number, "type": kind, "timestamp": START + timedelta(seconds=second)}
    if previous:
        found["previousEventId"] = previous
    return found | details


def entered(number: int, name: str, second: float, kind: str = "Task", previous: int = 0) -> dict[str, Any]:
    return event(number, f"{kind}StateEntered", second, previous, stateEnteredEventDetails={"name": name})


def left(
    number: int, name: str, second: float, output: object = None, kind: str = "Task", previous: int = 0
) -> dict[str, Any]:
    details = {"name": name, "output": json.dumps(output)}
    return event(number, f"{kind}StateExited", second, previous, stateExitedEventDetails=details)


def history(*events: Any) -> History:
    found = History()
    found.add(events)
    return found


def test_a_state_has_its_duration_and_output() -> None:
    found = history(entered(1, "PlanRun", 0), left(2, "PlanRun", 2.5, {"run": True}))
    state = found.states["PlanRun"]
    assert (state.kind, state.visits, state.seconds, state.since) == ("Task", 1, 2.5, None)
    assert state.output == {"run": True}
    assert found.last_id == 2


def test_visits_are_added_and_an_open_visit_counts_until_now() -> None:
    found = history(
        entered(1, "WaitForPipeline", 0, "Wait"),
        left(2, "WaitForPipeline", 5, kind="Wait"),
        entered(3, "WaitForPipeline", 6, "Wait"),
    )
    state = found.states["WaitForPipeline"]
    assert state.visits == 2
    assert state.duration(START + timedelta(seconds=10)) == 9
    assert found.current == [state]


def test_visits_can_overlap_in_a_map() -> None:
    found = history(
        entered(1, "CreateEndpoint", 0),
        entered(2, "CreateEndpoint", 1),
        left(3, "CreateEndpoint", 3),
    )
    assert found.states["CreateEndpoint"].since == START
    found.add([left(4, "CreateEndpoint", 7)])  # type: ignore[list-item]
    assert found.states["CreateEndpoint"].seconds == 7
    assert found.current == []


def test_a_caught_error_is_distinguished_from_a_retried_one() -> None:
    found = history(
        entered(1, "PlanRun", 0),
        event(2, "TaskScheduled", 0, 1),
        event(3, "TaskFailed", 1, 2, taskFailedEventDetails={"error": "Throttled"}),
        event(4, "TaskScheduled", 2, 3),
        event(5, "TaskSucceeded", 3, 4),
        left(6, "PlanRun", 3, previous=5),
        entered(7, "CreateModel", 3, previous=6),
        event(8, "TaskScheduled", 3, 7),
        event(9, "TaskFailed", 4, 8, taskFailedEventDetails={"error": "AccessDenied"}),
        left(10, "CreateModel", 4, previous=9),
    )
    assert not found.states["PlanRun"].caught
    assert found.states["CreateModel"].caught


def test_events_without_links_belong_to_the_only_open_task() -> None:
    failed = event(3, "TaskFailed", 1, taskFailedEventDetails={"error": "X"})
    assert history(entered(1, "Deploy", 0, "Map"), entered(2, "A", 0), failed).states["A"].caught
    both = history(entered(1, "A", 0), entered(2, "B", 0), failed)
    assert not any(state.caught for state in both.states.values())


def test_end_closes_the_states_that_a_failure_left_open() -> None:
    found = history(entered(1, "SmokeTest", 0), entered(2, "Failed", 3, "Fail"))
    found.end(START + timedelta(seconds=4), succeeded=False)
    assert found.states["SmokeTest"].failed
    assert found.states["SmokeTest"].seconds == 4
    assert found.states["Failed"].failed
    assert found.current == []


def test_outputs_are_searched_newest_first() -> None:
    found = history(
        entered(1, "StartPipeline", 0),
        left(2, "StartPipeline", 1, {"pipeline": {"executionArn": PIPELINE}}),
        entered(3, "JudgeModel", 1),
        left(4, "JudgeModel", 2, {"evaluation": [{"table": [], "approved": True}]}),
    )
    assert found.pipeline_execution == PIPELINE
    assert found.find("table", "approved") == {"table": [], "approved": True}
    assert found.find("nothing") is None
    assert history(entered(1, "A", 0), left(2, "A", 1, "text")).pipeline_execution is None


def test_another_run_s_pipeline_is_not_this_one_s() -> None:
    output = {"holder": {"pipelineExecution": PIPELINE}, "pipeline": {"executionArn": None}}
    assert history(entered(1, "ReadLock", 0), left(2, "ReadLock", 1, output)).pipeline_execution is None


def test_only_pages_with_new_events_are_read() -> None:
    sfn = boto3.client(
        "stepfunctions", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    request = {"executionArn": ARN, "reverseOrder": True, "maxResults": 100}
    with Stubber(sfn) as stub:
        pages = [
            {"events": [entered(5, "C", 2), left(4, "B", 2)], "nextToken": "more"},
            {"events": [entered(3, "B", 1), left(2, "A", 1)], "nextToken": "older"},
        ]
        stub.add_response("get_execution_history", pages[0], request)
        stub.add_response("get_execution_history", pages[1], {**request, "nextToken": "more"})
        assert [each["id"] for each in new_events(sfn, ARN, after=2)] == [3, 4, 5]
        stub.assert_no_pending_responses()
