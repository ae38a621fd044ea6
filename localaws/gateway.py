"""ministack with what it lacks: SageMaker, and IAM for state machines.

The only file that knows ministack's inside. The names used here are private to it, so the exact
version is pinned, and tests/local/test_gateway.py fails when one of them goes.

- `app.SERVICE_HANDLERS` and `router.SERVICE_PATTERNS` get SageMaker, its runtime's paths included.
- `stepfunctions._AWS_SDK_SERVICE_MAP` gets `aws-sdk:sagemaker:*` tasks.
- `provisioners._RESOURCE_HANDLERS` gets CloudFormation's AWS::SageMaker types, and
  `stacks._runs_on_worker_thread` is told that they call back into this server.
- `lambda_svc._execute_function` is wrapped to name a function's error as Lambda does, by its class.
- `app.pin_request_origin` is told that a request came over TLS: what stays on loopback is not
  overheard, and a bucket that denies plain HTTP has to work here with the same policy.
- Tasks of a state machine run inside ministack, which does not check the machine's role:
  `_execute_task`, `_invoke_resource`, `_invoke_with_callback` and `call_service_handler_sync` are
  wrapped to do it.
- `iam_actions.extract_resource_arn` is told in which workgroup a query runs that does not name one.
- `athena._execute_query` is wrapped to run UNLOAD, which ministack's Athena has not, as the request's
  caller; `athena._materialize_table_files` is replaced, since it reads each of a table's objects into
  memory to copy it: a link to the object's file does.
"""

import asyncio
import contextlib
import contextvars
import functools
import json
import logging
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import duckdb
from mypy_boto3_s3 import S3Client

from localaws.doorkeeper import AsgiApp
from localaws.sagemaker.authorization import Permission
from localaws.sagemaker.cloudformation import ResourceType
from localaws.sagemaker.errors import AccessDeniedException
from localaws.sagemaker.http import Answer, Http
from localaws.sagemaker.sessions import CLIENT_CONFIG, SERVICE_PRINCIPAL, Credentials
from localaws.sagemaker.shapes import Document, service_model
from localaws.sagemaker.storage import S3Uri
from localaws.settings import ACCOUNT_ID, HOST, ROOT_KEY, ROOT_SECRET, Settings
from localaws.unload import Unload, UnloadError, is_unload

PINNED_VERSION = "1.5.33"
SAGEMAKER_THREADS = 128  # an invocation holds one while the model answers
# As long as a role's chained session may last on AWS with the longest MaxSessionDuration.
SESSION_DURATION = timedelta(hours=12)
CANCEL_SECONDS = 0.1  # between two looks at whether a query was stopped
REASON_CHARACTERS = 2000  # of why a query failed

_machine_role: contextvars.ContextVar[str | None] = contextvars.ContextVar("machine_role", default=None)
"""The role of the state machine on whose behalf this thread works."""


def environment(settings: Settings) -> dict[str, str]:
    """The variables that ministack reads; most of them once, when it is imported."""
    return {
        "AUTH": "true",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(settings.port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "MINISTACK_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_REGION": settings.region,
        "AWS_ACCESS_KEY_ID": ROOT_KEY,
        "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
        "AWS_ENDPOINT_URL": settings.endpoint_url,
        "SFN_WAIT_SCALE": str(settings.wait_scale),
        "S3_PERSIST": "1",  # objects lie in files, where Athena's engine finds them
        "S3_DATA_DIR": str(settings.data_dir / "s3"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
    }


def load(settings: Settings) -> AsgiApp:
    """Import ministack, configured; the ASGI application that serves everything."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), HOST)))
    os.environ.update(environment(settings))
    import ministack.app

    # It warns of metrics about templates that it would send to its makers.
    logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)
    application: AsgiApp = ministack.app.app
    return application


def install(sagemaker: Http, resource_types: Mapping[str, ResourceType], region: str) -> None:
    """Give ministack what it lacks; call `load` first."""
    from ministack import app
    from ministack.core import router
    from ministack.services import lambda_svc, stepfunctions
    from ministack.services.cloudformation import provisioners, stacks

    app.SERVICE_HANDLERS["sagemaker"] = _sagemaker_handler(sagemaker, region)
    router.SERVICE_PATTERNS["sagemaker"] = {"target_prefixes": ["SageMaker."]}
    stepfunctions._AWS_SDK_SERVICE_MAP["sagemaker"] = {"target_prefix": "SageMaker", "protocol": "json"}
    stepfunctions._AWS_SDK_ERROR_PREFIX["sagemaker"] = "SageMaker"
    stepfunctions._AWS_SDK_ERROR_CODE_OVERRIDES["sagemaker"] = _sdk_error_names()
    for name, resource_type in resource_types.items():
        provisioners._RESOURCE_HANDLERS[name] = _provisioner(resource_type)
    pin_request_origin = app.pin_request_origin
    app.pin_request_origin = lambda address, secure: pin_request_origin(address, True)
    off_the_loop = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda name: name in resource_types or off_the_loop(name)
    execute_function = lambda_svc._execute_function
    lambda_svc._execute_function = lambda function, event: _with_error_type(execute_function(function, event))
    _name_workgroups()
    _enforce_machine_roles(app, stepfunctions)
    _add_unload()


def assume_sagemaker_role(role_arn: str) -> Credentials | None:
    """Credentials of a role that trusts SageMaker, with the condition keys that SageMaker brings; else None.

    STS itself is not asked: its caller would be the root user, to whom a condition on a service's
    request never applies.
    """
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_region
    from ministack.services import iam, sts

    name = role_arn.rsplit("/", 1)[-1]
    role = iam._roles.get_scoped(ACCOUNT_ID, None, name)
    if role is None or role["Arn"] != role_arn:
        return None
    context = iam_evaluator.EvalContext(
        principal_arn=SERVICE_PRINCIPAL,
        principal_type="Service",
        principal_account=ACCOUNT_ID,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=get_region(),
        service_context={"aws:sourceaccount": ACCOUNT_ID},
    )
    if not _trusts(role["AssumeRolePolicyDocument"], context):
        return None
    expiration = datetime.now(UTC) + SESSION_DURATION
    credentials = {
        "AccessKeyId": iam._gen_session_access_key(),
        "SecretAccessKey": iam._gen_secret(),
        "SessionToken": iam._gen_session_token(),
        "Expiration": expiration.isoformat(),
    }
    session = {
        "Arn": f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{name}/SageMaker",
        "UserId": f"{role['RoleId']}:SageMaker",
        "SecretAccessKey": credentials["SecretAccessKey"],
        "SessionToken": credentials["SessionToken"],
        "Expiration": expiration.timestamp(),
        "AccountId": ACCOUNT_ID,
        "PrincipalType": "AssumedRole",
        "SourceAccessKeyId": ROOT_KEY,
        "SourcePrincipalArn": f"arn:aws:iam::{ACCOUNT_ID}:root",
        "SessionTags": [],
        "SessionPolicies": None,
    }
    sts.register_session(credentials["AccessKeyId"], session)
    return credentials


def _trusts(policy: str | Document, context: Any) -> bool:
    """Whether a trust policy lets the service of the context assume the role; a Deny wins."""
    from ministack.core import iam_evaluator

    document = json.loads(policy) if isinstance(policy, str) else policy
    parsed = iam_evaluator.parse_policy_document(document)
    statements = document["Statement"]
    effects = {
        rule.effect
        for rule, statement in zip(
            parsed, [statements] if isinstance(statements, dict) else statements, strict=True
        )
        if iam_evaluator._service_principal_matches(statement.get("Principal"), context.principal_arn)
        and iam_evaluator._action_matches(context.action, rule.actions, rule.not_actions)
        and iam_evaluator._conditions_met(rule.conditions, context)
    }
    return effects == {"Allow"}


def _sagemaker_handler(sagemaker: Http, region: str) -> Callable[..., Awaitable[Answer]]:
    threads = ThreadPoolExecutor(SAGEMAKER_THREADS, thread_name_prefix="sagemaker")

    async def handle(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query_params: Mapping[str, Any]
    ) -> Answer:
        context = contextvars.copy_context()
        data = body.encode() if isinstance(body, str) else body
        work = (sagemaker.handle, method, path, query_params, headers, data, _authorizer(headers, region))
        status, answer_headers, answer = await asyncio.get_running_loop().run_in_executor(
            threads, context.run, *work
        )
        # ministack rewrites a "Content-Type" to the control plane's; an endpoint's own has to pass.
        return status, {name.lower(): value for name, value in answer_headers.items()}, answer

    return handle


def _authorizer(headers: Mapping[str, str], region: str) -> Callable[[Permission], None]:
    from ministack.core.iam_evaluator import enforce
    from ministack.core.router import extract_access_key_id

    def authorize(permission: Permission) -> None:
        if (role_arn := _machine_role.get()) is not None:
            _authorize_role(role_arn, permission, region)
            return
        denied = enforce(
            extract_access_key_id(headers, {}),
            permission.action,
            "sagemaker",
            region,
            resource_arn=permission.resource,
            service_context=permission.context,
        )
        if denied is not None:
            raise _access_denied(getattr(denied, "principal_arn", "anonymous"), permission)

    return authorize


def _authorize_role(role_arn: str, permission: Permission, region: str) -> None:
    from ministack.core import iam_evaluator
    from ministack.services import iam

    role_name = role_arn.rsplit("/", 1)[-1]
    principal = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role_name}/StepFunctions"
    result = iam_evaluator.evaluate(
        iam_evaluator.EvalContext(
            principal_arn=principal,
            principal_type="AssumedRole",
            principal_account=ACCOUNT_ID,
            action=permission.action,
            resource_arn=permission.resource,
            region=region,
            service_context={key.lower(): value for key, value in permission.context.items()},
        ),
        iam_evaluator._gather_role_policies(role_name, ACCOUNT_ID),
        *iam_evaluator._permissions_boundary(iam._roles, role_name, ACCOUNT_ID),
    )
    if result.decision != "Allow":
        raise _access_denied(principal, permission)


def _access_denied(principal: str, permission: Permission) -> AccessDeniedException:
    return AccessDeniedException(
        f"User: {principal} is not authorized to perform: {permission.action} on resource: "
        f"{permission.resource} because no identity-based policy allows the {permission.action} action"
    )


def _name_workgroups() -> None:
    """Let what asks for a query, or about one, need leave for its workgroup, as on AWS."""
    from ministack.core import iam_actions
    from ministack.services import athena

    extract_resource_arn = iam_actions.extract_resource_arn

    def resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        found: str = extract_resource_arn(service, method, path, headers, body, query, region, account)
        if service != "athena" or found != "*":
            return found
        asked = json.loads(body or b"{}")
        execution = athena._executions.get(asked.get("QueryExecutionId"))
        workgroup = (execution or {}).get("WorkGroup") or "primary"
        named = "QueryExecutionId" in asked or "QueryString" in asked
        return f"arn:aws:athena:{region}:{account}:workgroup/{workgroup}" if named else found

    iam_actions.extract_resource_arn = resource_arn


def _with_error_type(result: Document) -> Document:
    """A function's result, its error named by the exception's class: the last line of its traceback."""
    body = result.get("body")
    if result.get("error") and isinstance(body, dict) and body.get("errorType") == "Runtime.HandlerError":
        message = re.escape(str(body.get("errorMessage")))
        raised = re.search(rf"^([\w.]+): {message}\s*\Z", str(result.get("log")), re.MULTILINE)
        if raised:
            body["errorType"] = raised[1].rpartition(".")[2]
    return result


def _sdk_error_names() -> dict[str, str]:
    """Errors by Step Functions' names, the Java SDK's: the modelled exception, else SageMakerException."""
    unmodelled = ("ValidationException", "AccessDeniedException", "ThrottlingException", "InternalFailure")
    names = dict.fromkeys(unmodelled, "SageMakerException")
    for shape in service_model("sagemaker").error_shapes:
        names[shape.name] = shape.name if shape.name.endswith("Exception") else f"{shape.name}Exception"
    return names


def _provisioner(resource_type: ResourceType) -> dict[str, Any]:
    """A resource type as ministack's CloudFormation calls it."""
    from ministack.services.cloudformation import provisioners

    def create(logical_id: str, properties: Document, stack_name: str) -> tuple[str, Document]:
        generated = provisioners._physical_name(stack_name, logical_id)
        return resource_type.create(properties, generated)

    def update(physical_id: str, old: Document, new: Document, stack_name: str) -> tuple[str, Document]:
        return resource_type.update(physical_id, old, new)

    def delete(physical_id: str, properties: Document) -> None:
        resource_type.delete(physical_id)

    return {"create": create, "update": update, "delete": delete}


def _enforce_machine_roles(app: Any, stepfunctions: Any) -> None:
    execute_task, invoke_resource = stepfunctions._execute_task, stepfunctions._invoke_resource
    invoke_with_callback = stepfunctions._invoke_with_callback
    call_handler = app.call_service_handler_sync

    def execute_task_as_machine(
        state: Document, raw_input: Any, execution: Document, context: Document
    ) -> Any:
        machine = stepfunctions._state_machines[context["StateMachine"]["Id"]]
        token = _machine_role.set(machine["roleArn"])
        try:
            return execute_task(state, raw_input, execution, context)
        finally:
            _machine_role.reset(token)

    def invoke_resource_as_machine(resource: str, parameters: Any) -> Any:
        _authorize_integration(stepfunctions, resource, parameters)
        return invoke_resource(resource, parameters)

    def invoke_with_callback_as_machine(resource: str, parameters: Any, token: str, state: Document) -> Any:
        _authorize_integration(stepfunctions, resource, parameters)
        return invoke_with_callback(resource, parameters, token, state)

    def call_handler_as_machine(
        handler: Any, method: str, path: str, headers: Any, body: Any, query: Any, timeout: Any = None
    ) -> Any:
        if _machine_role.get() is not None:
            service = headers["authorization"].split("/")[3]
            if service != "sagemaker":  # which checks for itself
                permission = _api_permission(service, method, path, headers, body, query)
                _authorize_task(stepfunctions, permission, service)
        return call_handler(handler, method, path, headers, body, query, timeout)

    stepfunctions._execute_task = execute_task_as_machine
    stepfunctions._invoke_resource = invoke_resource_as_machine
    stepfunctions._invoke_with_callback = invoke_with_callback_as_machine
    app.call_service_handler_sync = call_handler_as_machine


def _authorize_task(stepfunctions: Any, permission: Permission, service: str) -> None:
    from ministack.core.responses import get_region

    role_arn = _machine_role.get()
    if role_arn is None:
        return
    try:
        _authorize_role(role_arn, permission, get_region())
    except AccessDeniedException as denied:
        prefix = stepfunctions._AWS_SDK_ERROR_PREFIX.get(service, service.capitalize())
        cause = f"{denied.message} (Service: {prefix}, Status Code: 403, Error Code: AccessDeniedException)"
        raise stepfunctions._ExecutionError(f"{prefix}.{prefix}Exception", cause) from denied


def _api_permission(service: str, method: str, path: str, headers: Any, body: Any, query: Any) -> Permission:
    """What an `aws-sdk` task's call needs, as ministack finds it for a call from outside."""
    from ministack.app import _routing_params
    from ministack.core.iam_actions import extract_iam_action, extract_resource_arn
    from ministack.core.responses import get_region

    data = body.encode() if isinstance(body, str) else body
    # ministack reads a query protocol's members from the parameters, where its router puts them.
    parameters = _routing_params(method, path, headers, data, query)
    action = extract_iam_action(service, method, path, headers, data, parameters)
    resource = extract_resource_arn(
        service, method, path, headers, data, parameters, get_region(), ACCOUNT_ID
    )
    return Permission(action or f"{service}:*", resource)


# What ministack runs without its HTTP handlers: the action, and the parameter that names the resource.
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


def _authorize_integration(stepfunctions: Any, resource: str, parameters: Any) -> None:
    for permission in _integration_permissions(stepfunctions, resource, parameters):
        _authorize_task(stepfunctions, permission, permission.action.partition(":")[0])


def _integration_permissions(stepfunctions: Any, resource: str, parameters: Any) -> Iterator[Permission]:
    """What a task needs that ministack runs itself: nothing for an activity; an API call is checked later."""
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


class _QueryCancelledError(Exception):
    """StopQueryExecution came while the query ran."""


def _add_unload() -> None:
    from ministack.services import athena

    execute_query = athena._execute_query

    async def execute_query_or_unload(
        query_id: str, query: str, database: str, ddl: Any, catalog: str | None = None
    ) -> None:
        if is_unload(query):
            await _execute_unload(athena._executions[query_id], database, catalog)
        else:
            await execute_query(query_id, query, database, ddl, catalog)

    athena._execute_query = execute_query_or_unload
    athena._materialize_table_files = _link_table_files


async def _execute_unload(execution: Document, database: str, catalog: str | None) -> None:
    """Run a query that ministack has accepted, and tell its end in ministack's record of it."""
    status, began = execution["Status"], time.monotonic()
    execution["StatementType"] = "DML"
    status["State"] = "RUNNING"
    try:
        await _unloaded(execution, database, catalog)
        state, reason = "SUCCEEDED", ""
    except Exception as error:
        state, reason = "FAILED", str(error)[:REASON_CHARACTERS]
    elapsed = int((time.monotonic() - began) * 1000)
    execution["Statistics"] |= {"EngineExecutionTimeInMillis": elapsed, "TotalExecutionTimeInMillis": elapsed}
    if status["State"] == "RUNNING":  # and not stopped meanwhile
        status |= {"State": state, "StateChangeReason": reason, "CompletionDateTime": int(time.time())}


async def _unloaded(execution: Document, database: str, catalog: str | None) -> None:
    from ministack.services import athena

    unload = Unload.parse(execution["Query"])
    rows, _, folders = await athena._rewrite_data_paths(unload.select, database, catalog)
    folders.append(_query_folder())

    def go_on() -> None:
        if execution["Status"]["State"] != "RUNNING":
            raise _QueryCancelledError

    def run() -> None:
        unload.run(connection, rows, Path(folders[-1]), _caller_s3(), go_on)

    try:
        with duckdb.connect(":memory:") as connection:
            work = asyncio.ensure_future(asyncio.to_thread(run))
            while not (await asyncio.wait([work], timeout=CANCEL_SECONDS))[0]:
                if execution["Status"]["State"] != "RUNNING":
                    connection.interrupt()
            work.result()
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _caller_s3() -> S3Client:
    """S3 as whoever signed the request that this thread works for."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_region

    if _machine_role.get() is not None:
        raise UnloadError("NOT_SUPPORTED: UNLOAD in a state machine's own task is not supported locally")
    # ministack checks no root key's signature, and lets nobody pass without any key.
    caller = iam_evaluator.resolve_credential(iam_evaluator._verified_key.get() or ROOT_KEY, ACCOUNT_ID)
    if not isinstance(caller, iam_evaluator.ResolvedCredential):
        raise UnloadError(f"ACCESS_DENIED: the caller's credentials have ended: {caller.message}")
    with _session_lock:
        return _session().client(
            "s3",
            region_name=get_region(),
            endpoint_url=os.environ["AWS_ENDPOINT_URL"],
            config=CLIENT_CONFIG,
            aws_access_key_id=caller.access_key_id,
            aws_secret_access_key=caller.secret_access_key,
            aws_session_token=caller.session_token,
        )


_session_lock = threading.Lock()


@functools.cache
def _session() -> boto3.Session:
    """Kept, since a new one would read botocore's models anew."""
    return boto3.Session()


def _link_table_files(location: str, folders: list[str]) -> list[str]:
    """The objects under a table's location as files in a new folder, which is added to the query's."""
    from ministack.services import athena, s3

    uri = S3Uri.parse(location.rstrip("/") + "/")
    bucket = s3._buckets.get(uri.bucket)
    names = sorted(
        key[len(uri.key) :]
        for key in (bucket["objects"] if bucket else ())
        if key.startswith(uri.key) and not key.endswith("/") and not athena._hidden(key[len(uri.key) :])
    )
    if not names:
        return []
    folder = Path(_query_folder())
    folders.append(str(folder))
    files = []
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # ministack replaces an object's file by another one, so what is linked does not change.
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            os.link(s3._object_disk_path(uri.bucket, uri.key + name), path)
            files.append(str(path))
    return files


def _query_folder() -> str:
    """A new folder beside the objects, and so on their file system."""
    from ministack.services import s3

    parent = Path(s3.DATA_DIR).parent / "athena"
    parent.mkdir(parents=True, exist_ok=True)
    return tempfile.mkdtemp(dir=parent)
