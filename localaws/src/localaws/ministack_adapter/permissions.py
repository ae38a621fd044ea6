"""Whether whoever makes a request may: the key that signed it, or the role of a state machine."""

import contextvars
from collections.abc import Callable, Mapping

from localaws.sagemaker.api.authorization import Permission
from localaws.sagemaker.api.errors import AccessDeniedException
from localaws.settings import ACCOUNT_ID

machine_role: contextvars.ContextVar[str | None] = contextvars.ContextVar("machine_role", default=None)
"""The role of the state machine on whose behalf this thread works."""


def authorizer(headers: Mapping[str, str], region: str) -> Callable[[Permission], None]:
    """What refuses a permission that the request's caller has not.

    Args:
        headers: the request's, read only where no state machine makes it.
        region: where it is made.
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
    """Make sure that a state machine's role allows what one of its tasks needs.

    Raises:
        AccessDeniedException: it does not.
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
