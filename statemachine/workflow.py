"""The workflow: from files under raw/ to a model on two endpoints, or a reason why not.

`python -m statemachine.workflow` renders it to `rendered/retrain.asl.json`; with `--check` it writes nothing
and exits with 1 if that file is stale.

Its parts, in the order of the flow: lock, pipeline_execution, judgement, deployment, restoration, failure,
conclusion. Its data: `settle` and `pause` (seconds), `plan`, `pipeline`, `evaluation`, `cost`, `deployment`,
`smokeTest`, `restoration`, `ledger`, and `outcome`, which every path sets. The data may not exceed 256 KiB:
what grows with the files is in S3, and the data has only its URI.

An execution's history holds 25,000 events. A poll's pauses grow by 5 s per turn, so after T seconds it is at
most sqrt(10 T) late and has made sqrt(2 T / 5) turns. SageMaker's longest job takes 28 days: 984 turns of 11
events, 10,824 in all. The endpoints' loops come to 8,184 if all four take a day; a
restoration of the champion happens only without them, and comes to 4,092.
"""

import json
import sys
from pathlib import Path
from typing import Any

from stepfunctions import steps
from stepfunctions.steps.states import State

from statemachine.asl import Fail
from statemachine.conclusion import end, look_once_more, nothing_new, notify, only_set_aside, update_ledger
from statemachine.deployment import deploy
from statemachine.failure import RETRIED, fail
from statemachine.judgement import evaluate, reject
from statemachine.lock import claim_lock, release_lock, without_lock
from statemachine.pipeline_execution import plan, run_pipeline
from statemachine.restoration import restore_champion

RENDERED = Path(__file__).resolve().parent / "rendered" / "retrain.asl.json"
COMMENT = "Retrains a model on what was dropped under raw/; if it is good enough, two endpoints serve it"


def author() -> State:
    """Build the whole flow from its end, because a state names its successor."""
    failure = Fail("Failed", error_path="$.outcome.error", cause_path="$.outcome.cause")
    release = release_lock(look_once_more(end(failure)))
    record = update_ledger(notify(release))
    again = steps.Pass("PipelineRetried", result={"once": True}, result_path=RETRIED)
    restored = restore_champion(record)
    failed = fail(again, record, restored)
    deployed = deploy(record, failed)
    rejected = reject(restored, failed)
    judged = evaluate(deployed, rejected, failed)
    piped = run_pipeline(judged, failed, again)
    planned = plan(piped, nothing_new(release), only_set_aside(record), failed)
    return begin(claim_lock(planned, without_lock(failure)))


def begin(then: State) -> State:
    """Start with fixed data: only PlanRun reads the execution's input, so any event may start it."""
    first = steps.Pass(
        "Begin",
        parameters={
            "settle": {"seconds.$": "States.StringToJson('${SettleSeconds}')"},
            # The text of an intrinsic function takes no line break; its arguments do.
            "newline": "\n",
            # The last twelve digits: unique enough, and SageMaker's names take 63 characters.
            "id.$": "States.ArrayGetItem(States.StringSplit(States.UUID(), '-'), 4)",
            "plan": {"planUri": None, "goneNote": ""},
            "pipeline": {"executionArn": None},
            "ledger": {"summary": ""},
        },
    )
    first.next(then)
    return first


def render() -> str:
    """Return the rendered file's content, its states in the order of the flow."""
    definition = steps.Graph(author(), comment=COMMENT).to_dict()
    return json.dumps(in_order(definition), indent=2) + "\n"


def in_order(definition: dict[str, Any]) -> dict[str, Any]:
    """Return the states, each followed by its successors: loops before other ways, errors last."""
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
    """Write the file if it is stale; with `--check` only report it."""
    text = render()
    if RENDERED.exists() and RENDERED.read_text() == text:
        return 0
    if "--check" in arguments:
        print(
            f"{RENDERED.name} is stale: run `python -m statemachine.workflow` and commit it", file=sys.stderr
        )
        return 1
    RENDERED.write_text(text)
    print(f"wrote {RENDERED.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
