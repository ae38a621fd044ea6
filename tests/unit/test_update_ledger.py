import json
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BUCKET, TABLE = "data", "ledger"
PLAN = f"s3://{BUCKET}/runs/one/plan/plan.json"
CONTEXT = SimpleNamespace(
    function_name="update_ledger", memory_limit_in_mb=128, invoked_function_arn="arn:fn", aws_request_id="1"
)


@pytest.fixture
def module(load_module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("TABLE_NAME", TABLE)
    with mock_aws():
        yield load_module("functions/update_ledger/app.py")


@pytest.fixture
def dynamodb(module: ModuleType) -> "DynamoDBClient":
    client = boto3.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    return client


def planned(key: str, *, new: bool = True) -> dict[str, Any]:
    return {"key": key, "etag": f"etag of {key}", "size": 7, "new": new}


def put_plan(*objects: dict[str, Any]) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    body = json.dumps({"objects": objects, "forced": False}).encode()
    s3.put_object(Bucket=BUCKET, Key="runs/one/plan/plan.json", Body=body)


def record(
    module: ModuleType, status: str, *rejected: dict[str, str], plan_uri: str | None = PLAN
) -> dict[str, int]:
    event = {
        "planUri": plan_uri,
        "outcome": {"status": status, "rejected": list(rejected)},
        "execution": "one",
    }
    answer: dict[str, int] = module.lambda_handler(event, CONTEXT)
    return answer


def ledger(dynamodb: "DynamoDBClient") -> dict[str, dict[str, Any]]:
    items = dynamodb.scan(TableName=TABLE)["Items"]
    return {item["sk"]["S"]: dict(item) for item in items}


@pytest.mark.parametrize("status", ["DEPLOYED", "REJECTED"])
def test_what_a_model_was_trained_on_is_ingested(
    module: ModuleType, dynamodb: "DynamoDBClient", status: str
) -> None:
    put_plan(planned("raw/a.csv"), planned("raw/known.csv", new=False))
    assert record(module, status) == {"recorded": 1}
    [item] = ledger(dynamodb).values()
    assert item.pop("updatedAt")["S"].endswith("+00:00")
    assert item == {
        "pk": {"S": "OBJECT"},
        "sk": {"S": "raw/a.csv"},
        "etag": {"S": "etag of raw/a.csv"},
        "size": {"N": "7"},
        "status": {"S": "INGESTED"},
        "execution": {"S": "one"},
    }


def test_failure_records_only_the_rejected_files(module: ModuleType, dynamodb: "DynamoDBClient") -> None:
    put_plan(planned("raw/good.csv"), planned("raw/noise.csv"))
    assert record(module, "FAILED", {"key": "raw/noise.csv", "reason": "not UTF-8 text"}) == {"recorded": 1}
    [item] = ledger(dynamodb).values()
    assert item["sk"]["S"] == "raw/noise.csv"
    assert item["status"]["S"] == "REJECTED"
    assert item["reason"]["S"] == "not UTF-8 text"
    assert item["etag"]["S"] == "etag of raw/noise.csv"


def test_a_file_that_was_good_before_can_be_rejected(module: ModuleType, dynamodb: "DynamoDBClient") -> None:
    put_plan(planned("raw/known.csv", new=False))
    assert record(module, "FAILED", {"key": "raw/known.csv", "reason": "empty"}) == {"recorded": 1}


def test_failure_without_a_culprit_records_nothing(module: ModuleType, dynamodb: "DynamoDBClient") -> None:
    put_plan(planned("raw/a.csv"))
    assert record(module, "FAILED") == {"recorded": 0}
    assert ledger(dynamodb) == {}


@pytest.mark.usefixtures("dynamodb")
def test_failure_before_planning_records_nothing(module: ModuleType) -> None:
    assert record(module, "FAILED", plan_uri=None) == {"recorded": 0}


def test_more_objects_than_a_batch_takes(module: ModuleType, dynamodb: "DynamoDBClient") -> None:
    keys = {f"raw/{number}.csv" for number in range(60)}
    put_plan(*map(planned, keys))
    assert record(module, "DEPLOYED") == {"recorded": 60}
    assert ledger(dynamodb).keys() == keys


def test_no_batch_is_larger_than_dynamodb_takes(module: ModuleType) -> None:
    client = boto3.client("dynamodb")
    keys = [str(number) for number in range(60)]
    with Stubber(client) as stub:
        for batch in (keys[:25], keys[25:50], keys[50:]):
            stub.add_response(
                "batch_write_item", {"UnprocessedItems": {}}, {"RequestItems": {TABLE: request(*batch)}}
            )
        module.write(client, TABLE, [{"sk": {"S": key}} for key in keys])
        stub.assert_no_pending_responses()


def request(*keys: str) -> list[Any]:
    return [{"PutRequest": {"Item": {"sk": {"S": key}}}} for key in keys]


class Pauses:
    """A clock that only notes how long it was to sleep."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


def test_unprocessed_items_are_sent_again(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = Pauses()
    monkeypatch.setattr(module, "time", pauses)
    client = boto3.client("dynamodb")
    items = [{"sk": {"S": key}} for key in ("a", "b", "c")]
    with Stubber(client) as stub:
        left = [{TABLE: request("b", "c")}, {TABLE: request("c")}, {}]
        sent = [request("a", "b", "c"), request("b", "c"), request("c")]
        for unprocessed, batch in zip(left, sent, strict=True):
            stub.add_response(
                "batch_write_item", {"UnprocessedItems": unprocessed}, {"RequestItems": {TABLE: batch}}
            )
        module.write(client, TABLE, items)
        stub.assert_no_pending_responses()
    assert pauses.seconds == [0.1, 0.2]


def test_items_that_stay_unprocessed_are_an_error(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "time", Pauses())
    client = boto3.client("dynamodb")
    with Stubber(client) as stub:
        for _ in range(module.WRITE_ATTEMPTS):
            stub.add_response(
                "batch_write_item", {"UnprocessedItems": {TABLE: request("a")}}, {"RequestItems": ANY}
            )
        with pytest.raises(module.LedgerWriteError, match="left 1 items of table ledger unwritten"):
            module.write(client, TABLE, [{"sk": {"S": "a"}}])
