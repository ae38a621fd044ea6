"""Register SageMaker in ministack: API, Step Functions tasks and CloudFormation resource types."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localaws.ministack_adapter.permissions import authorizer
from localaws.sagemaker.api.cloudformation import ResourceType
from localaws.sagemaker.api.http import Answer, Http
from localaws.sagemaker.api.shapes import Document, service_model

THREADS = 128  # an invocation occupies one until the model has responded


def install(sagemaker: Http, resource_types: Mapping[str, ResourceType], region: str) -> None:
    """Add the API, its error names in Step Functions and its resource types."""
    from ministack import app
    from ministack.core import router
    from ministack.services import stepfunctions
    from ministack.services.cloudformation import provisioners, stacks

    app.SERVICE_HANDLERS["sagemaker"] = _handler(sagemaker, region)
    router.SERVICE_PATTERNS["sagemaker"] = {"target_prefixes": ["SageMaker."]}
    stepfunctions._AWS_SDK_SERVICE_MAP["sagemaker"] = {"target_prefix": "SageMaker", "protocol": "json"}
    stepfunctions._AWS_SDK_ERROR_PREFIX["sagemaker"] = "SageMaker"
    stepfunctions._AWS_SDK_ERROR_CODE_OVERRIDES["sagemaker"] = _sdk_error_names()
    for name, resource_type in resource_types.items():
        provisioners._RESOURCE_HANDLERS[name] = _provisioner(resource_type)
    runs_on_worker_thread = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda name: name in resource_types or runs_on_worker_thread(name)


def _handler(sagemaker: Http, region: str) -> Callable[..., Awaitable[Answer]]:
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sagemaker")

    async def handle(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query_params: Mapping[str, Any]
    ) -> Answer:
        context = contextvars.copy_context()
        data = body.encode() if isinstance(body, str) else body
        work = (sagemaker.handle, method, path, query_params, headers, data, authorizer(headers, region))
        status, response_headers, response = await asyncio.get_running_loop().run_in_executor(
            threads, context.run, *work
        )
        # In lower case, since ministack replaces a header "Content-Type" by that of the control plane.
        return status, {name.lower(): value for name, value in response_headers.items()}, response

    return handle


def _sdk_error_names() -> dict[str, str]:
    """Return Step Functions' error names, as in the Java SDK: a modelled exception or SageMakerException."""
    unmodelled = ("ValidationException", "AccessDeniedException", "ThrottlingException", "InternalFailure")
    names = dict.fromkeys(unmodelled, "SageMakerException")
    for shape in service_model("sagemaker").error_shapes:
        names[shape.name] = shape.name if shape.name.endswith("Exception") else f"{shape.name}Exception"
    return names


def _provisioner(resource_type: ResourceType) -> dict[str, Any]:
    """Return a resource type's handlers with the signatures of ministack's CloudFormation."""
    from ministack.services.cloudformation import provisioners

    def create(logical_id: str, properties: Document, stack_name: str) -> tuple[str, Document]:
        generated = provisioners._physical_name(stack_name, logical_id)
        return resource_type.create(properties, generated)

    def update(physical_id: str, old: Document, new: Document, stack_name: str) -> tuple[str, Document]:
        return resource_type.update(physical_id, old, new)

    def delete(physical_id: str, properties: Document) -> None:
        resource_type.delete(physical_id)

    return {"create": create, "update": update, "delete": delete}
