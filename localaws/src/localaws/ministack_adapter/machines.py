"""Check the permissions of state machine tasks, which ministack runs without a check of the role."""

from collections.abc import Iterator
from typing import Any

from localaws.ministack_adapter.permissions import authorize_role, machine_role
from localaws.sagemaker.api.authorization import Permission
from localaws.sagemaker.api.errors import AccessDeniedException
from localaws.sagemaker.api.shapes import Document
from localaws.settings import ACCOUNT_ID

# Integrations that ministack runs without its HTTP handlers: the action, and the parameter with the resource.
_OPTIMIZED = {
    "lambda:invoke": ("lambda:InvokeFunction", "FunctionName"),
    "sqs:sendMessage": ("sqs:SendMessage", "QueueUrl"),
    "sns:publish": ("sns:Publish", "TopicArn"),
    "dynamodb:putItem": ("dynamodb:PutItem", "TableName"),
    "dynamodb:getItem": ("dynamodb:GetItem", "TableName"),
    "dynamodb:deleteItem": ("dynamodb:DeleteItem", "TableName"),
    "dynamodb:updateItem": ("dynamodb:UpdateItem", "TableName"),
    "states:startExecution": ("states:StartExecution", "StateMachineArn"),
}


def install() -> None:
    """Restrict tasks to the permissions of their state machine's role."""
    from ministack import app
    from ministack.services import stepfunctions

    execute_task, invoke_resource = stepfunctions._execute_task, stepfunctions._invoke_resource
    invoke_with_callback = stepfunctions._invoke_with_callback
    call_handler = app.call_service_handler_sync

    def execute_task_as_machine(
        state: Document, raw_input: Any, execution: Document, context: Document
    ) -> Any:
        machine = stepfunctions._state_machines[context["StateMachine"]["Id"]]
        token = machine_role.set(machine["roleArn"])
        try:
            return execute_task(state, raw_input, execution, context)
        finally:
            machine_role.reset(token)

    def invoke_resource_as_machine(resource: str, parameters: Any) -> Any:
        _authorize_integration(stepfunctions, resource, parameters)
        return invoke_resource(resource, parameters)

    def invoke_with_callback_as_machine(resource: str, parameters: Any, token: str, state: Document) -> Any:
        _authorize_integration(stepfunctions, resource, parameters)
        return invoke_with_callback(resource, parameters, token, state)

    def call_handler_as_machine(
        handler: Any, method: str, path: str, headers: Any, body: Any, query: Any, timeout: Any = None
    ) -> Any:
        if machine_role.get() is not None:
            service = headers["authorization"].split("/")[3]
            if service != "sagemaker":  # SageMaker's handler checks permissions itself
                permission = _api_permission(service, method, path, headers, body, query)
                _authorize_task(stepfunctions, permission, service)
        return call_handler(handler, method, path, headers, body, query, timeout)

    stepfunctions._execute_task = execute_task_as_machine
    stepfunctions._invoke_resource = invoke_resource_as_machine
    stepfunctions._invoke_with_callback = invoke_with_callback_as_machine
    app.call_service_handler_sync = call_handler_as_machine


def _authorize_task(stepfunctions: Any, permission: Permission, service: str) -> None:
    from ministack.core.responses import get_region

    role_arn = machine_role.get()
    if role_arn is None:
        return
    try:
        authorize_role(role_arn, permission, get_region())
    except AccessDeniedException as denied:
        prefix = stepfunctions._AWS_SDK_ERROR_PREFIX.get(service, service.capitalize())
        cause = f"{denied.message} (Service: {prefix}, Status Code: 403, Error Code: AccessDeniedException)"
        raise stepfunctions._ExecutionError(f"{prefix}.{prefix}Exception", cause) from denied


def _api_permission(service: str, method: str, path: str, headers: Any, body: Any, query: Any) -> Permission:
    """Return the permission for the call of an `aws-sdk` task, derived like that of a client's call."""
    from ministack.app import _routing_params
    from ministack.core.iam_actions import extract_iam_action, extract_resource_arn
    from ministack.core.responses import get_region

    data = body.encode() if isinstance(body, str) else body
    # For query protocols, ministack's router copies the members to the parameters.
    parameters = _routing_params(method, path, headers, data, query)
    action = extract_iam_action(service, method, path, headers, data, parameters)
    resource = extract_resource_arn(
        service, method, path, headers, data, parameters, get_region(), ACCOUNT_ID
    )
    return Permission(action or f"{service}:*", resource)


def _authorize_integration(stepfunctions: Any, resource: str, parameters: Any) -> None:
    for permission in _integration_permissions(stepfunctions, resource, parameters):
        _authorize_task(stepfunctions, permission, permission.action.partition(":")[0])


def _integration_permissions(stepfunctions: Any, resource: str, parameters: Any) -> Iterator[Permission]:
    """Yield the permissions for a task that ministack runs itself.

    Activities require none; API calls are checked in their handlers.
    """
    integration = resource.removeprefix("arn:aws:states:::").partition(".")[0]
    if ":lambda:" in resource and ":function:" in resource:
        yield Permission("lambda:InvokeFunction", resource)
    elif integration == "events:putEvents":
        for entry in parameters.get("Entries", []):
            yield Permission(
                "events:PutEvents", _resource_arn("events", entry.get("EventBusName", "default"))
            )
    elif integration in _OPTIMIZED:
        action, member = _OPTIMIZED[integration]
        service = action.partition(":")[0]
        yield Permission(action, _resource_arn(service, str(parameters.get(member, "*"))))
    elif ":activity:" not in resource and not integration.startswith("aws-sdk:"):
        raise stepfunctions._ExecutionError("States.Runtime", f"{resource} is not supported locally")


def _resource_arn(service: str, name: str) -> str:
    from ministack.core.responses import get_region

    if name.startswith("arn:") or name == "*":
        return name
    prefix = f"arn:aws:{service}:{get_region()}:{ACCOUNT_ID}:"
    kinds = {"lambda": "function:", "dynamodb": "table/", "events": "event-bus/"}
    return prefix + kinds.get(service, "") + name.rsplit("/", 1)[-1]
