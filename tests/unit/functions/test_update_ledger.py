import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws

from shared import batches
from update_ledger import app

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BUCKET, TABLE = "data", "ledger"
PLAN = f"s3://{BUCKET}/plans/abc/plan.json"
EXECUTION = "arn:aws:sagemaker:us-east-1:111122223333:pipeline/retrain-tuning/execution/abcdefghijkl"
NO_LABELS: dict[str, Any] = {"newLabels": [], "heldLabels": [], "omittedLabels": []}
CONTEXT: Any = SimpleNamespace(
    function_name="update_ledger", memory_limit_in_mb=128, invoked_function_arn="arn:fn", aws_request_id="1"
)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("TABLE_NAME", TABLE)
    with mock_aws():
        yield


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
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> "SageMaker":
    fake, connect = SageMaker(), boto3.client
    clients: dict[str, Any] = {"sagemaker": fake}
    monkeypatch.setattr(boto3, "client", lambda name: clients.get(name) or connect(name))
    return fake


class SageMaker:
    """An execution whose step IngestRecords ran a job with these outputs."""

    def __init__(self) -> None:
        self.outputs = {"report": "s3://data/runs/one/ingest", "quarantine": "s3://data/quarantine/one"}
        self.steps: list[dict[str, Any]] = [
            {"StepName": "TrainModel", "Metadata": {"TrainingJob": {"Arn": "arn:training-job/t"}}},
            {"StepName": "IngestRecords", "Metadata": {"ProcessingJob": {"Arn": "arn:processing-job/p"}}},
        ]
        self.dataset_outputs = {"report": "s3://data/runs/one/dataset/report"}

    def get_paginator(self, operation: str) -> "SageMaker":
        assert operation == "list_pipeline_execution_steps"
        return self

    def paginate(self, PipelineExecutionArn: str, SortOrder: str) -> list[dict[str, Any]]:
        assert (PipelineExecutionArn, SortOrder) == (EXECUTION, "Ascending")
        return [{"PipelineExecutionSteps": [step]} for step in self.steps]

    def describe_processing_job(self, ProcessingJobName: str) -> dict[str, Any]:
        uris = {"p": self.outputs, "d": self.dataset_outputs}[ProcessingJobName]
        outputs = [{"OutputName": name, "S3Output": {"S3Uri": uri}} for name, uri in uris.items()]
        return {"ProcessingOutputConfig": {"Outputs": outputs}}


def planned(key: str) -> dict[str, Any]:
    return {"key": key, "etag": f"etag of {key}", "size": 7, "eventTime": "2026-11-23T03:07:15.001Z"}


def file(key: str, rows: int = 10, bad: int = 0, reason: str | None = None, **more: Any) -> dict[str, Any]:
    """A file as the job reports it: with a reason it was quarantined whole."""
    bad = rows if reason else bad
    verdict = "QUARANTINED" if reason else "INGESTED"
    counts = {"rows": rows, "ingested": rows - bad, "quarantined": bad}
    return {"key": key, "etag": f"etag of {key}", **counts, "verdict": verdict, "reason": reason, **more}


def put(key: str, content: object) -> None:
    boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(content).encode())


def put_plan(*keys: str) -> None:
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    put("plans/abc/plan.json", {"objects": [planned(key) for key in keys]})


def put_report(*files: dict[str, Any], host: str = "algo-1") -> None:
    records = sum(each["ingested"] for each in files)
    report = {"files": list(files), "records": records, "calls": 1, "retries": 0, "seconds": 0.5}
    put(f"runs/one/ingest/{host}.json", report)


def record(status: str, plan_uri: str | None = PLAN, pipeline: str | None = EXECUTION) -> dict[str, Any]:
    event = {
        "planUri": plan_uri,
        "outcome": {"status": status},
        "execution": "one",
        "pipelineExecutionArn": pipeline,
    }
    answer: dict[str, Any] = app.lambda_handler(event, CONTEXT)
    return answer


def ledger(dynamodb: "DynamoDBClient") -> dict[str, dict[str, Any]]:
    items = dynamodb.scan(TableName=TABLE)["Items"]
    return {item["sk"]["S"]: dict(item) for item in items}


def statuses(dynamodb: "DynamoDBClient") -> dict[str, str]:
    return {key: item["status"]["S"] for key, item in ledger(dynamodb).items()}


@pytest.mark.usefixtures("sagemaker")
@pytest.mark.parametrize("status", ["DEPLOYED", "REJECTED"])
def test_what_was_ingested_is_listed_so(dynamodb: "DynamoDBClient", status: str) -> None:
    put_plan("raw/a.csv")
    put_report(file("raw/a.csv", rows=1200))
    assert record(status) == {
        "files": 1,
        "records": 1200,
        "deletedRecords": 0,
        "quarantinedRows": 0,
        "quarantinedFiles": [],
        **NO_LABELS,
        "setAside": [],
        "summary": "Of 1 new file, 1,200 rows were ingested.",
    }
    [item] = ledger(dynamodb).values()
    assert item.pop("updatedAt")["S"].endswith("+00:00")
    assert item == {
        "pk": {"S": "OBJECT"},
        "sk": {"S": "raw/a.csv"},
        "etag": {"S": "etag of raw/a.csv"},
        "size": {"N": "7"},
        "eventTime": {"S": "2026-11-23T03:07:15.001Z"},
        "status": {"S": "INGESTED"},
        "rows": {"N": "1200"},
        "quarantined": {"N": "0"},
        "execution": {"S": "one"},
    }


@pytest.mark.usefixtures("sagemaker")
def test_every_instances_report_counts(dynamodb: "DynamoDBClient") -> None:
    put_plan("raw/a.csv", "raw/b.csv", "raw/noise.csv")
    put_report(file("raw/a.csv", rows=10, bad=1))
    put_report(file("raw/b.csv"), file("raw/noise.csv", reason="not UTF-8 text"), host="algo-2")
    put("runs/one/ingest-of-another/algo-1.json", {"files": []})
    assert record("DEPLOYED") == {
        "files": 3,
        "records": 19,
        "deletedRecords": 0,
        "quarantinedRows": 11,
        "quarantinedFiles": [{"key": "raw/noise.csv", "reason": "not UTF-8 text"}],
        **NO_LABELS,
        "setAside": [],
        "summary": "Of 3 new files, 19 rows were ingested. Quarantined: 11 rows, with 1 whole file "
        "(raw/noise.csv: not UTF-8 text), see s3://data/quarantine/one",
    }
    assert statuses(dynamodb) == {
        "raw/a.csv": "INGESTED",
        "raw/b.csv": "INGESTED",
        "raw/noise.csv": "QUARANTINED",
    }
    assert ledger(dynamodb)["raw/noise.csv"]["reason"] == {"S": "not UTF-8 text"}


@pytest.mark.usefixtures("sagemaker", "dynamodb")
def test_a_bad_row_is_told_too() -> None:
    put_plan("raw/a.csv")
    put_report(file("raw/a.csv", bad=1))
    summary = "Of 1 new file, 9 rows were ingested. Quarantined: 1 row see s3://data/quarantine/one"
    assert record("DEPLOYED")["summary"] == summary.replace("row see", "row, see")


@pytest.mark.usefixtures("sagemaker")
def test_after_a_failure_only_the_quarantined_files_are_listed(dynamodb: "DynamoDBClient") -> None:
    put_plan("raw/good.csv", "raw/noise.csv")
    put_report(file("raw/good.csv"), file("raw/noise.csv", reason="x" * 2000))
    answer = record("FAILED")
    assert answer["quarantinedFiles"] == [{"key": "raw/noise.csv", "reason": "x" * 160}]
    assert statuses(dynamodb) == {"raw/noise.csv": "QUARANTINED"}
    assert len(ledger(dynamodb)["raw/noise.csv"]["reason"]["S"]) == 1000


@pytest.mark.usefixtures("sagemaker")
@pytest.mark.parametrize("status", ["DEPLOYED", "REJECTED"])
def test_a_planned_file_that_is_not_reported_would_start_the_next_run_for_ever(
    dynamodb: "DynamoDBClient", status: str
) -> None:
    put_plan("raw/a.csv", "raw/b.csv", "raw/not-reported.csv")
    put_report(file("raw/a.csv", etag="other"), file("raw/b.csv"), file("raw/never-planned.csv"))
    with pytest.raises(app.UnreportedFilesError, match=r"2 of 3 planned files, such as raw/a\.csv\."):
        record(status)
    assert statuses(dynamodb) == {"raw/b.csv": "INGESTED"}


@pytest.mark.usefixtures("sagemaker", "dynamodb")
def test_many_quarantined_files_are_counted() -> None:
    keys = [f"raw/{number}.csv" for number in range(9)]
    put_plan(*keys)
    put_report(*(file(key, reason="empty") for key in keys))
    answer = record("FAILED")
    assert len(answer["quarantinedFiles"]) == 5
    assert "with 9 whole files (raw/0.csv: empty; " in answer["summary"]
    assert "; and 4 more)" in answer["summary"]


@pytest.mark.usefixtures("sagemaker", "dynamodb")
def test_new_and_held_labels_are_named_with_their_rows() -> None:
    put_plan("raw/a.csv", "raw/b.csv")
    held = [{"label": "Pos", "like": "pos", "rows": 4}]
    put_report(file("raw/a.csv", newLabels={"meh": 2, "so": 5}, heldLabels=held))
    put_report(file("raw/b.csv", newLabels={"meh": 4}, heldLabels=held), host="algo-2")
    answer = record("REJECTED")
    assert answer["newLabels"] == [{"label": "meh", "rows": 6}, {"label": "so", "rows": 5}]
    assert answer["heldLabels"] == [{"label": "Pos", "like": "pos", "rows": 8}]
    assert answer["summary"].endswith(
        "New labels: 'meh' (6); 'so' (5). Held back until [fields.label.values] of contract.toml says "
        "whether they are one: 'Pos' (8), like 'pos'."
    )


@pytest.mark.usefixtures("sagemaker", "dynamodb")
def test_many_and_long_labels_are_bounded() -> None:
    put_plan("raw/a.csv")
    put_report(file("raw/a.csv", newLabels={"x" * 300: 99} | {f"label {i:02}": 1 for i in range(40)}))
    answer = record("DEPLOYED")
    assert len(answer["newLabels"]) == 10
    assert answer["newLabels"][0] == {"label": "x" * 79 + "\u2026", "rows": 99}
    assert "'label 08' (1); and 31 more." in answer["summary"]


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.parametrize("status", ["Succeeded", "Failed"])
def test_labels_that_the_dataset_leaves_out_are_named(sagemaker: SageMaker, status: str) -> None:
    step = {"ProcessingJob": {"Arn": "arn:processing-job/d"}}
    sagemaker.steps.append({"StepName": "CreateDataset", "StepStatus": status, "Metadata": step})
    put_plan("raw/a.csv")
    put_report(file("raw/a.csv"))
    if status == "Succeeded":
        content = {
            "rows": 9,
            "omittedLabels": {"rare": 2},
            "invalidRecords": {"without a text": "1, such as 'x'"},
        }
        put("runs/one/dataset/report/dataset.json", content)
    answer = record("DEPLOYED")
    named = status == "Succeeded"
    assert answer["omittedLabels"] == ([{"label": "rare", "rows": 2}] if named else [])
    assert ("or too many labels: 'rare' (2). Left out of the" in answer["summary"]) is named
    assert ("records without a text: 1, such as 'x'." in answer["summary"]) is named


NOTHING = {
    "files": 0,
    "records": 0,
    "deletedRecords": 0,
    "quarantinedRows": 0,
    "quarantinedFiles": [],
    **NO_LABELS,
    "setAside": [],
    "summary": "No new file was ingested.",
}


def test_a_run_that_never_came_to_ingestion_records_nothing(
    dynamodb: "DynamoDBClient", sagemaker: SageMaker
) -> None:
    put_plan("raw/a.csv")
    assert record("FAILED") == NOTHING  # no report yet
    sagemaker.outputs = {}
    assert record("FAILED") == NOTHING
    sagemaker.steps = []
    assert record("FAILED") == NOTHING
    assert record("FAILED", pipeline=None) == NOTHING
    assert record("FAILED", plan_uri=None, pipeline=None) == NOTHING
    assert ledger(dynamodb) == {}


@pytest.mark.usefixtures("sagemaker", "dynamodb")
def test_a_forced_run_without_new_files_has_nothing_to_record() -> None:
    put_plan()
    assert record("DEPLOYED") == NOTHING


AT = "2026-11-23T04:00:00.000Z"
DELETIONS = {"files": {"raw/a.csv": 3, "raw/old.csv": 40, "raw/gone.csv": 2}, "ids": 1, "unknownIds": ["99"]}


def put_corrections() -> None:
    """A plan that replaces one file, and forgets two files and two ids; and the report of the run."""
    put_plan()
    files = [{"key": "raw/old.csv", "etag": "v1"}, {"key": "raw/gone.csv"}]
    forget = {"at": AT, "files": files, "ids": ["17", "99"]}
    plan = {"objects": [planned("raw/a.csv") | {"replaces": True}], "forget": forget}
    put("plans/abc/plan.json", plan | {"forgottenIds": ["17", "99"]})
    put_report(file("raw/a.csv"), host="algo-2")
    report = {"files": [], "records": 0, "deletions": DELETIONS}
    put("runs/one/ingest/algo-1.json", report)


def put_items(dynamodb: "DynamoDBClient", *keys: tuple[str, str]) -> None:
    for partition, sort in keys:
        item = {"pk": {"S": partition}, "sk": {"S": sort}, "etag": {"S": "v1"}, "status": {"S": "PENDING"}}
        dynamodb.put_item(TableName=TABLE, Item=item)


SETTLED = [("ATTEMPT", "raw/a.csv"), ("ATTEMPT", "raw/gone.csv"), ("FORGET", "file#raw/old.csv")]


@pytest.mark.usefixtures("sagemaker")
def test_deleted_records_are_counted_and_what_was_forgotten_is_listed(dynamodb: "DynamoDBClient") -> None:
    put_corrections()
    put_items(dynamodb, *SETTLED, ("FORGET", "id#17"), ("ATTEMPT", "raw/other.csv"))
    answer = record("DEPLOYED")
    assert answer["deletedRecords"] == 46
    assert answer["summary"] == (
        "Of 1 new file, 10 rows were ingested. Deleted: 3 records that replaced files no longer have. "
        "Forgotten: 2 files and 2 ids, 43 records. No record has the id 99; later files cannot bring it "
        "either."
    )
    items = {(item["pk"]["S"], item["sk"]["S"]): item for item in dynamodb.scan(TableName=TABLE)["Items"]}
    assert items.keys() == {
        ("OBJECT", "raw/a.csv"),
        ("OBJECT", "raw/old.csv"),
        ("OBJECT", "raw/gone.csv"),
        ("FORGET", "id#17"),
        ("FORGET", "id#99"),
        ("ATTEMPT", "raw/other.csv"),
    }
    assert items["OBJECT", "raw/a.csv"]["deletedRecords"] == {"N": "3"}
    assert items["FORGET", "id#17"]["status"] == {"S": "FORGOTTEN"}
    old, gone = items["OBJECT", "raw/old.csv"], items["OBJECT", "raw/gone.csv"]
    assert (old["status"], old["etag"], old["deletedRecords"]) == (
        {"S": "FORGOTTEN"},
        {"S": "v1"},
        {"N": "40"},
    )
    assert (gone["status"], gone["reason"]) == ({"S": "FORGOTTEN"}, {"S": "deleted from raw/"})
    assert "etag" not in gone  # uploaded again with the same content, it is new
    assert old["holdsRecords"] == gone["holdsRecords"] == {"BOOL": False}


@pytest.mark.usefixtures("sagemaker")
def test_a_failed_run_has_forgotten_nothing(dynamodb: "DynamoDBClient") -> None:
    put_corrections()
    put_items(dynamodb, *SETTLED)
    record("FAILED")
    items = {(item["pk"]["S"], item["sk"]["S"]) for item in dynamodb.scan(TableName=TABLE)["Items"]}
    assert items == set(SETTLED)


@pytest.mark.usefixtures("sagemaker")
@pytest.mark.parametrize(
    ("status", "reason", "left"),
    [
        ("DEPLOYED", None, {"file#raw/b.csv"}),
        ("DEPLOYED", "no rows", {"file#raw/a.csv", "file#raw/b.csv"}),
        ("FAILED", None, {"file#raw/a.csv", "file#raw/b.csv"}),
    ],
)
def test_a_request_to_forget_ends_when_a_later_version_is_ingested(
    dynamodb: "DynamoDBClient", status: str, reason: str | None, left: set[str]
) -> None:
    put_plan()
    objects = [planned("raw/a.csv") | {"replaces": True}]
    put("plans/abc/plan.json", {"objects": objects, "overtaken": ["raw/a.csv"]})
    put_report(file("raw/a.csv", reason=reason))
    put_items(dynamodb, ("FORGET", "file#raw/a.csv"), ("FORGET", "file#raw/b.csv"))
    record(status)
    items = dynamodb.scan(TableName=TABLE)["Items"]
    assert {item["sk"]["S"] for item in items if item["pk"]["S"] == "FORGET"} == left


@pytest.mark.usefixtures("sagemaker")
def test_a_refused_version_keeps_the_records_of_the_one_before(dynamodb: "DynamoDBClient") -> None:
    put_plan()
    put("plans/abc/plan.json", {"objects": [planned("raw/a.csv") | {"replaces": True}, planned("raw/b.csv")]})
    put_report(file("raw/a.csv", reason="no rows"), file("raw/b.csv", reason="no rows"))
    record("FAILED")
    held = {key: item["holdsRecords"]["BOOL"] for key, item in ledger(dynamodb).items()}
    assert held == {"raw/a.csv": True, "raw/b.csv": False}


@pytest.mark.usefixtures("sagemaker")
@pytest.mark.parametrize("verdict", ["QUARANTINED", "UNREADABLE"])
def test_a_refused_version_keeps_the_records_of_an_earlier_run_that_failed(
    dynamodb: "DynamoDBClient", verdict: str
) -> None:
    put_plan()
    objects = [planned("raw/a.csv"), planned("raw/b.csv")]
    put("plans/abc/plan.json", {"objects": objects, "held": ["raw/a.csv"]})
    put_report(unread("raw/a.csv", verdict, "no"), unread("raw/b.csv", verdict, "no"))
    record("FAILED")
    held = {key: item["holdsRecords"]["BOOL"] for key, item in ledger(dynamodb).items()}
    assert held == {"raw/a.csv": True, "raw/b.csv": False}


@pytest.mark.parametrize(("attempts", "held"), [(1, False), (2, True)])
def test_records_of_an_earlier_attempt_of_the_step_are_remembered(
    dynamodb: "DynamoDBClient", sagemaker: SageMaker, attempts: int, held: bool
) -> None:
    sagemaker.steps[1]["AttemptCount"] = attempts
    put_plan("raw/gone.csv", "raw/kms.csv")
    put_report(unread("raw/gone.csv", "VANISHED", "gone"), unread("raw/kms.csv", "UNREADABLE", "kms:Decrypt"))
    put_items(dynamodb, ("ATTEMPT", "raw/gone.csv"), ("ATTEMPT", "raw/kms.csv"))
    record("DEPLOYED")
    items = ledger(dynamodb)
    assert items["raw/kms.csv"]["holdsRecords"] == {"BOOL": held}
    assert ("raw/gone.csv" in items) is held


@pytest.mark.usefixtures("sagemaker", "dynamodb")
def test_files_that_are_gone_are_in_the_summary() -> None:
    put_plan()
    event = {"planUri": PLAN, "outcome": {"status": "DEPLOYED"}, "execution": "one", "goneNote": "1 is gone."}
    assert app.lambda_handler(event, CONTEXT)["summary"] == "No new file was ingested. 1 is gone."


@pytest.mark.usefixtures("sagemaker")
def test_more_objects_than_a_batch_takes(dynamodb: "DynamoDBClient") -> None:
    keys = [f"raw/{number}.csv" for number in range(60)]
    put_plan(*keys)
    put_report(*map(file, keys))
    assert record("DEPLOYED")["files"] == 60
    assert ledger(dynamodb).keys() == set(keys)


def test_no_batch_is_larger_than_dynamodb_takes() -> None:
    client = boto3.client("dynamodb")
    keys = [str(number) for number in range(60)]
    with Stubber(client) as stub:
        for batch in (keys[:25], keys[25:50], keys[50:]):
            stub.add_response(
                "batch_write_item", {"UnprocessedItems": {}}, {"RequestItems": {TABLE: request(*batch)}}
            )
        batches.write(client, TABLE, [{"sk": {"S": key}} for key in keys])
        stub.assert_no_pending_responses()


def request(*keys: str) -> list[Any]:
    return [{"PutRequest": {"Item": {"sk": {"S": key}}}} for key in keys]


class Pauses:
    """A clock that only notes how long it was to sleep."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


def test_unprocessed_items_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = Pauses()
    monkeypatch.setattr(batches, "time", pauses)
    client = boto3.client("dynamodb")
    items = [{"sk": {"S": key}} for key in ("a", "b", "c")]
    with Stubber(client) as stub:
        left = [{TABLE: request("b", "c")}, {TABLE: request("c")}, {}]
        sent = [request("a", "b", "c"), request("b", "c"), request("c")]
        for unprocessed, batch in zip(left, sent, strict=True):
            stub.add_response(
                "batch_write_item", {"UnprocessedItems": unprocessed}, {"RequestItems": {TABLE: batch}}
            )
        batches.write(client, TABLE, items)
        stub.assert_no_pending_responses()
    assert pauses.seconds == [0.1, 0.2]


def test_items_that_stay_unprocessed_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "time", Pauses())
    client = boto3.client("dynamodb")
    with Stubber(client) as stub:
        for _ in range(batches.WRITE_ATTEMPTS):
            stub.add_response(
                "batch_write_item", {"UnprocessedItems": {TABLE: request("a")}}, {"RequestItems": ANY}
            )
        with pytest.raises(batches.LedgerWriteError, match="left 1 items of table ledger unwritten"):
            batches.write(client, TABLE, [{"sk": {"S": "a"}}])


def unread(key: str, verdict: str, reason: str) -> dict[str, Any]:
    """A file that the job could not read, as it reports it."""
    return file(key, rows=0, reason=reason) | {"verdict": verdict}


@pytest.mark.usefixtures("sagemaker")
@pytest.mark.parametrize("status", ["DEPLOYED", "FAILED"])
def test_an_unreadable_file_is_listed_with_its_reason_and_a_vanished_one_is_not(
    dynamodb: "DynamoDBClient", status: str
) -> None:
    put_plan("raw/a.csv", "raw/gone.csv", "raw/kms.csv")
    put_report(
        file("raw/a.csv"),
        unread("raw/gone.csv", "VANISHED", "deleted after the run was planned"),
        unread("raw/kms.csv", "UNREADABLE", "the job may not read it: kms:Decrypt"),
    )
    answer = record(status)
    kept = {"raw/a.csv": "INGESTED"} if status == "DEPLOYED" else {}
    assert statuses(dynamodb) == {"raw/kms.csv": "UNREADABLE", **kept}
    assert ledger(dynamodb)["raw/kms.csv"]["reason"]["S"] == "the job may not read it: kms:Decrypt"
    assert answer["summary"] == (
        "Of 3 new files, 10 rows were ingested. Gone or archived before they were read: 1 file, "
        "raw/gone.csv first. "
        "Unreadable: raw/kms.csv: the job may not read it: kms:Decrypt."
    )


@pytest.mark.usefixtures("sagemaker")
@pytest.mark.parametrize("status", ["DEPLOYED", "FAILED", "SET_ASIDE"])
def test_what_the_plan_set_aside_is_listed_whatever_the_outcome(
    dynamodb: "DynamoDBClient", status: str
) -> None:
    put_plan()
    aside = [{"key": f"raw/{i}//a.csv", "etag": "e", "size": 7, "reason": "an empty part"} for i in range(7)]
    waiting = [{"key": "raw/later.csv", "etag": "e"}]
    put("plans/abc/plan.json", {"objects": [], "setAside": aside, "waiting": waiting})
    answer = record(status, pipeline=None)
    item = ledger(dynamodb)["raw/3//a.csv"]
    assert item.pop("updatedAt")["S"].endswith("+00:00")
    assert item == {
        "pk": {"S": "OBJECT"},
        "sk": {"S": "raw/3//a.csv"},
        "etag": {"S": "e"},
        "size": {"N": "7"},
        "status": {"S": "SET_ASIDE"},
        "reason": {"S": "an empty part"},
        "holdsRecords": {"BOOL": False},
        "execution": {"S": "one"},
    }
    assert len(ledger(dynamodb)) == 7
    assert answer["setAside"] == [{"key": f"raw/{i}//a.csv", "reason": "an empty part"} for i in range(5)]
    assert answer["summary"].endswith(
        "raw/4//a.csv: an empty part; and 2 more. Too much for one run: 1 file waits for the next one."
    )


@pytest.mark.usefixtures("sagemaker")
@pytest.mark.parametrize(("held", "left"), [([], set()), (["raw/gone.csv"], {"raw/gone.csv"})])
def test_the_attempt_of_a_version_that_vanished_stays_only_if_its_key_may_have_records(
    dynamodb: "DynamoDBClient", held: list[str], left: set[str]
) -> None:
    put_plan("raw/gone.csv")
    put("plans/abc/plan.json", {"objects": [planned("raw/gone.csv")], "held": held})
    put_report(unread("raw/gone.csv", "VANISHED", "deleted after the run was planned"))
    attempt = {"pk": {"S": "ATTEMPT"}, "sk": {"S": "raw/gone.csv"}, "etag": {"S": "e"}}
    dynamodb.put_item(TableName=TABLE, Item=attempt)
    record("DEPLOYED")
    assert {item["sk"]["S"] for item in dynamodb.scan(TableName=TABLE)["Items"]} == left
