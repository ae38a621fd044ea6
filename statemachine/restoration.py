"""The restoration of the champion: a forced run that deploys nothing makes a missing endpoint again."""

from stepfunctions import steps
from stepfunctions.steps.choice_rule import ChoiceRule
from stepfunctions.steps.states import State

from statemachine.asl import FIRST_PAUSE, Fail, call, sent_once
from statemachine.deployment import config_name, configure, each_endpoint
from statemachine.endpoints import NAME, caught_error, not_served, serves, status_is, watch
from statemachine.outcome import complain

CHAMPION = "$.plan.championModelName"


def restore_champion(then: State) -> State:
    """After a forced run that deployed nothing, make each endpoint again that is missing or failed."""
    name = steps.Pass(
        "NameRestoration",
        parameters={
            "endpoints": [
                {
                    "name": f"${{{kind}EndpointName}}",
                    "config.$": config_name(kind),
                    "model.$": CHAMPION,
                    "asynchronous": kind == "Async",
                    "pause": {"seconds": FIRST_PAUSE},
                }
                for kind in ("RealTime", "Async")
            ],
        },
        result_path="$.restoration",
    )
    restore = each_endpoint(
        "RestoreChampion",
        "$.restoration.endpoints",
        restore_endpoint(),
        complain("RestoreChampion", then),
        at="$.restoration",
    )
    wanted = steps.Choice("ChampionToRestore?")
    wanted.add_choice(
        ChoiceRule.And(
            [
                ChoiceRule.IsPresent("$.plan.forced", True),
                ChoiceRule.BooleanEquals("$.plan.forced", True),
                ChoiceRule.Not(ChoiceRule.StringEquals(CHAMPION, "none")),
            ]
        ),
        name,
    )
    wanted.default_choice(then)
    name.next(restore).next(then)
    return wanted


def restore_endpoint() -> State:
    """Return the loop for one endpoint: one that serves is not touched."""
    back = steps.Choice("ChampionServes?")
    back.add_choice(serves("$.config"), succeed("ChampionBack", restored=True))
    back.default_choice(not_served("$.config", "Revival"))
    _, wait = watch("Revival", at_rest=back)
    refused = Fail("RevivalRefused", **caught_error())
    create = call(
        "CreateEndpointOfChampion",
        "sagemaker:createEndpoint",
        {**NAME, "EndpointConfigName.$": "$.config"},
    )
    sent_once(create, wait, refused)
    real_time, asynchronous = (
        configure(f"ConfigureChampion{kind}", kind, "$.config", "$.model") for kind in ("RealTime", "Async")
    )
    sent_once(real_time, create, refused)
    sent_once(asynchronous, create, refused)
    kind = steps.Choice("Asynchronous?")
    kind.add_choice(ChoiceRule.BooleanEquals("$.asynchronous", True), asynchronous)
    kind.default_choice(real_time)

    delete = call("DeleteFailedEndpoint", "sagemaker:deleteEndpoint", NAME)
    found = steps.Choice("StandingEndpointFailed?")
    found.add_choice(status_is("Failed"), delete)
    found.default_choice(succeed("EndpointStands", restored=False))
    look, gone = watch("StandingEndpoint", at_rest=found, missing=kind)
    delete.next(gone)
    return look


def succeed(name: str, *, restored: bool) -> steps.Pass:
    """End the loop with whether the endpoint was made again."""
    return steps.Pass(name, parameters={"name.$": "$.name", "restored": restored})
