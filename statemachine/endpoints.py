"""What happens to each endpoint: its configuration is remembered, replaced and, after a failure, restored.

Each function authors the loop of a Map over the endpoints, `{"name", "config", "before", "pause"}`: the
endpoint's name, the configuration that it should serve and the one that it served before, if it did.
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
    """Answers the endpoint with the configuration that it serves now, or none."""
    none = steps.Pass("RememberNoEndpoint", parameters=remembered({"before": None}))
    config = steps.Pass("RememberEndpoint", parameters=remembered({"before.$": CONFIG}))
    alive = steps.Choice("LiveEndpointFailed?", comment="A failed endpoint serves nothing to go back to")
    alive.add_choice(status_is("Failed"), none)
    alive.default_choice(config)
    describe, _ = watch("LiveEndpoint", at_rest=alive, missing=none)
    return describe


def deploy() -> State:
    """Makes the endpoint serve its new configuration."""
    return serve("$.config", "", "Endpoint", "Deployment")


def restore() -> State:
    """Makes the endpoint serve what it served before, or removes it if it served nothing."""
    ever = steps.Choice("ServedBefore?")
    ever.add_choice(ChoiceRule.IsNull("$.before", True), remove("UnwantedEndpoint"))
    ever.default_choice(serve("$.before", "Back", "DisturbedEndpoint", "Restoration"))
    return ever


def serve(wanted: str, suffix: str, endpoint: str, change: str) -> State:
    """Creates, updates or replaces the endpoint, and waits until it serves a configuration.

    Args:
        wanted: the path of the configuration's name.
        suffix: sets the states' names apart from those of another such loop.
        endpoint: what the endpoint is called in the states' names before the change.
        change: what the change is called there.
    """
    served = steps.Succeed(f"{change}Done")
    settings = {**NAME, "EndpointConfigName.$": wanted}
    create = call(f"CreateEndpoint{suffix}", "sagemaker:createEndpoint", settings)
    update = call(f"UpdateEndpoint{suffix}", "sagemaker:updateEndpoint", settings)
    delete = call(f"DeleteEndpoint{suffix}", "sagemaker:deleteEndpoint", NAME)

    # UpdateEndpoint that fails rolls back: the endpoint is InService again, with the old configuration.
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
    """Deletes the endpoint, if there is one, and waits until it is gone."""
    delete = call(f"Remove{endpoint}", "sagemaker:deleteEndpoint", NAME)
    look, wait = watch(endpoint, at_rest=delete, missing=steps.Succeed(f"{endpoint}Gone"))
    delete.next(wait)
    return look


def watch(subject: str, at_rest: State, missing: State | None = None) -> tuple[Task, steps.Wait]:
    """Describes the endpoint until no change is in progress; returns that loop's two entrances."""
    describe = call(f"Describe{subject}", "sagemaker:describeEndpoint", NAME, at="$.endpoint", polled=True)
    unknown = Fail(f"{subject}Unknown", **caught_error())
    resting = steps.Choice(f"{subject}AtRest?")
    resting.add_choice(ChoiceRule.Not(status_is(*IN_PROGRESS)), at_rest)
    wait = poll(subject, describe, resting, "$.pause", otherwise=unknown, missing=missing)
    return describe, wait


def caught_error() -> dict[str, str]:
    """What makes a Fail state fail with the error that was caught."""
    return {"error_path": f"{FAILURE}.Error", "cause_path": f"{FAILURE}.Cause"}


def not_served(wanted: str, change: str) -> steps.Choice:
    """Fails with what SageMaker says, which is not always more than the status."""
    told = f"'Endpoint {{}} does not serve {{}}: it is {{}}', $.name, {wanted}, {STATUS}"
    bare = Fail(f"{change}Failed", error=f"{change}Failed", cause_path=f"States.Format({told})")
    told = f"'Endpoint {{}} does not serve {{}}: {{}}', $.name, {wanted}, {REASON}"
    reasoned = Fail(f"{change}FailedWhy", error=f"{change}Failed", cause_path=f"States.Format({told})")
    reason = steps.Choice(f"{change}Explained?")
    reason.add_choice(ChoiceRule.IsPresent(REASON, True), reasoned)
    reason.default_choice(bare)
    return reason


def remembered(before: dict[str, Any]) -> dict[str, Any]:
    """The endpoint as it was given, and what it served before."""
    return {"name.$": "$.name", "config.$": "$.config", "pause": {"seconds": FIRST_PAUSE}, **before}


def serves(wanted: str) -> BaseRule:
    """Whether the endpoint answers with the wanted configuration."""
    return ChoiceRule.And(
        [
            ChoiceRule.StringEquals(STATUS, "InService"),
            ChoiceRule.IsPresent(CONFIG, True),
            ChoiceRule.StringEqualsPath(CONFIG, wanted),
        ]
    )


def status_is(*statuses: str) -> BaseRule:
    """Whether the endpoint's status is one of these."""
    return any_of(*(ChoiceRule.StringEquals(STATUS, status) for status in statuses))
