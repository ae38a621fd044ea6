import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StructureShape

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "statemachine"
RENDERED = (FOLDER / "rendered" / "retrain.asl.json").read_text()
DEFINITION: dict[str, Any] = json.loads(RENDERED)
STATES: dict[str, dict[str, Any]] = DEFINITION["States"]
MAPS = {name: state["ItemProcessor"] for name, state in STATES.items() if state["Type"] == "Map"}
FUNCTIONS = ["PlanRun", "JudgeModel", "EstimateCost", "SmokeTest", "ExplainFailure", "UpdateLedger"]
# After these the run only ends, so their failures must not lead back to where the failure is explained.
TAIL = {
    "ExplainFailure": "PipelineStillExecuting?",
    "RetryPipeline": "PipelineStillExecuting?",
    "StopPipeline": "DeploymentBegun?",
    "RestoreEndpoints": "TakeApprovalBack",
    "TakeApprovalBack": "UpdateLedger",
    "RestoreChampion": "UpdateLedger",
    "UpdateLedger": "Notify",
    "Notify": "ReleaseLock",
    "ReleaseLock": "FailedBeforeThePlan?",
    "StartRequests": "FailedBeforeThePlan?",
    "LookOnceMore": "HowDidItEnd?",
    "StartNextRun": "HowDidItEnd?",
}

# Before these end, the execution owns no lock, so it may touch none and concerns no data.
WITHOUT_LOCK = ["ClaimLock", "ReadLock", "DescribeHolder", "SupersedeLock", "QueueRequest"]
POLLED = ["Pipeline", "Endpoint", "LiveEndpoint", "Deployment"]
POLLED += ["DisturbedEndpoint", "Restoration", "UnwantedEndpoint", "StandingEndpoint", "Revival"]
PREFIXES = {"dynamodb": "DynamoDb", "sagemaker": "SageMaker", "sfn": "Sfn", "sns": "Sns"}
# The optimized integration's, as AWS's page on it lists them; TooManyRequestsException is in Lambda's model.
LAMBDA_ERRORS = [
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
]

MAX_EVENTS = 25_000
DAY = 86_400  # seconds
PIPELINE_LIMIT = 28 * DAY  # SageMaker's longest job
ENDPOINT_LIMIT = DAY
EVENTS = {"Wait": 2, "Choice": 2, "Pass": 2, "Task": 5}  # entered, exited; scheduled, started, succeeded

Graph = tuple[str, str, dict[str, dict[str, Any]]]


def graphs() -> Iterator[Graph]:
    """The state machine and the loops inside it: name, first state, states."""
    yield "", DEFINITION["StartAt"], STATES
    for name, loop in MAPS.items():
        yield name, loop["StartAt"], loop["States"]


def all_states() -> dict[str, dict[str, Any]]:
    return {name: state for _, _, states in graphs() for name, state in states.items()}


GRAPHS = list(graphs())
TASKS = {name: state for name, state in all_states().items() if state["Type"] == "Task"}
CALLS = {name: state for name, state in TASKS.items() if ":aws-sdk:" in state["Resource"]}


def successors(state: dict[str, Any], errors: bool = True) -> Iterator[str]:
    yield from (state[key] for key in ("Next", "Default") if key in state)
    yield from (choice["Next"] for choice in state.get("Choices", []))
    if errors:
        yield from (catch["Next"] for catch in state.get("Catch", []))


def test_the_rendered_file_is_not_stale_and_a_stale_one_is_told(tmp_path: Path) -> None:
    copy = shutil.copytree(FOLDER, tmp_path / "statemachine")
    rendered = copy / "rendered" / "retrain.asl.json"
    rendered.write_text("{}")
    # In one process: the Data Science SDK takes seconds to import.
    render = (
        "import sys; from statemachine.workflow import RENDERED, main; stale = main(['--check']);"
        "assert (stale, RENDERED.read_text()) == (1, '{}'); sys.exit(main([]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", render], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "retrain.asl.json is stale" in done.stderr
    assert rendered.read_text() == RENDERED


@pytest.mark.parametrize(("name", "start", "states"), GRAPHS)
def test_every_state_is_reachable_and_leads_somewhere(
    name: str, start: str, states: dict[str, dict[str, Any]]
) -> None:
    reached, pending = set(), [start]
    while pending:
        place = pending.pop()
        if place not in reached:
            reached.add(place)
            pending += successors(states[place])
    assert reached == states.keys()
    for state in states.values():
        assert (
            state["Type"] in ("Succeed", "Fail") or state.get("End") or list(successors(state, errors=False))
        )


def test_state_names_are_unique_and_short() -> None:
    names = [name for _, _, states in graphs() for name in states]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"([A-Z][a-z0-9]*)+\??", name) and len(name) <= 80 for name in names)
    assert all(name.endswith("?") == (state["Type"] == "Choice") for name, state in all_states().items())


def test_the_states_end_where_the_issue_says() -> None:
    ends = {name: state["Type"] for name, state in STATES.items() if state["Type"] in ("Succeed", "Fail")}
    succeeded = dict.fromkeys(["Deployed", "Rejected", "NothingNew", "SetAside", "AlreadyRunning"], "Succeed")
    assert ends == {**succeeded, "Failed": "Fail"}
    assert STATES["Failed"]["CausePath"] == "$.outcome.cause"


@pytest.mark.parametrize("name", TASKS)
def test_every_retry_is_of_an_error_that_can_occur(name: str) -> None:
    listed = LAMBDA_ERRORS
    if name in CALLS:
        service, _ = operation(CALLS[name])
        prefix = PREFIXES[service]
        shapes = [shape.name.removesuffix("Exception") for shape in model(service).error_shapes]
        names = [*shapes, prefix, "SdkClient"]
        listed = [f"{prefix}.{name.replace('KMS', 'Kms')}Exception" for name in names]
    retries = TASKS[name]["Retry"]
    assert {error for retry in retries for error in retry["ErrorEquals"]} <= set(listed)
    assert {(retry["JitterStrategy"], retry["MaxDelaySeconds"]) for retry in retries} == {("FULL", 60)}


@pytest.mark.parametrize("name", CALLS)
def test_throttling_that_the_model_does_not_list_is_retried_or_polled_over(name: str) -> None:
    prefix = PREFIXES[operation(CALLS[name])[0]]
    attempts = {
        error: retry["MaxAttempts"] for retry in CALLS[name]["Retry"] for error in retry["ErrorEquals"]
    }
    if prefix == "DynamoDb":
        assert "DynamoDb.ThrottlingException" in attempts
    elif name.removeprefix("Describe") in POLLED:
        assert "SageMaker.SageMakerException" not in attempts
        assert CALLS[name]["Catch"][0]["ErrorEquals"] == ["SageMaker.SageMakerException"]
    else:
        assert attempts[f"{prefix}.{prefix}Exception"] == {"SageMaker": 3, "Sns": 3, "Sfn": 20}[prefix]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_may_not_or_that_raises_is_not_retried(name: str) -> None:
    retried = {error for retry in TASKS[name]["Retry"] for error in retry["ErrorEquals"]}
    assert not {"States.ALL", "States.TaskFailed", "Lambda.AWSLambdaException"} & retried


@pytest.mark.parametrize("name", [name for name in STATES if STATES[name]["Type"] in ("Task", "Map")])
def test_every_error_is_caught(name: str) -> None:
    last = STATES[name]["Catch"][-1]
    assert last["ErrorEquals"] == ["States.ALL"]
    target = last["Next"]
    if name in TAIL:
        assert STATES[target]["Type"] == "Pass"
        assert STATES[target]["Next"] == TAIL[name]
        assert STATES[target]["ResultPath"] == "$.outcome"
    elif name in WITHOUT_LOCK:
        assert (target, last["ResultPath"]) == ("LockNotClaimed", "$.failure")
        assert STATES[target]["Next"] == "Failed"
    elif name == "EstimateCost":
        assert STATES[target]["Next"] == "GoodEnough?"
    elif name == "StopLeftPipeline":
        assert target == "SupersedeLock"
    else:
        assert (target, last["ResultPath"]) == ("ExplainFailure", "$.failure")


def test_the_tail_ends_every_path_with_the_lock_free() -> None:
    holding = [STATES["Settle"]]
    seen: set[str] = set()
    while holding:
        for name in successors(holding.pop()):
            if name not in seen and name != "ReleaseLock":
                seen.add(name)
                holding.append(STATES[name])
    assert not {name for name in seen if STATES[name]["Type"] in ("Succeed", "Fail")}


@cache
def model(service: str) -> Any:
    api = {"sfn": "stepfunctions"}.get(service, service)
    return botocore.session.get_session().get_service_model(api)


def operation(state: dict[str, Any]) -> tuple[str, str]:
    service, action = state["Resource"].split(":")[-2:]
    return service, action[0].upper() + action[1:]


def check_request(value: object, shape: Shape, where: str) -> None:
    if isinstance(shape, StructureShape):
        assert isinstance(value, dict)
        members = {name[0].upper() + name[1:]: member for name, member in shape.members.items()}
        given = {name.removesuffix(".$") for name in value}
        required = {name[0].upper() + name[1:] for name in shape.required_members}
        assert required <= given, f"{where} lacks {required - given}"
        for name, item in value.items():
            plain = name.removesuffix(".$")
            # DynamoDB's attribute values have members of their own that botocore knows as they are.
            member = members.get(plain) or shape.members.get(plain)
            assert member is not None, f"{where} has no member {plain}"
            if plain == name:
                check_request(item, member, f"{where}.{name}")
    elif isinstance(shape, ListShape):
        assert isinstance(value, list)
        for index, item in enumerate(value):
            check_request(item, shape.member, f"{where}[{index}]")
    elif shape.type_name == "map":
        assert isinstance(value, dict)
    else:
        kinds: dict[str, type] = {"string": str, "integer": int, "boolean": bool}
        assert isinstance(value, kinds[shape.type_name]), f"{where} is a {shape.type_name}"


@pytest.mark.parametrize("name", CALLS)
def test_every_call_is_one_that_the_service_knows(name: str) -> None:
    service, action = operation(CALLS[name])
    described = model(service).operation_model(action)
    check_request(CALLS[name]["Parameters"], described.input_shape, name)
    answer = {member[0].upper() + member[1:] for member in getattr(described.output_shape, "members", {})}
    selected = re.findall(r'"\$\.(\w+)', json.dumps(CALLS[name].get("ResultSelector", {})))
    assert set(selected) <= answer


def test_lambda_states_are_named_as_their_functions() -> None:
    invoked = {
        name: state["Parameters"]["FunctionName"] for name, state in TASKS.items() if name not in CALLS
    }
    assert invoked.pop("LookOnceMore") == "${PlanRunArn}"
    assert invoked == {name: f"${{{name}Arn}}" for name in FUNCTIONS}


def test_the_pipeline_gets_every_parameter_that_it_has() -> None:
    declared = json.loads((ROOT / "pipeline" / "rendered" / "definition.json").read_text())["Parameters"]
    given = STATES["StartPipeline"]["Parameters"]["PipelineParameters"]
    assert sorted(item["Name"] for item in given) == sorted(item["Name"] for item in declared)


def turn(states: dict[str, dict[str, Any]], wait: str) -> int:
    """The most events that one turn of a poll takes, from its wait to the next."""
    leading = leading_to(states, wait)

    def longest(name: str, path: tuple[str, ...]) -> int:
        if name in path:
            return 0 if name == wait else -MAX_EVENTS
        state = states[name]
        after = [longest(successor, (*path, name)) for successor in successors(state) if successor in leading]
        return EVENTS.get(state["Type"], -MAX_EVENTS) + max(after, default=-MAX_EVENTS)

    return longest(wait, ())


def leading_to(states: dict[str, dict[str, Any]], wait: str) -> set[str]:
    """The states that the wait can follow, without RetryPipeline: it happens once, not once per turn."""
    found, before = {wait}, 0
    while len(found) > before:
        before = len(found)
        found |= {name for name, state in states.items() if found & set(successors(state))}
        found -= {"RetryPipeline"}
    return found


def turns(seconds: int, step: int) -> int:
    """How often a poll asks: its pauses are step, 2 step, 3 step..."""
    return math.ceil((math.sqrt(1 + 8 * seconds / step) - 1) / 2)


def test_the_history_of_the_longest_run_stays_below_its_limit() -> None:
    step = STATES["StartPipeline"]["ResultSelector"]["pause"]["seconds"]
    longer = STATES["WaitLongerForPipeline"]["Parameters"]["seconds.$"]
    assert longer == f"States.MathAdd($.pipeline.pause.seconds, {step})"

    # The longest turn is one whose describe was throttled: the Task fails, and a further Choice looks why.
    plain = EVENTS["Wait"] + EVENTS["Task"] + EVENTS["Choice"] + EVENTS["Pass"]
    assert turn(STATES, "WaitForPipeline") == plain == 11
    pipeline = turns(PIPELINE_LIMIT, step) * plain
    assert pipeline == 10_824

    loops = [MAPS["DeployEndpoints"]["States"], MAPS["RestoreEndpoints"]["States"]]
    waits = [
        (loop, wait) for loop in loops for wait in ("WaitForDeployment", "WaitForRestoration") if wait in loop
    ]
    endpoints = sum(2 * turns(ENDPOINT_LIMIT, step) * turn(loop, wait) for loop, wait in waits)
    assert endpoints == 8_184

    def longest(states: dict[str, dict[str, Any]]) -> int:
        retried: list[int] = [
            retry["MaxAttempts"] for state in states.values() for retry in state.get("Retry", [])
        ]
        return 5 * len(states) + 3 * sum(retried)  # scheduled, started, failed

    once = longest(STATES) + 2 * sum(longest(loop["States"]) for loop in MAPS.values())
    assert pipeline + endpoints + once < MAX_EVENTS


@pytest.mark.parametrize("name", [name for name in all_states() if name.startswith("WaitLonger")])
def test_every_poll_waits_longer_each_time(name: str) -> None:
    states = next(states for _, _, states in graphs() if name in states)
    state = states[name]
    wait = states[state["Next"]]
    assert wait["SecondsPath"] == f"{state['ResultPath']}.seconds"
    assert state["Parameters"]["seconds.$"] == f"States.MathAdd({state['ResultPath']}.seconds, 5)"


def test_knows_no_account_region_or_bucket() -> None:
    assert not re.search(r"\d{12}|\b[a-z]{2}-[a-z]+-\d\b", RENDERED)
    assert not re.search(r"s3://(?!\$\{DataBucketName\}/)", RENDERED)
