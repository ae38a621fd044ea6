"""ministack's private names are still there, and a state machine acts under its role."""

import io
import json
import zipfile
from importlib.metadata import version
from typing import Any

import pytest

from localaws import gateway
from tests.local.conftest import ACCOUNT, REGION, Laptop, allow, policy, wait_until


def test_the_version_is_the_one_whose_inside_is_known() -> None:
    assert version("ministack") == gateway.PINNED_VERSION


def run_machine(laptop: Laptop, name: str, role_arn: str, state: dict[str, Any]) -> dict[str, Any]:
    """Run a machine of one task; the description of its ended execution."""
    states = laptop.client("stepfunctions")
    definition = {"StartAt": "Task", "States": {"Task": state | {"Type": "Task", "End": True}}}
    machine = states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role_arn)
    execution = states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]

    def ended() -> dict[str, Any] | None:
        described: dict[str, Any] = states.describe_execution(executionArn=execution)
        return described if described["status"] != "RUNNING" else None

    found: dict[str, Any] = wait_until(ended)
    return found


TASKS = {
    "sagemaker": (
        "arn:aws:states:::aws-sdk:sagemaker:listModels",
        {},
        "SageMaker.SageMakerException",
        "sagemaker:ListModels",
        "*",
    ),
    "dynamodb": (
        "arn:aws:states:::aws-sdk:dynamodb:listTables",
        {},
        "DynamoDb.DynamoDbException",
        "dynamodb:ListTables",
        "*",
    ),
    "sns": (
        "arn:aws:states:::aws-sdk:sns:createTopic",
        {"Name": "machine-topic"},
        "Sns.SnsException",
        "sns:CreateTopic",
        f"arn:aws:sns:{REGION}:{ACCOUNT}:machine-topic",
    ),
    "s3": (
        "arn:aws:states:::aws-sdk:s3:createBucket",
        {"Bucket": "machine-bucket"},
        "S3.S3Exception",
        "s3:CreateBucket",
        "arn:aws:s3:::machine-bucket",
    ),
}


@pytest.mark.parametrize("service", TASKS)
def test_a_task_needs_its_machine_s_permission(laptop: Laptop, service: str) -> None:
    resource, parameters, error, action, arn = TASKS[service]
    state = {"Resource": resource, "Parameters": parameters}
    role = laptop.role(f"machine-{service}", principal="states.amazonaws.com")

    refused = run_machine(laptop, f"refused-{service}", role, state)
    assert refused["status"] == "FAILED"
    assert refused["error"] == error
    assert f"is not authorized to perform: {action} on resource" in refused["cause"]

    laptop.allow(role, allow(action, resource=arn))
    assert run_machine(laptop, f"allowed-{service}", role, state)["status"] == "SUCCEEDED"


def test_invoking_a_function_needs_the_machine_s_permission(laptop: Laptop) -> None:
    role = laptop.role("machine-lambda", principal="states.amazonaws.com")
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:nobody"
    state = {"Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": function}}
    refused = run_machine(laptop, "refused-lambda", role, state)
    assert f"lambda:InvokeFunction on resource: {function}" in refused["cause"]

    laptop.allow(role, allow("lambda:InvokeFunction", resource=function))
    missing = run_machine(laptop, "allowed-lambda", role, state)
    assert missing["error"] == "Lambda.ResourceNotFoundException"


def test_waiting_for_a_token_needs_the_machine_s_permission_too(laptop: Laptop) -> None:
    queue = laptop.client("sqs").create_queue(QueueName="tokens")["QueueUrl"]
    role = laptop.role("machine-token", principal="states.amazonaws.com")
    state = {
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
    }
    refused = run_machine(laptop, "refused-token", role, state)
    assert f"sqs:SendMessage on resource: arn:aws:sqs:{REGION}:{ACCOUNT}:tokens" in refused["cause"]


def test_an_integration_whose_permissions_are_not_known_is_refused(laptop: Laptop) -> None:
    role = laptop.role("machine-ecs", allow("*"), principal="states.amazonaws.com")
    refused = run_machine(laptop, "refused-ecs", role, {"Resource": "arn:aws:states:::ecs:runTask"})
    assert refused["cause"] == "arn:aws:states:::ecs:runTask is not supported locally"


TRUSTS: dict[str, tuple[dict[str, Any], bool]] = {
    "the service": ({}, True),
    "the account": ({"Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}, True),
    "another account": ({"Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}}, False),
    "another action": ({"Action": "sts:TagSession"}, False),
    "another service": ({"Principal": {"Service": "ec2.amazonaws.com"}}, False),
}


@pytest.mark.parametrize("case", TRUSTS)
def test_sagemaker_acts_only_as_a_role_that_trusts_it(laptop: Laptop, case: str) -> None:
    changes, trusted = TRUSTS[case]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    name = "trusts-" + case.replace(" ", "-")
    role = laptop.role(name)
    laptop.client("iam").update_assume_role_policy(RoleName=name, PolicyDocument=policy(statement | changes))
    body = {"Version": "2020-12-01", "Steps": [{"Name": "A", "Type": "RegisterModel", "Arguments": {}}]}
    sagemaker = laptop.client("sagemaker")

    def create() -> None:
        sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=json.dumps(body), RoleArn=role)

    if trusted:
        create()
    else:
        with pytest.raises(sagemaker.exceptions.ClientError, match=f"Could not assume role {role}"):
            create()


def test_a_deny_in_a_trust_policy_wins_and_a_deleted_role_is_gone(laptop: Laptop) -> None:
    role = laptop.role("distrusts")
    iam, sagemaker = laptop.client("iam"), laptop.client("sagemaker")
    body = {"Version": "2020-12-01", "Steps": [{"Name": "A", "Type": "RegisterModel", "Arguments": {}}]}
    request = {"PipelineDefinition": json.dumps(body), "RoleArn": role}
    sagemaker.create_pipeline(PipelineName="distrusts-1", **request)
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = policy(trust, trust | {"Effect": "Deny"})
    iam.update_assume_role_policy(RoleName="distrusts", PolicyDocument=document)
    with pytest.raises(sagemaker.exceptions.ClientError, match="Could not assume role"):
        sagemaker.create_pipeline(PipelineName="distrusts-2", **request)
    iam.delete_role(RoleName="distrusts")
    with pytest.raises(sagemaker.exceptions.ClientError, match="Could not assume role"):
        sagemaker.create_pipeline(PipelineName="distrusts-3", **request)


def test_errors_have_the_names_that_step_functions_gives_them(laptop: Laptop) -> None:
    role = laptop.role("machine-errors", allow("sagemaker:*"), principal="states.amazonaws.com")
    prefix = "arn:aws:states:::aws-sdk:sagemaker:"
    unmodelled = {"Resource": prefix + "describeEndpoint", "Parameters": {"EndpointName": "nobody"}}
    described = run_machine(laptop, "unmodelled", role, unmodelled)
    assert described["error"] == "SageMaker.SageMakerException"
    assert "Could not find endpoint" in described["cause"]

    modelled = {"Resource": prefix + "describePipeline", "Parameters": {"PipelineName": "nobody"}}
    assert run_machine(laptop, "modelled", role, modelled)["error"] == "SageMaker.ResourceNotFoundException"


FUNCTION = """
class OutOfPaper(Exception):
    pass

def handler(event, context):
    raise OutOfPaper("no paper in tray 2\\nnor in tray 3")
"""


def test_a_function_s_error_has_its_class_s_name(laptop: Laptop) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app.py", FUNCTION)
    function = laptop.client("lambda").create_function(
        FunctionName="printer",
        Runtime="python3.13",
        Handler="app.handler",
        Role=laptop.role("printer", principal="lambda.amazonaws.com"),
        Code={"ZipFile": content.getvalue()},
    )["FunctionArn"]
    machine = laptop.role("prints", allow("lambda:InvokeFunction"), principal="states.amazonaws.com")
    task = {"Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": function}}
    failed = run_machine(laptop, "prints", machine, task)
    assert failed["error"] == "OutOfPaper"
    assert json.loads(failed["cause"])["errorMessage"] == "no paper in tray 2\nnor in tray 3"
