"""Install all extensions of ministack."""

from collections.abc import Mapping

from localaws.ministack_adapter import athena, functions, machines, sagemaker
from localaws.sagemaker.api.cloudformation import ResourceType
from localaws.sagemaker.api.http import Http


def install(api: Http, resource_types: Mapping[str, ResourceType], region: str) -> None:
    """Add SageMaker and the other extensions to ministack; call `load` first."""
    sagemaker.install(api, resource_types, region)
    functions.install()
    machines.install()
    athena.install()
