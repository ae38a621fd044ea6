"""Authorize requests by the key that signed them, or by the role of a state machine."""

import contextvars
from collections.abc import Callable, Mapping

from localaws.sagemaker.api.authorization import Permission
from localaws.sagemaker.api.errors import AccessDeniedException
from localaws.settings import ACCOUNT_ID

machine_role: contextvars.ContextVar[str | None] = contextvars.ContextVar("machine_role", default=None)
"""The role of the state machine whose task runs in this context; None for a client's request."""


def authorizer(headers: Mapping[str, str], region: str) -> Callable[[Permission], None]:
    """Return a function that raises AccessDeniedException for permissions that the caller does not have.

    Args:
        headers: the request's headers; ignored in a task of a state machine.
        region: the request's region.
    """
    from ministack.core.iam_evaluator import enforce
    from ministack.core.router import extract_access_key_id

    def authorize(permission: Permission) -> None:
        if (role_arn := machine_role.get()) is not None:
            authorize_role(role_arn, permission, region)
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


def authorize_role(role_arn: str, permission: Permission, region: str) -> None:
    """Check that a state machine's role has a permission.

    Raises:
        AccessDeniedException: the role's policies do not allow it.
    """
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
