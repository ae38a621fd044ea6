import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from pydantic import ValidationError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

BUCKET, TABLE = "data", "ledger"
CONTEXT = SimpleNamespace(
    function_name="plan_run", memory_limit_in_mb=128, invoked_function_arn="arn:fn", aws_request_id="1"
)


@pytest.fixture
def module(load_module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("BUCKET_NAME", BUCKET)
    monkeypatch.setenv("TABLE_NAME", TABLE)
    with mock_aws():
        yield load_module("functions/plan_run/app.py")


@pytest.fixture
def s3(module: ModuleType) -> "S3Client":
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return client


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


@pytest.fixture
def drop(s3: "S3Client") -> Callable[..., str]:
    """Puts an object and returns its etag."""

    def put(key: str, body: str = "id,text,label\n1,good,pos\n") -> str:
        return s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode())["ETag"].strip('"')

    return put


@pytest.fixture
def record(dynamodb: "DynamoDBClient") -> Callable[[str, str, str], None]:
    """Puts a ledger entry."""

    def put(key: str, etag: str, status: str) -> None:
        item = {"pk": "OBJECT", "sk": key, "etag": etag, "status": status}
        dynamodb.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in item.items()})

    return put


def start(module: ModuleType, name: str = "one", **given: Any) -> dict[str, Any]:
    execution = {"Id": f"arn:aws:states:::execution:retrain:{name}", "Name": name, "Input": given}
    answer: dict[str, Any] = module.lambda_handler({"execution": execution}, CONTEXT)
    return answer


def look(module: ModuleType, plan_uri: str | None, status: str, *rejected: str) -> tuple[bool, int]:
    outcome = {"status": status, "rejected": [{"key": key, "reason": "noise"} for key in rejected]}
    answer = module.lambda_handler({"lookAgain": {"planUri": plan_uri, "outcome": outcome}}, CONTEXT)
    return answer["run"], answer["newObjects"]


def read(s3: "S3Client", uri: str) -> Any:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def written(s3: "S3Client") -> int:
    return s3.list_objects_v2(Bucket=BUCKET, Prefix="runs/")["KeyCount"]


def test_nothing_new_writes_nothing(
    module: ModuleType, s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/a.csv", drop("raw/a.csv"), "INGESTED")
    assert start(module) == {
        "run": False,
        "forced": False,
        "newObjects": 0,
        "objects": 1,
        "manifestUri": None,
        "planUri": None,
        "outputUri": None,
    }
    assert written(s3) == 0


@pytest.mark.usefixtures("s3", "dynamodb")
def test_empty_bucket_is_nothing_new(module: ModuleType) -> None:
    assert start(module)["run"] is False


def test_new_object_is_planned_with_everything_known(
    module: ModuleType, s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    old = drop("raw/a.csv")
    record("raw/a.csv", old, "INGESTED")
    record("raw/deleted.csv", "gone", "INGESTED")
    new = drop("raw/deep/b.jsonl.gz", "content")
    drop("raw/deep/", "")
    drop("rawish/c.csv")
    answer = start(module, "one")
    assert answer == {
        "run": True,
        "forced": False,
        "newObjects": 1,
        "objects": 2,
        "manifestUri": "s3://data/runs/one/plan/manifest.json",
        "planUri": "s3://data/runs/one/plan/plan.json",
        "outputUri": "s3://data/runs/one",
    }
    assert read(s3, answer["manifestUri"]) == [{"prefix": "s3://data/raw/"}, "a.csv", "deep/b.jsonl.gz"]
    plan = read(s3, answer["planUri"])
    assert all(item.pop("modified") for item in plan["objects"])
    assert plan == {
        "forced": False,
        "objects": [
            {"key": "raw/a.csv", "etag": old, "size": 25, "new": False},
            {"key": "raw/deep/b.jsonl.gz", "etag": new, "size": 7, "new": True},
        ],
    }


@pytest.mark.usefixtures("dynamodb")
def test_objects_are_planned_in_the_order_of_their_arrival(
    module: ModuleType, s3: "S3Client", drop: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("raw/z.csv", "raw/b.csv", "raw/a.csv"):
        drop(key)
        drop(key + ".later", key)
    arrived = {"raw/b.csv": 3, "raw/z.csv": 1}
    readable = module.readable_objects

    def timed(*arguments: Any) -> Iterator[Any]:
        for item in readable(*arguments):
            moment = datetime(2026, 1, 1 + arrived.get(item.key, 2), tzinfo=UTC)
            yield item.model_copy(update={"modified": moment})

    monkeypatch.setattr(module, "readable_objects", timed)
    _, *names = read(s3, start(module)["manifestUri"])
    assert names == ["z.csv", "a.csv", "a.csv.later", "b.csv.later", "z.csv.later", "b.csv"]


LONG = "評" * 90


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.parametrize(
    "name",
    ["a//b.csv", "../b.csv", "./b.csv", f"{LONG}.csv", f"{LONG[:80]}/{LONG[:80]}/{LONG[:80]}/{LONG[:80]}"],
)
def test_a_name_that_no_job_can_take_holds_up_nothing(
    module: ModuleType,
    s3: "S3Client",
    drop: Callable[..., str],
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    drop(f"raw/{name}")
    assert start(module)["run"] is False
    drop("raw/good.csv")
    answer = start(module)
    assert (answer["objects"], answer["newObjects"]) == (1, 1)
    assert read(s3, answer["manifestUri"])[1:] == ["good.csv"]
    assert f"raw/{name}" in [vars(record).get("key") for record in caplog.records]


def test_overwritten_object_is_new(
    module: ModuleType, drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/a.csv", drop("raw/a.csv"), "INGESTED")
    drop("raw/a.csv", "other content")
    assert start(module).items() >= {"run": True, "newObjects": 1, "objects": 1}.items()


def test_forced_runs_on_what_is_known(
    module: ModuleType, s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/a.csv", drop("raw/a.csv"), "INGESTED")
    answer = start(module, force=True)
    assert answer.items() >= {"run": True, "forced": True, "newObjects": 0, "objects": 1}.items()
    assert read(s3, answer["planUri"])["forced"] is True


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.usefixtures("s3", "dynamodb")
def test_forced_without_data_says_what_to_do(module: ModuleType) -> None:
    with pytest.raises(module.NoDataError, match=r"aws s3 cp reviews\.csv s3://data/raw/"):
        start(module, force=True)


def test_an_s3_event_as_input_does_not_force(
    module: ModuleType, drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/a.csv", drop("raw/a.csv"), "INGESTED")
    event: dict[str, Any] = {"source": "aws.s3", "detail": {"object": {"key": "raw/a.csv"}}}
    assert start(module, **event)["run"] is False


def test_rejected_stays_out_until_its_content_changes(
    module: ModuleType, s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/noise.csv", drop("raw/noise.csv", "\x00"), "REJECTED")
    assert start(module).items() >= {"run": False, "newObjects": 0, "objects": 0}.items()
    drop("raw/good.csv")
    assert read(s3, start(module, "two")["manifestUri"])[1:] == ["good.csv"]
    drop("raw/noise.csv", "id,text,label\n2,bad,neg\n")
    assert read(s3, start(module, "three")["manifestUri"])[1:] == ["good.csv", "noise.csv"]


@pytest.mark.usefixtures("dynamodb")
def test_more_than_a_page_of_objects(module: ModuleType, s3: "S3Client", drop: Callable[..., str]) -> None:
    keys = [f"raw/{number:04}.csv" for number in range(1005)]
    [etag] = {drop(key) for key in keys}
    with boto3.resource("dynamodb").Table(TABLE).batch_writer() as batch:
        for key in keys[:-2]:
            batch.put_item(Item={"pk": "OBJECT", "sk": key, "etag": etag, "status": "INGESTED"})
    answer = start(module)
    assert (answer["objects"], answer["newObjects"]) == (1005, 2)
    assert len(read(s3, answer["manifestUri"])) == 1006


def test_a_ledger_of_several_pages_is_read_whole(module: ModuleType) -> None:
    def item(key: str) -> dict[str, Any]:
        return {"sk": {"S": key}, "etag": {"S": "e"}, "status": {"S": "INGESTED"}}

    class Paginated:
        def get_paginator(self, operation: str) -> "Paginated":
            assert operation == "query"
            return self

        def paginate(self, **request: Any) -> list[dict[str, Any]]:
            return [{"Items": [item("raw/a")]}, {"Items": []}, {"Items": [item("raw/b")]}]

    assert module.read_ledger(Paginated(), TABLE) == dict.fromkeys(["raw/a", "raw/b"], ("e", "INGESTED"))


def test_look_again_after_deployment_finds_what_arrived(
    module: ModuleType, s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    etag = drop("raw/a.csv")
    plan = start(module)["planUri"]
    record("raw/a.csv", etag, "INGESTED")
    assert look(module, plan, "DEPLOYED") == (False, 0)
    before = written(s3)
    drop("raw/late.csv")
    assert look(module, plan, "DEPLOYED") == (True, 1)
    assert look(module, plan, "REJECTED") == (True, 1)
    assert written(s3) == before


@pytest.mark.usefixtures("dynamodb")
def test_look_again_does_not_repeat_a_persistent_failure(
    module: ModuleType, drop: Callable[..., str]
) -> None:
    drop("raw/a.csv")
    plan = start(module)["planUri"]
    assert look(module, plan, "FAILED") == (False, 0)
    drop("raw/late.csv")
    assert look(module, plan, "FAILED") == (True, 1)


@pytest.mark.usefixtures("dynamodb")
def test_look_again_counts_a_planned_object_that_was_replaced(
    module: ModuleType, drop: Callable[..., str]
) -> None:
    drop("raw/a.csv")
    plan = start(module)["planUri"]
    drop("raw/a.csv", "replaced")
    assert look(module, plan, "FAILED") == (True, 1)


def test_look_again_tries_the_good_files_without_the_rejected_one(
    module: ModuleType, drop: Callable[..., str], record: Callable[..., None]
) -> None:
    drop("raw/good.csv")
    noise = drop("raw/noise.csv", "\x00")
    plan = start(module)["planUri"]
    assert look(module, plan, "FAILED", "raw/noise.csv") == (True, 1)
    record("raw/noise.csv", noise, "REJECTED")
    assert look(module, plan, "FAILED", "raw/noise.csv") == (True, 1)


@pytest.mark.usefixtures("dynamodb")
def test_look_again_ignores_the_rejected_even_if_the_ledger_was_not_written(
    module: ModuleType, drop: Callable[..., str]
) -> None:
    drop("raw/noise.csv", "\x00")
    plan = start(module)["planUri"]
    assert look(module, plan, "FAILED", "raw/noise.csv") == (False, 0)


@pytest.mark.usefixtures("dynamodb")
def test_look_again_waits_for_an_event_after_a_failure_without_a_plan(
    module: ModuleType, drop: Callable[..., str]
) -> None:
    drop("raw/a.csv")
    assert look(module, None, "FAILED") == (False, 0)


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.usefixtures("s3", "dynamodb")
def test_an_event_that_asks_for_nothing_is_refused(module: ModuleType) -> None:
    with pytest.raises(module.UnclearRequestError, match="lookAgain"):
        module.lambda_handler({}, CONTEXT)


def test_missing_environment_is_named(module: ModuleType) -> None:
    with pytest.raises(ValidationError, match="TABLE_NAME"):
        module.Environment.read({"BUCKET_NAME": "data"})
