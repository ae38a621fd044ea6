import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from pydantic import ValidationError

from plan_run import app, forgetting, raw_objects, run_input

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

BUCKET, TABLE = "data", "ledger"
PACKAGE = "arn:aws:sagemaker:us-east-1:111122223333:model-package/retrain-models/3"
NEVER = "and no model of retrain-models was deployed before"
DEPLOYED = {"CustomerMetadataProperties": {"AsOf": "2026-01-01T00:00:00.000Z", "Deployed": "arn:execution"}}
STORE = {"Catalog": "AwsDataCatalog", "Database": "sagemaker_featurestore", "TableName": "retrain_records_17"}
ENVIRONMENT = {
    "BUCKET_NAME": BUCKET,
    "TABLE_NAME": TABLE,
    "FEATURE_GROUP_NAME": "retrain-records",
    "REAL_TIME_ENDPOINT_NAME": "retrain-realtime",
    "MODEL_PACKAGE_GROUP_NAME": "retrain-models",
    "CHAMPION_MODEL_PREFIX": "retrain-champion",
    "MODEL_ROLE_ARN": "arn:aws:iam::111122223333:role/retrain-ModelRole",
    "PIPELINE_NAME": "retrain-pipeline",
    "TUNING_PIPELINE_NAME": "retrain-tuning",
    "MAX_TUNING_JOBS": "4",
    "MAX_PARALLEL_TUNING_JOBS": "2",
    "FORGET_DELETED_FILES": "false",
    "MAX_INGEST_VOLUME_SIZE_IN_GB": "500",
}
CONTEXT: Any = SimpleNamespace(
    function_name="plan_run", memory_limit_in_mb=128, invoked_function_arn="arn:fn", aws_request_id="1"
)


class SageMaker:
    """What is live, and the feature group; nothing is live until a test says so."""

    def __init__(self) -> None:
        self.status = ""
        self.model: dict[str, Any] = {"PrimaryContainer": {"ModelPackageName": PACKAGE}}
        self.model_name: str | None = "retrain-0123456789ab"
        self.config_exists = True
        self.packages: dict[str, dict[str, Any]] = {}  # by version, their descriptions
        self.created: list[dict[str, Any]] = []
        self.refusal: ClientError | None = None  # of CreateModel
        self.offline_store: dict[str, Any] = {"DataCatalogConfig": STORE}
        self.error = error("ValidationException", 'Could not find endpoint "arn:endpoint".')

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        assert EndpointName == "retrain-realtime"
        if not self.status:
            raise self.error
        return {"EndpointStatus": self.status, "EndpointConfigName": "config"}

    def describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:
        assert EndpointConfigName == "config"
        if not self.config_exists:
            raise error("ValidationException", 'Could not find endpoint configuration "arn:config".')
        model = {"ModelName": self.model_name} if self.model_name else {}
        return {"ProductionVariants": [{"VariantName": "AllTraffic", **model}]}

    def describe_model(self, ModelName: str) -> dict[str, Any]:
        if ModelName in [item["ModelName"] for item in self.created]:
            return {"ModelName": ModelName}
        if ModelName != "retrain-0123456789ab":
            raise error("ValidationException", f'Could not find model "{ModelName}".')
        return {"ModelName": ModelName, **self.model}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_model_packages"
        return SimpleNamespace(paginate=self.list_model_packages)

    def list_model_packages(self, **request: str) -> Iterator[dict[str, Any]]:
        """Each package on a page, as SageMaker may answer."""
        assert request.pop("ModelPackageGroupName") == "retrain-models"
        assert request == {
            "ModelApprovalStatus": "Approved",
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
        }
        for version in sorted(self.packages, reverse=True):
            if self.packages[version].get("ModelApprovalStatus", "Approved") == "Approved":
                yield {"ModelPackageSummaryList": [{"ModelPackageArn": of_version(version)}]}

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        return self.packages[ModelPackageName.rpartition("/")[2]]

    def create_model(self, **request: Any) -> dict[str, Any]:
        if self.refusal:
            raise self.refusal
        self.created.append(request)
        return {"ModelArn": "arn"}

    def describe_feature_group(self, FeatureGroupName: str) -> dict[str, Any]:
        assert FeatureGroupName == "retrain-records"
        return {"FeatureGroupStatus": "Created", "OfflineStoreConfig": self.offline_store}


def of_version(version: str) -> str:
    return PACKAGE.replace("/3", f"/{version}")


def error(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Describe")


@pytest.fixture
def sagemaker() -> SageMaker:
    return SageMaker()


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, sagemaker: SageMaker) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        connect = boto3.client
        fakes: dict[str, Any] = {"sagemaker": sagemaker}
        monkeypatch.setattr(boto3, "client", lambda name: fakes.get(name) or connect(name))
        yield


@pytest.fixture
def s3() -> "S3Client":
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return client


@pytest.fixture
def dynamodb() -> "DynamoDBClient":
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
def record(dynamodb: "DynamoDBClient") -> Callable[..., None]:
    """Puts a ledger entry, in place of the attempt."""

    def put(key: str, etag: str, status: str = "INGESTED", **more: str) -> None:
        item = entry(key, etag, status=status, **more)
        dynamodb.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in item.items()})
        dynamodb.delete_item(TableName=TABLE, Key={"pk": {"S": "ATTEMPT"}, "sk": {"S": key}})

    return put


def entry(key: str, etag: str, **more: str) -> dict[str, str]:
    """What the ledger says of an object."""
    times = {"eventTime": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:10:00.000+00:00"}
    return {"pk": "OBJECT", "sk": key, "etag": etag, "status": "INGESTED", **times, **more}


def start(name: str = "one", **given: Any) -> dict[str, Any]:
    execution = {"Id": f"arn:aws:states:::execution:retrain:{name}", "Name": name, "Input": given}
    answer: dict[str, Any] = app.lambda_handler({"execution": execution}, CONTEXT)
    return answer


def look(plan_uri: str | None, status: str) -> tuple[bool, int]:
    outcome = {"status": status}
    answer = app.lambda_handler({"lookAgain": {"planUri": plan_uri, "outcome": outcome}}, CONTEXT)
    return answer["run"], answer["newObjects"]


def read(s3: "S3Client", uri: str) -> Any:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def planned(s3: "S3Client", answer: dict[str, Any]) -> list[str]:
    return [item["key"] for item in read(s3, answer["planUri"])["objects"]]


def written(s3: "S3Client") -> int:
    return s3.list_objects_v2(Bucket=BUCKET, Prefix="plans/")["KeyCount"]


def arriving(monkeypatch: pytest.MonkeyPatch, times: dict[str, datetime]) -> None:
    """Lets objects have arrived at these times."""
    listed = raw_objects.list_objects

    def timed(*arguments: Any) -> Iterator[Any]:
        for item in listed(*arguments):
            yield item._replace(modified=times[item.key])

    monkeypatch.setattr(app, "list_objects", timed)


def test_nothing_new_writes_nothing(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/a.csv", drop("raw/a.csv"))
    answer = start()
    counts = ("run", "forced", "newObjects", "objects", "goneObjects", "goneNote")
    assert {name: answer.pop(name) for name in counts} == {
        "run": False,
        "forced": False,
        "newObjects": 0,
        "objects": 1,
        "goneObjects": 0,
        "goneNote": "",
    }
    assert {answer.pop(name) for name in ("remaining", "setAside", "newSetAside", "ignored")} == {0}
    assert len(answer) == 15
    assert set(answer.values()) == {None}
    assert written(s3) == 0


@pytest.mark.usefixtures("s3", "dynamodb")
def test_empty_bucket_is_nothing_new() -> None:
    assert start()["run"] is False


def test_only_what_is_new_is_planned_and_everything_that_the_pipeline_needs_is_answered(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/a.csv", drop("raw/a.csv"))
    record("raw/deleted.csv", "gone")
    new = drop("raw/deep/b.jsonl.gz", "content")
    drop("raw/deep/", "")
    drop("rawish/c.csv")
    before = datetime.now(UTC) - timedelta(seconds=2)
    answer = start("one")
    folder = answer["planUri"].removesuffix("/plan.json")
    as_of = answer.pop("asOf")
    assert before < datetime.fromisoformat(as_of) <= datetime.now(UTC) + timedelta(seconds=2)
    assert answer == {
        "run": True,
        "forced": False,
        "newObjects": 1,
        "objects": 2,
        "remaining": 0,
        "setAside": 0,
        "newSetAside": 0,
        "ignored": 1,
        "goneObjects": 1,
        "goneNote": "1 ingested file is no longer under raw/, and the records are kept: raw/deleted.csv. "
        "docs/usage.md says how to forget them.",
        "planUri": f"{folder}/plan.json",
        "outputUri": "s3://data/runs/one",
        "quarantineUri": folder.replace("plans", "quarantine"),
        "championModelName": "none",
        "championModelPackageArn": None,
        "championNote": f"endpoint retrain-realtime does not exist, {NEVER}",
        "firstModel": True,
        "offlineStoreDatabase": "sagemaker_featurestore",
        "offlineStoreTable": "retrain_records_17",
        "pipelineName": "retrain-tuning",
        "maxTuningJobs": "4",
        "maxParallelTuningJobs": "2",
        "ingestVolumeSizeInGB": "31",
        "datasetVolumeSizeInGB": "31",
    }
    assert written(s3) == 1
    [item] = read(s3, answer["planUri"])["objects"]
    assert item.pop("eventTime") <= as_of
    assert item == {"key": "raw/deep/b.jsonl.gz", "etag": new, "size": 7}


@pytest.mark.usefixtures("dynamodb")
def test_the_same_plan_has_the_same_place(drop: Callable[..., str]) -> None:
    names = ("planUri", "quarantineUri")  # what the ingestion is cached by
    drop("raw/a.csv")
    first = start("one")
    assert first.items() >= {name: start("two")[name] for name in names}.items()
    drop("raw/b.csv")
    assert not {first[name] for name in names} & set(start("three").values())


@pytest.mark.usefixtures("dynamodb")
def test_times_increase_in_the_order_of_arrival(
    s3: "S3Client", drop: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    times = {"raw/z.csv": early, "raw/b.csv": late, "raw/a.csv": late, "raw/c.csv": late}
    for key in times:
        drop(key)
    arriving(monkeypatch, times)
    answer = start()
    events = [(item["key"], item["eventTime"]) for item in read(s3, answer["planUri"])["objects"]]
    assert events == [
        ("raw/z.csv", "2026-01-01T00:00:00.000Z"),
        ("raw/a.csv", "2026-01-02T00:00:00.000Z"),
        ("raw/b.csv", "2026-01-02T00:00:00.001Z"),
        ("raw/c.csv", "2026-01-02T00:00:00.002Z"),
    ]


@pytest.mark.usefixtures("dynamodb")
def test_the_dataset_is_never_older_than_what_is_new(
    s3: "S3Client", drop: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = datetime.now(UTC).replace(microsecond=999_000) + timedelta(hours=1)  # a clock that is ahead
    drop("raw/a.csv")
    drop("raw/b.csv")
    arriving(monkeypatch, {"raw/a.csv": soon, "raw/b.csv": soon})
    answer = start()
    assert answer["asOf"] == max(item["eventTime"] for item in read(s3, answer["planUri"])["objects"])


def test_what_came_late_does_not_change_the_past(
    s3: "S3Client",
    drop: Callable[..., str],
    record: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S3 dates an upload in parts by its begin, maybe before a run that could not see it yet."""
    record("raw/a.csv", drop("raw/a.csv"), updatedAt="2026-01-02T00:00:00+00:00")
    drop("raw/big.csv")
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    arriving(monkeypatch, {"raw/a.csv": begun, "raw/big.csv": begun})
    [item] = read(s3, start()["planUri"])["objects"]
    assert (item["key"], item["eventTime"]) == ("raw/big.csv", "2026-01-02T00:00:00.001Z")


def test_overwritten_object_is_new(drop: Callable[..., str], record: Callable[..., None]) -> None:
    record("raw/a.csv", drop("raw/a.csv"))
    drop("raw/a.csv", "other content")
    assert start().items() >= {"run": True, "newObjects": 1, "objects": 1}.items()


def test_forced_runs_on_what_is_known(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/a.csv", drop("raw/a.csv"))
    answer = start(force=True)
    assert answer.items() >= {"run": True, "forced": True, "newObjects": 0, "objects": 1}.items()
    assert planned(s3, answer) == []


@pytest.mark.usefixtures("s3")
def test_forced_needs_no_file_when_records_were_ingested(record: Callable[..., None]) -> None:
    record("raw/deleted.csv", "gone")
    assert start(force=True)["run"] is True


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_forced_without_data_says_what_to_do(drop: Callable[..., str], record: Callable[..., None]) -> None:
    record("raw/noise.csv", drop("raw/noise.csv"), "QUARANTINED")
    with pytest.raises(app.NoDataError, match=r"aws s3 cp reviews\.csv s3://data/raw/"):
        start(force=True)


def test_an_s3_event_as_input_does_not_force(drop: Callable[..., str], record: Callable[..., None]) -> None:
    record("raw/a.csv", drop("raw/a.csv"))
    event: dict[str, Any] = {"source": "aws.s3", "detail": {"object": {"key": "raw/a.csv"}}}
    assert start(**event)["run"] is False


def test_quarantined_stays_out_until_its_content_changes(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/noise.csv", drop("raw/noise.csv", "\x00"), "QUARANTINED")
    assert start().items() >= {"run": False, "newObjects": 0, "objects": 0}.items()
    drop("raw/good.csv")
    assert planned(s3, start("two")) == ["raw/good.csv"]
    drop("raw/noise.csv", "id,text,label\n2,bad,neg\n")
    assert sorted(planned(s3, start("three"))) == ["raw/good.csv", "raw/noise.csv"]


@pytest.mark.usefixtures("dynamodb")
def test_more_than_a_page_of_objects(
    s3: "S3Client", drop: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    keys = [f"raw/{number:04}.csv" for number in range(25)]
    [etag] = {drop(key) for key in keys}
    with boto3.resource("dynamodb").Table(TABLE).batch_writer() as batch:
        for key in keys[:2]:
            batch.put_item(Item=entry(key, etag))
    answer = start()
    assert (answer["objects"], answer["newObjects"]) == (25, 23)
    events = [item["eventTime"] for item in read(s3, answer["planUri"])["objects"]]
    assert len(set(events)) == 23
    assert events == sorted(events)
    assert events[-1] <= answer["asOf"]


@pytest.mark.usefixtures("dynamodb")
def test_a_ledger_of_several_pages_is_read_whole(drop: Callable[..., str]) -> None:
    etag = drop("raw/last.csv")
    with boto3.resource("dynamodb").Table(TABLE).batch_writer() as batch:
        for number in range(40):  # of some 40 KB each: a query's page ends at 1 MB
            batch.put_item(Item=entry(f"raw/{number:02}", "e" * 40_000))
        batch.put_item(Item=entry("raw/last.csv", etag))
    assert start()["run"] is False


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.parametrize(
    ("given", "pipeline", "jobs", "parallel"),
    [
        ({}, "retrain-tuning", "4", "2"),
        ({"maxTuningJobs": 1}, "retrain-pipeline", "1", "1"),
        ({"maxTuningJobs": 9, "maxParallelTuningJobs": 3}, "retrain-tuning", "9", "3"),
        ({"maxTuningJobs": "2", "maxParallelTuningJobs": 5}, "retrain-tuning", "2", "2"),
    ],
)
def test_the_number_of_trainings_chooses_the_pipeline(
    drop: Callable[..., str],
    given: dict[str, Any],
    pipeline: str,
    jobs: str,
    parallel: str,
) -> None:
    drop("raw/a.csv")
    answer = start(**given)
    assert (answer["pipelineName"], answer["maxTuningJobs"]) == (pipeline, jobs)
    assert answer["maxParallelTuningJobs"] == parallel


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.parametrize("given", [{}, {"maxTuningJobs": 9, "maxParallelTuningJobs": 3}])
def test_a_container_that_lets_nothing_be_tuned_trains_once_and_the_log_says_so(
    drop: Callable[..., str],
    given: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("TUNING_PIPELINE_NAME", "")
    drop("raw/a.csv")
    answer = start(**given)
    assert (answer["pipelineName"], answer["maxTuningJobs"]) == ("retrain-pipeline", "1")
    assert answer["maxParallelTuningJobs"] == "1"
    [warning] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert warning.getMessage().startswith("trains once: the folder of ModelContainer has no tuning.json")
    assert vars(warning)["maxTuningJobs"] == given.get("maxTuningJobs", 4)


@pytest.mark.usefixtures("dynamodb")
def test_a_given_time_is_told_in_utc(drop: Callable[..., str]) -> None:
    drop("raw/a.csv")
    assert start(asOf="2026-01-02T04:00:00+01:00")["asOf"] == "2026-01-02T03:00:00.000Z"


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_a_time_to_come_is_refused(drop: Callable[..., str]) -> None:
    drop("raw/a.csv")
    with pytest.raises(app.FutureError, match=r'"asOf" is 2999-01-01T00:00:00\.000Z'):
        start(asOf="2999-01-01T00:00:00Z")


@pytest.mark.usefixtures("s3", "dynamodb")
@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.parametrize(
    "given", [{"asOf": "yesterday"}, {"asOf": "2026-01-02T04:00:00"}, {"maxTuningJobs": 0}]
)
def test_an_input_that_makes_no_sense_is_named(given: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=next(iter(given))):
        start(**given)


@pytest.mark.usefixtures("s3", "dynamodb")
@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"froce": True}, 'unknown key "froce". Did you mean "force"? The keys are force, asOf, champion, '),
        ({"Force": True}, 'Did you mean "force"?'),
        ({"as_of": "2026-01-02T04:00:00Z"}, 'Did you mean "asOf"?'),
        ({"maxTuningJob": 2}, 'Did you mean "maxTuningJobs"?'),
        ({"maxParalelTuningJobs": 2}, 'Did you mean "maxParallelTuningJobs"?'),
        ({"qqq": 1}, 'unknown key "qqq". The keys are'),
        ({"force": "true"}, 'has "force": "true". Give true or false.'),
        ({"force": 1}, 'has "force": 1. Give true or false.'),
        ({"force": None}, 'has "force": null. Give true or false.'),
        ({"champion": "retrain-models/3"}, 'Give "none", or leave it out.'),
        ({"asOf": 1767312000}, "Give a time such as"),
        ({"asOf": "1767312000"}, 'has "asOf": "1767312000". Give a time such as'),
        ({"asOf": "1767312000.5"}, "Give a time such as"),
        ({"asOf": "20261123"}, "Give a time such as"),
        ({"asOf": "2026-11-23"}, "Give a time such as"),
        ({"asOf": "2026-11-23T04:22:52"}, "an ISO 8601 date and time, with Z or an offset"),
        ({"asOf": "9999-12-31T23:59:59-12:00"}, "Give a time such as"),
        ({"maxTuningJobs": True}, "Give a number from 1 to 750."),
        ({"maxTuningJobs": 1.5}, "Give a number from 1 to 750."),
        ({"maxTuningJobs": 751}, "Give a number from 1 to 750."),
        ({"maxParallelTuningJobs": []}, "Give a number from 1 to 100."),
        ({"source": "aws.s3", "force": True}, 'unknown key "source"'),
        ({"Records": [{}], "force": True}, 'unknown key "Records"'),
        ([], "The execution's input is []. Start it with an object"),
        ("force", 'input is "force". Start it with an object'),
        ({"x" * 500: 1}, "…"),
    ],
)
def test_an_unclear_input_is_refused_with_what_is_possible(content: object, message: str) -> None:
    with pytest.raises(run_input.InputError) as refused:
        app.lambda_handler({"execution": {"Id": "arn", "Name": "one", "Input": content}}, CONTEXT)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 400


EVENT = {
    "version": "0",
    "id": "1",
    "detail-type": "Scheduled Event",
    "source": "aws.scheduler",
    "account": "111122223333",
    "time": "2026-01-01T00:00:00Z",
    "region": "eu-central-1",
    "resources": [],
    "detail": "{}",
}


@pytest.mark.usefixtures("s3", "dynamodb")
@pytest.mark.parametrize(
    "content",
    [
        {},
        EVENT,
        EVENT | {"source": "aws.s3", "detail-type": "Object Created", "detail": {"force": True}},
        {"Records": [{"eventSource": "aws:s3"}]},
        {"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn", "Comment": "Insert your JSON here"},
    ],
)
def test_events_only_start_a_run(content: dict[str, Any]) -> None:
    assert start(**content).items() >= {"run": False, "forced": False}.items()


@pytest.mark.usefixtures("s3", "dynamodb")
@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.parametrize("name", ["a!", "it's", "(1)", "größe", ".", "-a", "a" * 81])
def test_a_name_that_is_refused_later_is_refused_at_once(name: str) -> None:
    with pytest.raises(run_input.ExecutionNameError, match="of letters, digits and"):
        start(name)


@pytest.mark.usefixtures("s3", "dynamodb")
@pytest.mark.parametrize("name", ["7b5c9d2e-1f3a_8e6d", "Monday.2", "a=b+c@d"])
def test_other_names_of_executions_are_taken(name: str) -> None:
    assert start(name)["run"] is False


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.parametrize("status", ["InService", "Updating"])
def test_the_champion_is_what_the_endpoint_serves(
    drop: Callable[..., str], sagemaker: SageMaker, status: str
) -> None:
    drop("raw/a.csv")
    sagemaker.status = status
    answer = start()
    assert answer["championModelName"] == "retrain-0123456789ab"
    assert answer["championModelPackageArn"] == PACKAGE


NOT_LIVE: dict[str, tuple[dict[str, Any], bool]] = {
    "endpoint retrain-realtime does not exist": ({"status": ""}, True),
    "endpoint retrain-realtime is Failed": ({"status": "Failed"}, True),
    "endpoint retrain-realtime is Creating": ({"status": "Creating"}, True),
    "the configuration of retrain-realtime does not exist": (
        {"status": "InService", "config_exists": False},
        False,
    ),
    "model deleted of retrain-realtime does not exist": (
        {"status": "InService", "model_name": "deleted"},
        False,
    ),
    "retrain-realtime serves inference components": ({"status": "InService", "model_name": None}, False),
    "model retrain-0123456789ab of retrain-realtime has no model package": (
        {"status": "InService", "model": {"PrimaryContainer": {"Image": "byoc"}}},
        False,
    ),
    "model retrain-0123456789ab of retrain-realtime has no model package ": (
        {"status": "InService", "model": {}},
        False,
    ),
}


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.parametrize("reason", NOT_LIVE)
def test_without_a_registered_model_that_serves_or_was_deployed_there_is_no_champion(
    drop: Callable[..., str], sagemaker: SageMaker, reason: str
) -> None:
    drop("raw/a.csv")
    change, first = NOT_LIVE[reason]
    vars(sagemaker).update(change)
    answer = start()
    assert (answer["championModelName"], answer["championModelPackageArn"]) == ("none", None)
    assert answer["championNote"] == f"{reason.strip()}, {NEVER}"
    assert answer["firstModel"] is first


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.parametrize("reason", NOT_LIVE)
def test_a_champion_that_no_longer_serves_is_scored_from_its_package(
    drop: Callable[..., str], sagemaker: SageMaker, reason: str
) -> None:
    drop("raw/a.csv")
    vars(sagemaker).update(NOT_LIVE[reason][0])
    sagemaker.packages = {"3": DEPLOYED}
    answer = start()
    assert (answer["championModelName"], answer["championModelPackageArn"]) == ("retrain-champion-3", PACKAGE)
    assert answer["championNote"] == f"last deployed model of retrain-models, since {reason.strip()}"
    assert answer["firstModel"] is False
    expected = {
        "ModelName": "retrain-champion-3",
        "PrimaryContainer": {"ModelPackageName": PACKAGE},
        "ExecutionRoleArn": ENVIRONMENT["MODEL_ROLE_ARN"],
    }
    assert sagemaker.created == [expected]
    assert start("two")["championModelName"] == "retrain-champion-3"
    assert sagemaker.created == [expected]


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.parametrize(
    ("packages", "version"),
    [
        ({"3": DEPLOYED, "4": DEPLOYED, "5": {"ModelApprovalStatus": "Rejected"}}, "4"),
        ({"3": DEPLOYED, "4": {}}, "3"),  # 4: its execution was stopped during the deployment
        ({"3": {"CustomerMetadataProperties": {"AsOf": "2026"}}, "4": {}}, "4"),
        ({"3": DEPLOYED, "4": DEPLOYED | {"ModelApprovalStatus": "Rejected"}}, "3"),
    ],
)
def test_the_champion_is_the_newest_package_with_which_a_deployment_ended(
    drop: Callable[..., str], sagemaker: SageMaker, packages: dict[str, Any], version: str
) -> None:
    drop("raw/a.csv")
    sagemaker.packages = packages
    assert start()["championModelPackageArn"] == of_version(version)


@pytest.mark.usefixtures("dynamodb")
def test_a_live_champion_is_preferred_to_the_registry(drop: Callable[..., str], sagemaker: SageMaker) -> None:
    """An operator may have gone back to an earlier model by hand."""
    drop("raw/a.csv")
    sagemaker.status, sagemaker.packages = "InService", {"9": DEPLOYED}
    answer = start()
    assert answer["championModelPackageArn"] == PACKAGE
    assert answer["championNote"] == "live on retrain-realtime"
    assert not sagemaker.created


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.parametrize("status", ["InService", ""])
def test_an_operator_can_refuse_the_comparison(
    drop: Callable[..., str], sagemaker: SageMaker, status: str
) -> None:
    drop("raw/a.csv")
    sagemaker.status, sagemaker.packages = status, {"3": DEPLOYED}
    answer = start(champion="none")
    assert (answer["championModelName"], answer["championModelPackageArn"]) == ("none", None)
    assert '"champion": "none"' in answer["championNote"]
    assert "retrain-models/3" in answer["championNote"]
    assert answer["firstModel"] is False


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_a_champion_that_cannot_be_scored_lets_no_model_pass(
    drop: Callable[..., str], sagemaker: SageMaker
) -> None:
    drop("raw/a.csv")
    sagemaker.packages = {"3": DEPLOYED}
    sagemaker.refusal = error("ValidationException", "Could not find model data at s3://data/runs/one.")
    with pytest.raises(Exception, match=r'/3: Could not find model data .*\{"champion": "none"\}'):
        start()
    assert start(champion="none")["championModelName"] == "none"
    sagemaker.refusal = error("AccessDeniedException", "not authorized")
    with pytest.raises(ClientError, match="not authorized"):
        start()
    sagemaker.refusal = error("ValidationException", "Cannot create already existing model.")
    assert start()["championModelName"] == "retrain-champion-3"


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.parametrize(
    "refusal",
    [error("AccessDeniedException", "not authorized"), error("ValidationException", "1 validation error")],
)
def test_not_to_be_told_is_not_to_have_a_champion(
    drop: Callable[..., str], sagemaker: SageMaker, refusal: ClientError
) -> None:
    drop("raw/a.csv")
    sagemaker.error = refusal
    with pytest.raises(ClientError):
        start()


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_a_feature_group_without_a_table_is_an_error(drop: Callable[..., str], sagemaker: SageMaker) -> None:
    drop("raw/a.csv")
    sagemaker.offline_store = {}
    with pytest.raises(Exception, match=r"retrain-records is Created and has no .*DataCatalogConfig"):
        start()


def replaced(s3: "S3Client", answer: dict[str, Any]) -> dict[str, bool]:
    """Whether each planned object replaces records."""
    return {item["key"]: item.get("replaces", False) for item in read(s3, answer["planUri"])["objects"]}


def plan_of(s3: "S3Client", answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = read(s3, answer["planUri"])
    return found


def test_only_a_file_that_was_ingested_before_replaces_records(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/again.csv", "an earlier version")
    record("raw/refused.csv", "an earlier version", status="QUARANTINED")
    for name in ("again", "refused", "new"):
        drop(f"raw/{name}.csv")
    expected = {"raw/again.csv": True, "raw/new.csv": False, "raw/refused.csv": False}
    assert replaced(s3, start()) == expected


def test_a_refused_version_does_not_hide_the_records_of_the_one_before(
    s3: "S3Client", drop: Callable[..., str], dynamodb: "DynamoDBClient"
) -> None:
    item = {name: {"S": value} for name, value in entry("raw/a.csv", "v2", status="QUARANTINED").items()}
    dynamodb.put_item(TableName=TABLE, Item={**item, "holdsRecords": {"BOOL": True}})
    drop("raw/a.csv", "v3")
    assert replaced(s3, start()) == {"raw/a.csv": True}


def test_a_version_that_a_failed_run_may_have_written_is_replaced(
    s3: "S3Client", drop: Callable[..., str], dynamodb: "DynamoDBClient"
) -> None:
    drop("raw/a.csv", "v1")
    first = start()
    assert replaced(s3, first) == replaced(s3, start("again")) == {"raw/a.csv": False}
    assert first["planUri"] == start("again")["planUri"]  # its ingestion is found in the cache
    drop("raw/a.csv", "v2")
    assert replaced(s3, start()) == {"raw/a.csv": True}
    drop("raw/a.csv", "v1")
    assert replaced(s3, start()) == {"raw/a.csv": True}
    [attempt] = dynamodb.scan(TableName=TABLE)["Items"]
    assert attempt == {"pk": {"S": "ATTEMPT"}, "sk": {"S": "raw/a.csv"}, "etag": {"S": "*"}}


def test_the_ingested_version_that_comes_back_after_a_failed_run_is_new(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/a.csv", drop("raw/a.csv", "v1"))
    drop("raw/a.csv", "v2")
    start("failed")
    drop("raw/a.csv", "v1")
    assert replaced(s3, start()) == {"raw/a.csv": True}


def test_a_deleted_key_is_named_and_kept(record: Callable[..., None], drop: Callable[..., str]) -> None:
    record("raw/here.csv", drop("raw/here.csv"))
    for number in range(7):
        record(f"raw/{number}.csv", "gone")
    answer = start()
    assert (answer["run"], answer["goneObjects"]) == (False, 7)
    assert answer["goneNote"].startswith(
        "7 ingested files are no longer under raw/, and the records are kept: "
    )
    assert "raw/0.csv, raw/1.csv, raw/2.csv, raw/3.csv, raw/4.csv and 2 more." in answer["goneNote"]


@pytest.mark.usefixtures("s3")
def test_the_dataset_has_room_for_records_of_files_that_are_not_read_again(
    dynamodb: "DynamoDBClient", drop: Callable[..., str]
) -> None:
    refused = drop("raw/refused.csv")
    for key, etag, status, held in (
        ("raw/gone.csv", "v1", "INGESTED", True),
        ("raw/refused.csv", refused, "QUARANTINED", True),
        ("raw/empty.csv", "v1", "QUARANTINED", False),
    ):
        item = {name: {"S": value} for name, value in entry(key, etag, status=status).items()}
        item |= {"size": {"N": str(1 << 30)}}
        dynamodb.put_item(TableName=TABLE, Item={**item, "holdsRecords": {"BOOL": held}})
    assert start(force=True)["datasetVolumeSizeInGB"] == str(30 + 2 * 14)


def test_a_deleted_key_is_forgotten_by_the_next_run_if_the_stack_says_so(
    s3: "S3Client", record: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGET_DELETED_FILES", "true")
    record("raw/a.csv", "gone")
    s3.head_bucket(Bucket=BUCKET)
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    answer = start()
    assert (answer["run"], answer["forced"], answer["goneObjects"], answer["goneNote"]) == (
        True,
        False,
        0,
        "",
    )
    forget = plan_of(s3, answer)["forget"]
    assert before <= datetime.fromisoformat(forget.pop("at")) <= datetime.fromisoformat(answer["asOf"])
    assert forget == {"files": [{"key": "raw/a.csv"}]}


def test_a_request_to_forget_is_a_forced_run_and_is_kept_until_one_has_succeeded(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    etag = drop("raw/a.csv")
    record("raw/a.csv", etag)
    record("raw/gone.csv", "of gone")
    new = drop("raw/new.csv")
    files, ids = ["raw/a.csv", "raw/gone.csv", "raw/new.csv"], ["17", " 4 "]
    for answer in (start(forget={"files": files, "ids": ids}), start("after-a-failure")):
        assert answer["run"] is True
        assert answer["newObjects"] == 0  # a file that is forgotten is not ingested
        plan = plan_of(s3, answer)
        assert plan["objects"] == []
        assert plan["forget"]["files"] == [
            {"key": "raw/a.csv", "etag": etag},
            {"key": "raw/gone.csv", "etag": "of gone"},
            {"key": "raw/new.csv", "etag": new},
        ]
        assert plan["forget"]["ids"] == plan["forgottenIds"] == ["17", "4"]
    assert start(forget={"files": ["raw/a.csv"]})["forced"] is True
    assert look(None, "DEPLOYED") == (False, 0)


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.parametrize("wanted", [{"files": ["raw/a.csv"]}, {"ids": ["17"]}])
def test_a_request_to_forget_is_not_kept_if_there_is_nothing_to_train_on(
    s3: "S3Client", drop: Callable[..., str], dynamodb: "DynamoDBClient", wanted: dict[str, Any]
) -> None:
    drop("raw/a.csv")
    with pytest.raises(app.NoDataError, match="The request to forget was not kept"):
        start(forget={"files": ["raw/a.csv"], **wanted})
    assert dynamodb.scan(TableName=TABLE)["Items"] == []
    s3.delete_object(Bucket=BUCKET, Key="raw/a.csv")
    assert start("later")["run"] is False


@pytest.mark.usefixtures("s3")
def test_a_pending_request_without_data_to_train_on_starts_nothing(dynamodb: "DynamoDBClient") -> None:
    item = {"pk": "FORGET", "sk": "id#17", "status": "PENDING"}
    dynamodb.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in item.items()})
    assert start()["run"] is False


@pytest.mark.usefixtures("dynamodb")
def test_a_file_that_is_forgotten_is_not_set_aside_by_the_same_plan(
    s3: "S3Client", drop: Callable[..., str]
) -> None:
    drop("raw/good.csv")
    etag = drop("raw/a//b.csv")
    answer = start(forget={"files": ["raw/a//b.csv"]})
    assert (answer["setAside"], answer["newSetAside"]) == (0, 0)
    plan = plan_of(s3, answer)
    assert "setAside" not in plan
    assert plan["forget"]["files"] == [{"key": "raw/a//b.csv", "etag": etag}]


def test_a_forgotten_file_with_another_content_is_ingested(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/a.csv", drop("raw/a.csv", "v1"))
    start(forget={"files": ["raw/a.csv"]})
    drop("raw/a.csv", "v2")
    plan = plan_of(s3, start("next"))
    assert [(item["key"], item["replaces"]) for item in plan["objects"]] == [("raw/a.csv", True)]
    assert "forget" not in plan


@pytest.mark.parametrize("fails", [True, False])
def test_a_forgotten_content_stays_forgotten_whatever_was_under_its_key_since(
    s3: "S3Client",
    dynamodb: "DynamoDBClient",
    drop: Callable[..., str],
    record: Callable[..., None],
    fails: bool,
) -> None:
    record("raw/z.csv", drop("raw/z.csv"))
    forgotten = drop("raw/a.csv", "v1")
    record("raw/a.csv", forgotten)
    start(forget={"files": ["raw/a.csv"]})
    record("raw/a.csv", forgotten, status="FORGOTTEN")
    request = {"pk": {"S": "FORGET"}, "sk": {"S": "file#raw/a.csv"}}
    dynamodb.delete_item(TableName=TABLE, Key=request)
    later = drop("raw/a.csv", "v2")
    assert planned(s3, start("later")) == ["raw/a.csv"]
    if not fails:
        record("raw/a.csv", later)
    drop("raw/a.csv", "v1")
    assert start("again")["run"] is False
    drop("raw/b.csv", "v1")
    assert planned(s3, start("elsewhere")) == ["raw/b.csv"]


def test_a_request_to_forget_that_was_overtaken_deletes_no_records_of_the_later_version(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/a.csv", drop("raw/a.csv", "v1"))
    start(forget={"files": ["raw/a.csv"]})
    later = drop("raw/a.csv", "v2")
    assert plan_of(s3, start("later"))["overtaken"] == ["raw/a.csv"]
    record("raw/a.csv", later)
    s3.delete_object(Bucket=BUCKET, Key="raw/a.csv")
    answer = start("gone")
    assert (answer["run"], answer["goneObjects"]) == (False, 1)


def test_a_request_to_forget_stays_if_the_later_version_was_refused(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    etag = drop("raw/a.csv", "v1")
    record("raw/a.csv", etag)
    start(forget={"files": ["raw/a.csv"]})
    record("raw/a.csv", drop("raw/a.csv", "v2"), status="QUARANTINED")
    s3.delete_object(Bucket=BUCKET, Key="raw/a.csv")
    record("raw/z.csv", drop("raw/z.csv"))
    assert plan_of(s3, start("gone"))["forget"]["files"] == [{"key": "raw/a.csv", "etag": etag}]


def test_a_forgotten_id_is_in_every_later_plan(
    s3: "S3Client", drop: Callable[..., str], dynamodb: "DynamoDBClient"
) -> None:
    item = {"pk": "FORGET", "sk": "id#17", "status": "FORGOTTEN"}
    dynamodb.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in item.items()})
    drop("raw/a.csv")
    plan = plan_of(s3, start())
    assert plan["forgottenIds"] == ["17"]
    assert "forget" not in plan


@pytest.mark.usefixtures("s3")
@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_an_unknown_file_is_named_with_the_nearest_one(record: Callable[..., None]) -> None:
    record("raw/reviews.csv", "v1")
    with pytest.raises(forgetting.UnknownFileError) as caught:
        start(forget={"files": ["reviews.csv", "raw/reviews.csv"]})
    assert 'has "reviews.csv" (did you mean "raw/reviews.csv"?).' in str(caught.value)
    assert "1 files are known" in str(caught.value)


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"ids": ["日" * 301]}, r'The id "日+…" has 903 bytes; .* takes 900\. Upload its file again without'),
        ({"files": ["raw/" + "a" * 1000]}, r'The key "raw/a+…" has 1,004 bytes; .*: delete it from raw/'),
    ],
)
def test_a_name_that_the_table_cannot_hold_is_refused_with_another_way(
    drop: Callable[..., str],
    record: Callable[..., None],
    dynamodb: "DynamoDBClient",
    wanted: dict[str, Any],
    message: str,
) -> None:
    record("raw/a.csv", drop("raw/a.csv"))
    with pytest.raises(forgetting.LongNameError, match=message):
        start(forget={"ids": ["17"], **wanted})
    assert [item["sk"]["S"] for item in dynamodb.scan(TableName=TABLE)["Items"]] == ["raw/a.csv"]


@pytest.mark.usefixtures("s3")
def test_the_longest_names_that_can_be_forgotten_fit_into_the_table(
    drop: Callable[..., str], record: Callable[..., None]
) -> None:
    key, name = "raw/" + "/".join(["a" * 223] * 4)[:896], "日" * 300
    record(key, drop(key))
    assert start(forget={"files": [key], "ids": [name]})["run"] is True
    assert start("pending")["run"] is True


@pytest.mark.usefixtures("s3")
@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_more_forgotten_ids_than_a_plan_takes_are_refused(
    record: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    record("raw/a.csv", "v1")
    monkeypatch.setattr(forgetting, "MAX_IDS", 2)
    start(forget={"ids": ["1", "2"]})
    with pytest.raises(forgetting.TooManyIdsError, match="3 ids would be forgotten; a plan takes 2"):
        start(forget={"ids": ["1", "3"]})


@pytest.mark.usefixtures("s3", "dynamodb")
@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"forget": "raw/a.csv"}, "Give files by their keys or ids, such as"),
        ({"forget": {}}, "Give files by their keys or ids, such as"),
        ({"forget": {"files": [], "ids": []}}, "Give files by their keys or ids, such as"),
        ({"forget": {"ids": [17]}}, "Give files by their keys or ids, such as"),
        ({"forget": {"ids": "17"}}, "Give files by their keys or ids, such as"),
        ({"forget": {"files": [""]}}, "Give files by their keys or ids, such as"),
        ({"forget": {"file": ["raw/a.csv"]}}, 'Did you mean "forget.files"?'),
        ({"forgets": {"ids": ["17"]}}, 'Did you mean "forget"?'),
        ({"forget": {"ids": ["17"]}, "asOf": "2026-01-01T00:00:00Z"}, 'both "forget" and "asOf"'),
    ],
)
def test_an_unclear_request_to_forget_is_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(run_input.InputError) as caught:
        start(**content)
    assert message in str(caught.value)


def test_look_again_after_deployment_finds_what_arrived(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    etag = drop("raw/a.csv")
    plan = start()["planUri"]
    record("raw/a.csv", etag)
    assert look(plan, "DEPLOYED") == (False, 0)
    before = written(s3)
    drop("raw/late.csv")
    assert look(plan, "DEPLOYED") == (True, 1)
    assert look(plan, "REJECTED") == (True, 1)
    assert look(None, "NOTHING_NEW") == (True, 1)
    assert written(s3) == before


@pytest.mark.usefixtures("dynamodb")
def test_look_again_does_not_repeat_a_persistent_failure(drop: Callable[..., str]) -> None:
    drop("raw/a.csv")
    plan = start()["planUri"]
    assert look(plan, "FAILED") == (False, 0)
    drop("raw/late.csv")
    assert look(plan, "FAILED") == (True, 1)


@pytest.mark.usefixtures("dynamodb")
def test_look_again_counts_a_planned_object_that_was_replaced(drop: Callable[..., str]) -> None:
    drop("raw/a.csv")
    plan = start()["planUri"]
    drop("raw/a.csv", "replaced")
    assert look(plan, "FAILED") == (True, 1)


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.usefixtures("s3", "dynamodb")
def test_an_event_that_asks_for_nothing_is_refused() -> None:
    with pytest.raises(app.UnclearRequestError, match="lookAgain"):
        app.lambda_handler({}, CONTEXT)


@pytest.mark.parametrize("name", list(ENVIRONMENT))
def test_missing_environment_is_named(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        app.Environment.read({key: value for key, value in ENVIRONMENT.items() if key != name})


@pytest.mark.usefixtures("dynamodb")
def test_a_poisonous_object_holds_up_nothing_and_is_reported_once(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    etag = drop("raw/a//b.csv")
    drop("raw/_SUCCESS", "")
    answer = start()
    assert answer.items() >= {"run": False, "setAside": 1, "newSetAside": 1, "ignored": 1}.items()
    found = read(s3, answer["planUri"])
    assert found["objects"] == []
    [item] = found["setAside"]
    assert (item["key"], item["etag"], item["size"]) == ("raw/a//b.csv", etag, 25)
    assert "an empty part" in item["reason"]
    assert "raw/a//b.csv" in [vars(record).get("key") for record in caplog.records]

    record("raw/a//b.csv", etag, "SET_ASIDE")
    answer = start("two")
    assert answer.items() >= {"run": False, "setAside": 1, "newSetAside": 0, "planUri": None}.items()
    drop("raw/good.csv")
    answer = start("three")
    assert answer.items() >= {"run": True, "objects": 1, "newObjects": 1, "newSetAside": 0}.items()
    assert planned(s3, answer) == ["raw/good.csv"]
    assert "setAside" not in read(s3, answer["planUri"])


def test_a_version_that_is_set_aside_keeps_that_its_key_has_records(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/a//b.csv", "an earlier version")
    drop("raw/a//b.csv")
    [item] = read(s3, start()["planUri"])["setAside"]
    assert item["holdsRecords"] is True


@pytest.mark.usefixtures("s3")
def test_what_can_be_taken_now_is_new(
    drop: Callable[..., str], record: Callable[..., None], s3: "S3Client"
) -> None:
    record("raw/restored.csv", drop("raw/restored.csv"), "SET_ASIDE")
    assert planned(s3, start()) == ["raw/restored.csv"]


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_records_come_only_from_what_was_ingested(
    drop: Callable[..., str], record: Callable[..., None]
) -> None:
    record("raw/a//b.csv", drop("raw/a//b.csv"), "SET_ASIDE")
    record("raw/kms.csv", drop("raw/kms.csv"), "UNREADABLE")
    assert start()["objects"] == 0
    with pytest.raises(app.NoDataError):
        start(force=True)


@pytest.mark.usefixtures("dynamodb")
def test_look_again_starts_a_run_for_what_was_set_aside_and_not_reported(drop: Callable[..., str]) -> None:
    drop("raw/a.csv")
    plan = start()["planUri"]
    drop("raw/a//b.csv")
    assert look(plan, "FAILED") == (True, 0)
    plan = start("two")["planUri"]
    assert look(plan, "FAILED") == (False, 0)


@pytest.fixture
def half_a_gigabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    """A volume of 33 GB takes 512 MB; each object counts as 200 MB."""
    monkeypatch.setenv("MAX_INGEST_VOLUME_SIZE_IN_GB", "33")
    listed = raw_objects.list_objects

    def grown(*arguments: Any) -> Iterator[Any]:
        for item in listed(*arguments):
            yield item._replace(size=item.size * (200 << 20) // 25)

    monkeypatch.setattr(app, "list_objects", grown)


@pytest.mark.usefixtures("dynamodb", "half_a_gigabyte")
def test_a_load_that_is_too_large_is_taken_in_several_the_oldest_first(
    s3: "S3Client", drop: Callable[..., str], record: Callable[..., None]
) -> None:
    etags = {f"raw/{number}.csv": drop(f"raw/{number}.csv") for number in range(5)}
    answer = start()
    assert answer.items() >= {"newObjects": 2, "remaining": 3, "objects": 5}.items()
    assert answer["ingestVolumeSizeInGB"] == "33"
    assert answer["datasetVolumeSizeInGB"] == "44"
    assert planned(s3, answer) == ["raw/0.csv", "raw/1.csv"]
    assert look(answer["planUri"], "FAILED") == (False, 0)
    for key in planned(s3, answer):
        record(key, etags[key])
    assert look(answer["planUri"], "DEPLOYED") == (True, 3)
    answer = start("two")
    assert planned(s3, answer) == ["raw/2.csv", "raw/3.csv"]
    assert answer["remaining"] == 1


@pytest.mark.usefixtures("dynamodb", "half_a_gigabyte")
def test_a_file_that_fits_into_no_run_is_set_aside(s3: "S3Client", drop: Callable[..., str]) -> None:
    drop("raw/large.csv", "x" * 75)
    drop("raw/good.csv")
    answer = start()
    assert planned(s3, answer) == ["raw/good.csv"]
    [item] = read(s3, answer["planUri"])["setAside"]
    assert item["reason"] == (
        "600.0 MB, more than the 512.0 MB that a run takes; split the file, or raise the stack's "
        "MaxIngestVolumeSizeInGB"
    )
