"""The extensions of ministack: permissions of state machines, trust policies, error names and Athena."""

import gzip
import io
import json
import re
import uuid
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pytest

from localaws import ministack_adapter
from localaws.testing import ACCOUNT, REGION, Laptop, allow, policy, wait_until
from localaws_tests.tables import LATEST, put_table


def test_ministack_has_the_pinned_version() -> None:
    assert version("ministack") == ministack_adapter.PINNED_VERSION


def test_only_the_adapter_imports_ministack() -> None:
    imported = re.compile(r"^\s*(?:import|from) ministack\b", re.MULTILINE)
    (package,) = ministack_adapter.__path__
    importing = {
        path.relative_to(Path(package).parent).parts[0]
        for path in Path(package).parent.rglob("*.py")
        if imported.search(path.read_text())
    }
    assert importing == {"ministack_adapter"}


def run_machine(laptop: Laptop, name: str, role_arn: str, state: dict[str, Any]) -> dict[str, Any]:
    """Run a state machine with one task and return the description of its ended execution."""
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
def test_a_task_needs_a_permission_of_its_machine(laptop: Laptop, service: str) -> None:
    resource, parameters, error, action, arn = TASKS[service]
    state = {"Resource": resource, "Parameters": parameters}
    role = laptop.role(f"machine-{service}", principal="states.amazonaws.com")

    denied = run_machine(laptop, f"denied-{service}", role, state)
    assert denied["status"] == "FAILED"
    assert denied["error"] == error
    assert f"is not authorized to perform: {action} on resource" in denied["cause"]

    laptop.allow(role, allow(action, resource=arn))
    assert run_machine(laptop, f"allowed-{service}", role, state)["status"] == "SUCCEEDED"


def test_invoking_a_function_needs_a_permission_of_the_machine(laptop: Laptop) -> None:
    role = laptop.role("machine-lambda", principal="states.amazonaws.com")
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:nobody"
    state = {"Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": function}}
    denied = run_machine(laptop, "denied-lambda", role, state)
    assert f"lambda:InvokeFunction on resource: {function}" in denied["cause"]

    laptop.allow(role, allow("lambda:InvokeFunction", resource=function))
    missing = run_machine(laptop, "allowed-lambda", role, state)
    assert missing["error"] == "Lambda.ResourceNotFoundException"


def test_waiting_for_a_token_needs_a_permission_of_the_machine(laptop: Laptop) -> None:
    queue = laptop.client("sqs").create_queue(QueueName="tokens")["QueueUrl"]
    role = laptop.role("machine-token", principal="states.amazonaws.com")
    state = {
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
    }
    denied = run_machine(laptop, "denied-token", role, state)
    assert f"sqs:SendMessage on resource: arn:aws:sqs:{REGION}:{ACCOUNT}:tokens" in denied["cause"]


def test_an_integration_with_unknown_permissions_is_rejected(laptop: Laptop) -> None:
    role = laptop.role("machine-ecs", allow("*"), principal="states.amazonaws.com")
    denied = run_machine(laptop, "denied-ecs", role, {"Resource": "arn:aws:states:::ecs:runTask"})
    assert denied["cause"] == "arn:aws:states:::ecs:runTask is not supported locally"


TRUSTS: dict[str, tuple[dict[str, Any], bool]] = {
    "the service": ({}, True),
    "the account": ({"Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}, True),
    "another account": ({"Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}}, False),
    "another action": ({"Action": "sts:TagSession"}, False),
    "another service": ({"Principal": {"Service": "ec2.amazonaws.com"}}, False),
}


@pytest.mark.parametrize("case", TRUSTS)
def test_sagemaker_only_assumes_roles_that_trust_it(laptop: Laptop, case: str) -> None:
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


def test_a_deny_in_a_trust_policy_overrides_and_a_deleted_role_is_rejected(laptop: Laptop) -> None:
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


def test_errors_have_the_names_of_step_functions(laptop: Laptop) -> None:
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


def test_the_error_of_a_function_has_the_name_of_its_class(laptop: Laptop) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app.py", FUNCTION)
    function = laptop.client("lambda").create_function(
        FunctionName="printer",
        Runtime="python3.13",
        Handler="app.handler",
        Timeout=30,
        Role=laptop.role("printer", principal="lambda.amazonaws.com"),
        Code={"ZipFile": content.getvalue()},
    )["FunctionArn"]
    machine = laptop.role("prints", allow("lambda:InvokeFunction"), principal="states.amazonaws.com")
    task = {"Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": function}}
    failed = run_machine(laptop, "prints", machine, task)
    assert failed["error"] == "OutOfPaper"
    assert json.loads(failed["cause"])["errorMessage"] == "no paper in tray 2\nnor in tray 3"


@pytest.fixture
def table(laptop: Laptop, tmp_path: Path) -> str:
    """Create a table of versioned records in a bucket of the same name."""
    name = f"records_{uuid.uuid4().hex[:8]}"
    laptop.client("s3").create_bucket(Bucket=name.replace("_", "-"))
    put_table(laptop, tmp_path, name.replace("_", "-"), name)
    return name


def athena_as(laptop: Laptop, role_arn: str) -> Any:
    """Return an Athena client with a role's credentials."""
    credentials = laptop.assume_role(role_arn)
    assert credentials is not None
    return laptop.client(
        "athena",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def run_query(athena: Any, query: str, bucket: str, **members: str) -> dict[str, Any]:
    """Run a query on the database "records" and return its ended execution."""
    query_id = athena.start_query_execution(
        QueryString=query,
        QueryExecutionContext={"Database": "records"},
        ResultConfiguration={"OutputLocation": f"s3://{bucket}/results/"},
        **members,
    )["QueryExecutionId"]

    def ended() -> dict[str, Any] | None:
        execution: dict[str, Any] = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
        return execution if execution["Status"]["State"] not in ("QUEUED", "RUNNING") else None

    found: dict[str, Any] = wait_until(ended)
    return found


def unload(query: str, bucket: str, properties: str) -> str:
    return f"UNLOAD ({query}) TO 's3://{bucket}/unloaded/' WITH ({properties})"


def written(laptop: Laptop, bucket: str) -> list[str]:
    found = laptop.client("s3").list_objects_v2(Bucket=bucket, Prefix="unloaded/").get("Contents", [])
    return [item["Key"] for item in found]


def test_athena_unloads_to_parquet(laptop: Laptop, table: str, tmp_path: Path) -> None:
    bucket, athena = table.replace("_", "-"), laptop.client("athena")
    query = LATEST.format(table=table)
    statement = unload(query, bucket, "format = 'PARQUET', compression = 'SNAPPY'")
    execution = run_query(athena, statement, bucket)
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    assert execution["StatementType"] == "DML"
    keys = written(laptop, bucket)
    assert keys
    assert not any(key.endswith(".parquet") for key in keys)  # as Athena names them
    for number, key in enumerate(keys):
        laptop.client("s3").download_file(bucket, key, str(tmp_path / f"{number}"))
    files = [str(tmp_path / f"{number}") for number in range(len(keys))]
    rows = duckdb.execute("SELECT record_id, text, label, split FROM read_parquet(?) ORDER BY 1", [files])
    assert rows.fetchall() == [("a", "new", "y", None), ("c", 'it\'s "ü"', "x", "test")]
    codecs = duckdb.execute("SELECT DISTINCT compression FROM parquet_metadata(?)", [files]).fetchall()
    assert codecs == [("SNAPPY",)]

    again = run_query(athena, statement, bucket)["Status"]
    assert again["State"] == "FAILED"
    assert again["StateChangeReason"].startswith("HIVE_PATH_ALREADY_EXISTS: the target")


@pytest.mark.parametrize(
    ("properties", "content"),
    [
        ("format = 'JSON'", b'{"id":"c","split":null}\n'),
        ("format = 'TEXTFILE'", b"c\x01\\N\n"),
    ],
)
def test_athena_unloads_to_text(laptop: Laptop, table: str, properties: str, content: bytes) -> None:
    bucket = table.replace("_", "-")
    query = f"SELECT record_id AS id, NULL AS split FROM \"{table}\" WHERE record_id = 'c'"
    status = run_query(laptop.client("athena"), unload(query, bucket, properties), bucket)["Status"]
    assert status["State"] == "SUCCEEDED", status
    (key,) = written(laptop, bucket)
    assert key.endswith(".gz")
    body = laptop.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert gzip.decompress(body) == content


def test_an_unload_without_rows_writes_no_files(laptop: Laptop, table: str) -> None:
    bucket = table.replace("_", "-")
    statement = unload(f'SELECT * FROM "{table}" WHERE false', bucket, "format = 'PARQUET'")
    assert run_query(laptop.client("athena"), statement, bucket)["Status"]["State"] == "SUCCEEDED"
    assert written(laptop, bucket) == []


def test_an_invalid_unload_fails_with_the_reason(laptop: Laptop, table: str) -> None:
    bucket, athena = table.replace("_", "-"), laptop.client("athena")
    wrong = unload(f'SELECT nothing FROM "{table}"', bucket, "format = 'PARQUET'")
    status = run_query(athena, wrong, bucket)["Status"]
    assert status["State"] == "FAILED"
    assert 'Referenced column "nothing" not found' in status["StateChangeReason"]
    assert (
        "is not supported locally"
        in (
            run_query(athena, unload("SELECT 1", bucket, "format = 'ORC'"), bucket)["Status"][
                "StateChangeReason"
            ]
        )
    )


def test_unload_writes_with_the_permissions_of_its_caller(laptop: Laptop, table: str) -> None:
    bucket = table.replace("_", "-")
    role = laptop.role(f"{bucket}-reader", allow("athena:*"), allow("s3:ListBucket"))
    athena = athena_as(laptop, role)
    statement = unload("SELECT 1 AS one", bucket, "format = 'PARQUET'")
    status = run_query(athena, statement, bucket)["Status"]
    assert status["State"] == "FAILED"
    assert "s3:PutObject" in status["StateChangeReason"]
    laptop.allow(role, allow("athena:*"), allow("s3:ListBucket", "s3:PutObject"))
    assert run_query(athena, statement, bucket)["Status"]["State"] == "SUCCEEDED"


@pytest.fixture
def reports(laptop: Laptop) -> Iterator[str]:
    """Create a workgroup besides the primary one."""
    athena = laptop.client("athena")
    athena.create_work_group(Name="reports")
    yield "reports"
    athena.delete_work_group(WorkGroup="reports", RecursiveDeleteOption=True)


QUERY_OPERATIONS = ("get_query_execution", "get_query_results", "stop_query_execution")


@pytest.mark.parametrize(
    ("named", "workgroup"),
    [({}, "primary"), ({"WorkGroup": "primary"}, "primary"), ({"WorkGroup": "reports"}, "reports")],
    ids=["not named", "primary", "another"],
)
def test_a_query_needs_permission_on_its_workgroup(
    laptop: Laptop, table: str, reports: str, named: dict[str, str], workgroup: str
) -> None:
    bucket = table.replace("_", "-")
    (other,) = {"primary", reports} - {workgroup}
    arn = f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/"
    # Both roles have all other permissions, so that only the workgroup makes the difference.
    rest = allow("s3:*", "glue:*")
    permitted = athena_as(
        laptop, laptop.role(f"{bucket}-permitted", allow("athena:*", resource=arn + workgroup), rest)
    )
    forbidden = athena_as(laptop, laptop.role(f"{bucket}-not", allow("athena:*", resource=arn + other), rest))

    execution = run_query(permitted, f'SELECT count(*) AS n FROM "{table}"', bucket, **named)
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    assert execution["WorkGroup"] == workgroup
    query = {"QueryExecutionId": execution["QueryExecutionId"]}
    for operation in QUERY_OPERATIONS:
        getattr(permitted, operation)(**query)

    denied = f"{bucket}-not/SageMaker is not authorized to perform: athena:"
    with pytest.raises(forbidden.exceptions.ClientError, match=f"{denied}StartQueryExecution"):
        run_query(forbidden, "SELECT 1", bucket, **named)
    for operation in QUERY_OPERATIONS:
        action = operation.title().replace("_", "")
        with pytest.raises(forbidden.exceptions.ClientError, match=denied + action):
            getattr(forbidden, operation)(**query)


def test_an_unload_can_be_stopped(laptop: Laptop, table: str) -> None:
    bucket, athena = table.replace("_", "-"), laptop.client("athena")
    endless = "SELECT count(*) AS n FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3"
    query_id = athena.start_query_execution(
        QueryString=unload(endless, bucket, "format = 'PARQUET'"),
        ResultConfiguration={"OutputLocation": f"s3://{bucket}/results/"},
    )["QueryExecutionId"]

    def folders() -> list[Path]:
        return list(laptop.workdir.glob("data-*/athena/*"))

    wait_until(folders)
    athena.stop_query_execution(QueryExecutionId=query_id)
    wait_until(lambda: not folders())
    status = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
    assert status["State"] == "CANCELLED"
    assert written(laptop, bucket) == []
