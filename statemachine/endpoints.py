"""The loop for each endpoint: its configuration is remembered, replaced and, after a failure, restored.

Each function authors the loop of a Map over the endpoints, `{"name", "config", "before", "pause"}`: the
endpoint's name, the configuration to serve, and the one that it served before, if any.
"""

from typing import Any

from stepfunctions import steps
from stepfunctions.steps.choice_rule import BaseRule, ChoiceRule
from stepfunctions.steps.states import State

from statemachine.asl import FAILURE, FIRST_PAUSE, Fail, Task, any_of, call, poll, sent_once

NAME = {"EndpointName.$": "$.name"}
STATUS = "$.endpoint.EndpointStatus"
CONFIG = "$.endpoint.EndpointConfigName"
REASON = "$.endpoint.FailureReason"
IN_PROGRESS = ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"]


def remember() -> State:
    """Return the endpoint with the configuration that it serves now, if any."""
    none = steps.Pass("RememberNoEndpoint", parameters=remembered({"before": None}))
    config = steps.Pass("RememberEndpoint", parameters=remembered({"before.$": CONFIG}))
    alive = steps.Choice("LiveEndpointFailed?", comment="A failed endpoint serves nothing to go back to")
    alive.add_choice(status_is("Failed"), none)
    alive.default_choice(config)
    describe, _ = watch("LiveEndpoint", at_rest=alive, missing=none)
    return describe


def deploy() -> State:
    """Make the endpoint serve its new configuration."""
    return serve("$.config", "", "Endpoint", "Deployment")


def restore() -> State:
    """Make the endpoint serve its former configuration, or delete it if it had none."""
    ever = steps.Choice("ServedBefore?")
    ever.add_choice(ChoiceRule.IsNull("$.before", True), remove("UnwantedEndpoint"))
    ever.default_choice(serve("$.before", "Back", "DisturbedEndpoint", "Restoration"))
    return ever


def serve(wanted: str, suffix: str, endpoint: str, change: str) -> State:
    """Create, update or replace the endpoint, and wait until it serves a configuration.

    Args:
        wanted: the path of the configuration's name.
        suffix: makes the states' names differ from those of another such loop.
        endpoint: the endpoint's name in the states before the change.
        change: the change's name in the states.
    """
    served = steps.Succeed(f"{change}Done")
    settings = {**NAME, "EndpointConfigName.$": wanted}
    create = call(f"CreateEndpoint{suffix}", "sagemaker:createEndpoint", settings)
    update = call(f"UpdateEndpoint{suffix}", "sagemaker:updateEndpoint", settings)
    delete = call(f"DeleteEndpoint{suffix}", "sagemaker:deleteEndpoint", NAME)

    # A failed UpdateEndpoint rolls back: the endpoint is InService again, with the old configuration.
    done = steps.Choice(f"{change}Serves?")
    done.add_choice(serves(wanted), served)
    done.default_choice(not_served(wanted, change))
    _, wait = watch(change, at_rest=done)
    refused = Fail(f"{change}Refused", **caught_error())
    sent_once(create, wait, refused)
    sent_once(update, wait, refused)

    found = steps.Choice(f"{endpoint}Usable?")
    found.add_choice(serves(wanted), served)
    found.add_choice(status_is("Failed"), delete)
    found.default_choice(update)
    look, gone = watch(endpoint, at_rest=found, missing=create)
    delete.next(gone)
    return look


def remove(endpoint: str) -> State:
    """Delete the endpoint, if it exists, and wait until it is gone."""
    delete = call(f"Remove{endpoint}", "sagemaker:deleteEndpoint", NAME)
    look, wait = watch(endpoint, at_rest=delete, missing=steps.Succeed(f"{endpoint}Gone"))
    delete.next(wait)
    return look


def watch(subject: str, at_rest: State, missing: State | None = None) -> tuple[Task, steps.Wait]:
    """Describe the endpoint until no change is in progress; return the loop's two entrances."""
    describe = call(f"Describe{subject}", "sagemaker:describeEndpoint", NAME, at="$.endpoint", polled=True)
    unknown = Fail(f"{subject}Unknown", **caught_error())
    resting = steps.Choice(f"{subject}AtRest?")
    resting.add_choice(ChoiceRule.Not(status_is(*IN_PROGRESS)), at_rest)
    wait = poll(subject, describe, resting, "$.pause", otherwise=unknown, missing=missing)
    return describe, wait


def caught_error() -> dict[str, str]:
    """Return the fields with which a Fail state fails with the caught error."""
    return {"error_path": f"{FAILURE}.Error", "cause_path": f"{FAILURE}.Cause"}


def not_served(wanted: str, change: str) -> steps.Choice:
    """Fail with SageMaker's reason, which is not always more than the status."""
    message = f"'Endpoint {{}} does not serve {{}}: it is {{}}', $.name, {wanted}, {STATUS}"
    bare = Fail(f"{change}Failed", error=f"{change}Failed", cause_path=f"States.Format({message})")
    message = f"'Endpoint {{}} does not serve {{}}: {{}}', $.name, {wanted}, {REASON}"
    reasoned = Fail(f"{change}FailedWhy", error=f"{change}Failed", cause_path=f"States.Format({message})")
    reason = steps.Choice(f"{change}Explained?")
    reason.add_choice(ChoiceRule.IsPresent(REASON, True), reasoned)
    reason.default_choice(bare)
    return reason


def remembered(before: dict[str, Any]) -> dict[str, Any]:
    """Return the endpoint with what it served before."""
    return {"name.$": "$.name", "config.$": "$.config", "pause": {"seconds": FIRST_PAUSE}, **before}


def serves(wanted: str) -> BaseRule:
    """Return a rule: the endpoint serves the wanted configuration."""
    return ChoiceRule.And(
        [
            ChoiceRule.StringEquals(STATUS, "InService"),
            ChoiceRule.IsPresent(CONFIG, True),
            ChoiceRule.StringEqualsPath(CONFIG, wanted),
        ]
    )


def status_is(*statuses: str) -> BaseRule:
    """Return a rule: the endpoint's status is one of these."""
    return any_of(*(ChoiceRule.StringEquals(STATUS, status) for status in statuses))
