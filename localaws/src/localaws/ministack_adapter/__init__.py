"""Extends ministack with SageMaker, IAM for state machines and UNLOAD.

Only this package uses ministack's internals. They are private, so the exact version is pinned, and
tests/ministack_adapter/ fails if one of them is removed. ministack reads its environment variables at import,
so no module imports it before `load` has set them.

- environment: `app.pin_request_origin` treats every request as sent over TLS. Loopback traffic is private,
  and bucket policies that deny plain HTTP must work unchanged.
- sagemaker: `app.SERVICE_HANDLERS` and `router.SERVICE_PATTERNS` get SageMaker, its runtime's paths
  included. `stepfunctions._AWS_SDK_SERVICE_MAP`, `_AWS_SDK_ERROR_PREFIX` and
  `_AWS_SDK_ERROR_CODE_OVERRIDES` get `aws-sdk:sagemaker:*` tasks and their errors.
  `provisioners._RESOURCE_HANDLERS` gets CloudFormation's AWS::SageMaker types, named by
  `_physical_name`; `stacks._runs_on_worker_thread` runs them on worker threads, since they call back into
  this server.
- permissions: `iam_evaluator.enforce`, and `evaluate` with `_gather_role_policies` and
  `_permissions_boundary`, decide as for ministack's own services.
- roles: a role of `iam._roles` that trusts SageMaker, by `iam_evaluator._service_principal_matches`,
  `_action_matches` and `_conditions_met`, gets a session of `sts.register_session`, its keys made by
  `iam._gen_session_access_key`, `_gen_secret` and `_gen_session_token`.
- machines: tasks of a state machine run inside ministack, which does not check the machine's role.
  `stepfunctions._execute_task`, `_invoke_resource`, `_invoke_with_callback` and
  `app.call_service_handler_sync` are wrapped to check it; `_state_machines` has the role,
  `app._routing_params`, `iam_actions.extract_iam_action` and `extract_resource_arn` return the permission of
  a call, and an `_ExecutionError` ends the task.
- functions: `lambda_svc._execute_function` is wrapped to name a function's error by its class, as Lambda
  does.
- athena: `iam_actions.extract_resource_arn` is wrapped to return the workgroup of a query that does not
  name one. `athena._execute_query` is wrapped to run UNLOAD, which ministack's Athena lacks, with the
  credentials of the request's caller (`iam_evaluator._verified_key`), on the files of
  `_rewrite_data_paths`; its result is stored in `_executions`. `athena._materialize_table_files` is
  replaced, since it copies each of a table's objects through memory; the replacement links the objects'
  files (`s3._buckets`, `_object_disk_path`) except those that are `athena._hidden`.
"""

from localaws.ministack_adapter.environment import PINNED_VERSION, load
from localaws.ministack_adapter.installation import install
from localaws.ministack_adapter.roles import assume_sagemaker_role

__all__ = ["PINNED_VERSION", "assume_sagemaker_role", "install", "load"]
