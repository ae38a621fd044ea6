"""The Data Science SDK's states with the fields that it lacks, and the calls that are made of them."""

from collections.abc import Iterable
from enum import Enum
from typing import Any

from stepfunctions import steps
from stepfunctions.steps.choice_rule import BaseRule, ChoiceRule
from stepfunctions.steps.states import State

Fields = dict[str, Any]

FIRST_PAUSE = 5  # seconds; each further pause of a poll is as much longer
EXECUTION = "$$.Execution.Id"
FAILURE = "$.failure"  # the path of a caught error: {"Error", "Cause"}

# Step Functions names an error of the service's model as its SDK for Java does, and every other one
# `<Service>.<Service>Exception`. So SageMaker's throttling, its missing endpoint and its AccessDenied have
# one name, and only their cause distinguishes them.
SAGEMAKER_OTHER = ["SageMaker.SageMakerException"]
PASSING = ["*Rate exceeded*", "*Throttling*", "*Status Code: 5*"]
MISSING = ["*Could not find*"]
ARRIVED = ["*already exist*", "*in-progress*"]  # the answer to a repeated request

# The transient errors of the services' models. `Lambda.AWSLambdaException`, which AWS's examples list, is
# refused: a missing permission has this name too, and should fail at once.
TRANSIENT = {
    "lambda": [
        "Lambda.ServiceException",
        "Lambda.TooManyRequestsException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.SdkClientException",
    ],
    "sagemaker": ["SageMaker.ConflictException", "SageMaker.SdkClientException"],
    "dynamodb": [
        "DynamoDb.ThrottlingException",
        "DynamoDb.ProvisionedThroughputExceededException",
        "DynamoDb.RequestLimitExceededException",
        "DynamoDb.InternalServerErrorException",
        "DynamoDb.SdkClientException",
    ],
    "sns": [
        "Sns.KmsThrottlingException",
        "Sns.InternalErrorException",
        "Sns.SdkClientException",
    ],
    "sfn": ["Sfn.KmsThrottlingException", "Sfn.SdkClientException"],
}


class Newer(Enum):
    """Fields of the Amazon States Language that the SDK does not know."""

    ResultSelector = "result_selector"
    MaxDelaySeconds = "max_delay_seconds"
    JitterStrategy = "jitter_strategy"
    ErrorPath = "error_path"
    CausePath = "cause_path"


class Task(steps.Task):  # type: ignore[misc]
    """A Task with a ResultSelector."""

    def allowed_fields(self) -> list[Enum]:
        """The SDK's fields and the newer ones."""
        return [*super().allowed_fields(), Newer.ResultSelector]


class Retry(steps.Retry):  # type: ignore[misc]
    """A Retry with a maximum delay and jitter."""

    def allowed_fields(self) -> list[Enum]:
        """The SDK's fields and the newer ones."""
        return [*super().allowed_fields(), Newer.MaxDelaySeconds, Newer.JitterStrategy]


BACK_OFF: Fields = {"backoff_rate": 2.0, "max_delay_seconds": 60, "jitter_strategy": "FULL"}
# Throttling that the service's model does not list. AccessDenied is retried with it: half a minute for
# SageMaker and SNS, some minutes for Step Functions, where a burst of uploads starts as many executions.
UNMODELLED = {
    "sagemaker": Retry(error_equals=SAGEMAKER_OTHER, interval_seconds=5, max_attempts=3, **BACK_OFF),
    "sns": Retry(error_equals=["Sns.SnsException"], interval_seconds=5, max_attempts=3, **BACK_OFF),
    "sfn": Retry(error_equals=["Sfn.SfnException"], interval_seconds=2, max_attempts=20, **BACK_OFF),
}


class Fail(steps.Fail):  # type: ignore[misc]
    """A Fail that reads its error and cause from the data."""

    def allowed_fields(self) -> list[Enum]:
        """The SDK's fields and the newer ones."""
        return [*super().allowed_fields(), Newer.ErrorPath, Newer.CausePath]


class Map(steps.Map):  # type: ignore[misc]
    """A Map with the current name of its loop."""

    def to_dict(self) -> Fields:
        """Return the SDK's fields, with `ItemProcessor` in place of the deprecated `Iterator`."""
        fields: Fields = super().to_dict()
        loop = fields.pop("Iterator")
        return {**fields, "ItemProcessor": loop}


def caught(then: State, *errors: str, at: str = FAILURE) -> steps.Catch:
    """Return a Catch that goes to `then` on these errors (default: all) and keeps the error `at` a path."""
    return steps.Catch(error_equals=list(errors) or ["States.ALL"], result_path=at, next_step=then)


def call(
    name: str,
    action: str,
    parameters: Fields,
    catch: Iterable[steps.Catch] = (),
    *,
    keep: Fields | None = None,
    at: str | None = None,
    comment: str | None = None,
    polled: bool = False,
) -> Task:
    """Return a direct call of an AWS API, `service:action`; `keep` selects from its answer.

    With `polled`, a poll looks into the errors that the service's model does not list.
    """
    service = action.partition(":")[0]
    task = _task(name, f"aws-sdk:{action}", service, parameters, catch, keep, at, comment)
    if service in UNMODELLED and not polled:
        task.add_retry(UNMODELLED[service])
    return task


def invoke(
    name: str,
    payload: Fields,
    catch: Iterable[steps.Catch] = (),
    *,
    keep: Fields | None = None,
    at: str | None = None,
    function: str = "",
    comment: str | None = None,
) -> Task:
    """Return a call of a Lambda function, by default the state's namesake; `keep` selects from its answer."""
    parameters = {"FunctionName": f"${{{function or name}Arn}}", "Payload": payload}
    return _task(name, "lambda:invoke", "lambda", parameters, catch, keep, at, comment)


def _task(
    name: str,
    resource: str,
    service: str,
    parameters: Fields,
    catch: Iterable[steps.Catch],
    keep: Fields | None,
    at: str | None,
    comment: str | None,
) -> Task:
    retry = Retry(error_equals=TRANSIENT[service], interval_seconds=2, max_attempts=6, **BACK_OFF)
    return Task(
        name,
        comment=comment,
        resource=f"arn:${{Partition}}:states:::{resource}",
        parameters=parameters,
        result_selector=keep,
        result_path=at,
        retry=[retry],
        catch=list(catch),
    )


def sent_once(task: Task, then: State, otherwise: State) -> Task:
    """Go on to `then` even if SageMaker answers a retried request with "already done"."""
    arrived = steps.Choice(f"{task.state_id}Arrived?")
    arrived.add_choice(cause_like(*ARRIVED), then)
    arrived.default_choice(otherwise)
    task.add_catch([caught(arrived, *SAGEMAKER_OTHER), caught(otherwise)])
    task.next(then)
    return task


def poll(
    subject: str,
    describe: Task,
    finished: steps.Choice,
    pause: str,
    otherwise: State,
    missing: State | None = None,
) -> steps.Wait:
    """Return the first state of a loop that waits and describes, each time a little longer.

    Args:
        subject: what the loop waits for, as in the states' names.
        describe: the call, `polled`; its errors are handled here.
        finished: has its rules already; by default the loop continues.
        pause: the path of the loop's `{"seconds"}`.
        otherwise: the next state after an error that does not pass.
        missing: the next state if the subject does not exist; `otherwise` by default.
    """
    wait = steps.Wait(f"WaitFor{subject}", seconds_path=f"{pause}.seconds")
    longer = steps.Pass(
        f"WaitLongerFor{subject}",
        parameters={"seconds.$": f"States.MathAdd({pause}.seconds, {FIRST_PAUSE})"},
        result_path=pause,
    )
    unanswered = steps.Choice(f"WhyNoAnswerAbout{subject}?")
    unanswered.add_choice(cause_like(*PASSING), longer)
    if missing is not None:
        unanswered.add_choice(cause_like(*MISSING), missing)
    unanswered.default_choice(otherwise)
    describe.add_catch([caught(unanswered, *SAGEMAKER_OTHER), caught(otherwise)])
    wait.next(describe)
    describe.next(finished)
    finished.default_choice(longer)
    longer.next(wait)
    return wait


def cause_like(*patterns: str) -> BaseRule:
    """Return a rule: the caught error's cause matches one of the patterns."""
    return any_of(*(ChoiceRule.StringMatches(f"{FAILURE}.Cause", pattern) for pattern in patterns))


def any_of(*rules: BaseRule) -> BaseRule:
    """Return a rule that holds if one of these does."""
    return rules[0] if len(rules) == 1 else ChoiceRule.Or(list(rules))


def of_payload(*fields: str) -> dict[str, str]:
    """Return a ResultSelector for these fields of a function's answer."""
    return {f"{field}.$": f"$.Payload.{field}" for field in fields}


def lines(*values: str) -> str:
    """Return an intrinsic function that puts each value on its own line, with an empty line between."""
    pattern = "{}{}".join(["{}"] * len(values))
    gaps = ", $.newline, $.newline, "
    return f"States.Format('{pattern}', {gaps.join(values)})"
