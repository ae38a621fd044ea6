"""Assume roles as the SageMaker service."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.platform.sessions import SERVICE_PRINCIPAL, Credentials
from localaws.settings import ACCOUNT_ID, ROOT_KEY

# AWS's maximum of MaxSessionDuration.
SESSION_DURATION = timedelta(hours=12)


def assume_sagemaker_role(role_arn: str) -> Credentials | None:
    """Return the credentials of a role that trusts SageMaker; None for any other role.

    The trust policy is evaluated with SageMaker's condition keys. STS is not called: its caller would be the
    root user, for whom conditions on the requests of services do not apply.
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
    """Return whether a trust policy allows the context's service to assume the role; Deny overrides."""
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
