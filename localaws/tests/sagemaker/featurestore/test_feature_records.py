"""Records of feature groups over HTTP: which record wins, and which are rejected with which error."""

import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from localaws.sagemaker.api.authorization import required_permissions
from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.shapes import operation_model, parse_request, violations
from localaws.sagemaker.featurestore.event_times import microseconds, partition, stamp
from localaws.sagemaker.featurestore.feature_records import RUNTIME_SERVICE
from localaws.sagemaker.featurestore.record_store import RecordStore, Write
from localaws.sagemaker.featurestore.schema import Record
from localaws.testing import ACCOUNT, REGION, Laptop, allow
from localaws_tests import features
from localaws_tests.features import T1, T2, T3, features_of, values

ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:feature-group/"


@pytest.fixture(scope="module")
def runtime(laptop: Laptop) -> Any:
    """A client that does not validate requests against the service model."""
    return laptop.client("sagemaker-featurestore-runtime", config=Config(parameter_validation=False))


@pytest.fixture
def group(laptop: Laptop) -> str:
    """A group with an online store only."""
    name: str = features.created(laptop)["FeatureGroupName"]
    return name


def record(identifier: str, event_time: str, **others: str) -> list[dict[str, str]]:
    return values(record_id=identifier, event_time=event_time, **others)


def read(runtime: Any, group: str, identifier: str, **members: Any) -> dict[str, str] | None:
    answer = runtime.get_record(FeatureGroupName=group, RecordIdentifierValueAsString=identifier, **members)
    return features_of(answer["Record"]) if "Record" in answer else None


@pytest.mark.parametrize("order", [(T1, T3, T2), (T3, T2, T1), (T1, T2, T3)])
def test_the_latest_event_time_wins_in_any_order(runtime: Any, group: str, order: tuple[str, ...]) -> None:
    for moment in order:
        runtime.put_record(FeatureGroupName=group, Record=record("a", moment, text=moment))
    assert read(runtime, group, "a") == {"record_id": "a", "event_time": T3, "text": T3}


def test_a_later_record_replaces_all_features_and_an_equal_event_time_does_not(
    runtime: Any, group: str
) -> None:
    runtime.put_record(FeatureGroupName=group, Record=record("a", T1, text="first"))
    runtime.put_record(FeatureGroupName=group, Record=record("a", T1, text="second"))
    assert read(runtime, group, "a") == {"record_id": "a", "event_time": T1, "text": "first"}
    runtime.put_record(FeatureGroupName=group, Record=record("a", T2, label="pos"))
    assert read(runtime, group, "a") == {"record_id": "a", "event_time": T2, "label": "pos"}


def test_features_are_selected_by_name_and_groups_by_arn(runtime: Any, group: str) -> None:
    runtime.put_record(FeatureGroupName=ARN + group, Record=record("a b/c?", T1, text="x", label="pos"))
    assert read(runtime, ARN + group, "a b/c?", FeatureNames=["label", "text"]) == {
        "label": "pos",
        "text": "x",
    }
    assert read(runtime, group, "nobody") is None
    with pytest.raises(runtime.exceptions.ValidationError, match="no feature nothing"):
        read(runtime, group, "a b/c?", FeatureNames=["nothing"])


@pytest.mark.parametrize("mode", [{}, {"DeletionMode": "SoftDelete"}])
def test_a_soft_delete_keeps_its_event_time(runtime: Any, group: str, mode: dict[str, str]) -> None:
    about = {"FeatureGroupName": group, "RecordIdentifierValueAsString": "a", **mode}
    runtime.put_record(FeatureGroupName=group, Record=record("a", T2))
    runtime.delete_record(EventTime=T1, **about)  # older than the record
    assert read(runtime, group, "a") is not None
    runtime.delete_record(EventTime=T3, **about)
    assert read(runtime, group, "a") is None
    runtime.put_record(FeatureGroupName=group, Record=record("a", T2))  # older than the deletion
    assert read(runtime, group, "a") is None
    assert runtime.list_records(FeatureGroupName=group)["RecordIdentifiers"] == []
    everything = runtime.list_records(FeatureGroupName=group, IncludeSoftDeletedRecords=True)
    assert everything["RecordIdentifiers"] == ["a"]


def test_a_hard_delete_removes_the_event_time(runtime: Any, group: str) -> None:
    about = {"FeatureGroupName": group, "RecordIdentifierValueAsString": "a", "DeletionMode": "HardDelete"}
    runtime.put_record(FeatureGroupName=group, Record=record("a", T2))
    with pytest.raises(ClientError, match="EventTime") as rejected:
        runtime.delete_record(EventTime=T2, **about)
    assert rejected.value.response["Error"]["Code"] == "ValidationException"
    assert read(runtime, group, "a") is not None
    runtime.delete_record(EventTime=T3, **about)
    runtime.put_record(FeatureGroupName=group, Record=record("a", T1))
    assert read(runtime, group, "a") == {"record_id": "a", "event_time": T1}


def test_a_batch_returns_one_error_per_invalid_entry(laptop: Laptop, runtime: Any, group: str) -> None:
    other = features.created(laptop)["FeatureGroupName"]
    entries = [
        {"FeatureGroupName": group, "Record": record("a", T1)},
        {"FeatureGroupName": group, "Record": record("b", "yesterday")},
        {"FeatureGroupName": "nobody", "Record": record("c", T1)},
        {"FeatureGroupName": other, "Record": record("d", T1)},
        {"FeatureGroupName": group, "Record": record("e", T1), "TargetStores": ["OfflineStore"]},
    ]
    answer = runtime.batch_write_record(Entries=entries)
    assert answer["UnprocessedEntries"] == []
    assert [error["Entry"] for error in answer["Errors"]] == [entries[1], entries[2], entries[4]]
    assert [error["ErrorCode"] for error in answer["Errors"]] == [
        "ValidationError",
        "ResourceNotFound",
        "ValidationError",
    ]
    assert "yyyy-MM-dd'T'HH:mm:ss.SSSZ" in answer["Errors"][0]["ErrorMessage"]
    assert read(runtime, group, "a") is not None
    assert read(runtime, other, "d") is not None

    identifiers = [
        {
            "FeatureGroupName": group,
            "RecordIdentifiersValueAsString": ["a", "b"],
            "FeatureNames": ["event_time"],
        },
        {"FeatureGroupName": "nobody", "RecordIdentifiersValueAsString": ["c"]},
    ]
    found = runtime.batch_get_record(Identifiers=identifiers)
    assert [(item["FeatureGroupName"], features_of(item["Record"])) for item in found["Records"]] == [
        (group, {"event_time": T1})
    ]
    assert found["Errors"][0]["ErrorCode"] == "ResourceNotFound"
    assert found["UnprocessedIdentifiers"] == []


def test_a_value_that_the_service_model_refuses_refuses_the_whole_batch(runtime: Any, group: str) -> None:
    texts = ("good", "b" * 358_401)
    entries = [{"FeatureGroupName": group, "Record": record(text[0], T1, text=text)} for text in texts]
    with pytest.raises(ClientError, match=r"entries\.2\.member\.record") as rejected:
        runtime.batch_write_record(Entries=entries)
    assert rejected.value.response["Error"]["Code"] == "ValidationException"
    assert runtime.list_records(FeatureGroupName=group)["RecordIdentifiers"] == []


def test_a_batch_has_25_entries_at_most(laptop: Laptop, runtime: Any, group: str) -> None:
    entries = [{"FeatureGroupName": group, "Record": record(str(number), T1)} for number in range(26)]
    assert runtime.batch_write_record(Entries=entries[:25])["Errors"] == []
    with pytest.raises(ClientError, match=r"at 'entries' .* length less than or equal to 25") as rejected:
        runtime.batch_write_record(Entries=entries)
    assert rejected.value.response["Error"]["Code"] == "ValidationException"
    first = runtime.list_records(FeatureGroupName=group, MaxResults=20)
    second = runtime.list_records(FeatureGroupName=group, NextToken=first["NextToken"])
    assert first["RecordIdentifiers"] + second["RecordIdentifiers"] == [str(number) for number in range(25)]
    assert "NextToken" not in second


# As in SageMaker: a violation of the service model is a ValidationException, a violation of the group's
# schema a ValidationError.
INVALID: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "a line break": (
        record("a", T1, text="one\ntwo"),
        "ValidationException",
        r"'record.3.member.valueAsString' failed to satisfy constraint: .* pattern: \.\*",
    ),
    "no record": ([], "ValidationException", "at 'record' failed"),
    "no identifier": (values(event_time=T1), "ValidationError", "no value for the feature record_id"),
    "no event time": (values(record_id="a"), "ValidationError", "no value for the feature event_time"),
    "a duplicate feature": (record("a", T1) + record("a", T1), "ValidationError", "more than once"),
    "an unknown feature": (record("a", T1, stars="5"), "ValidationError", "no feature stars"),
    "a list": (
        [*record("a", T1), {"FeatureName": "text", "ValueAsStringList": ["a"]}],
        "ValidationError",
        "text is not a collection",
    ),
    "no value": ([*record("a", T1), {"FeatureName": "text"}], "ValidationError", "needs ValueAsString"),
    "a time without a time zone": (
        record("a", "2026-11-23T03:07:15"),
        "ValidationError",
        "'2026-11-23T03:07:15'",
    ),
    "an impossible date": (record("a", "2026-02-30T03:07:15Z"), "ValidationError", "event_time must be"),
    "a long identifier": (record("a" * 2049, T1), "ValidationError", "record_id is longer than 2048 bytes"),
    "a large record": (
        record("a" * 2048, T1, text="b" * 357_000),
        "ValidationError",
        "The record is larger than 358400 bytes",
    ),
    "an unpaired surrogate": (record("a", T1, text="\ud800"), "ValidationError", "not valid Unicode"),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_record_is_rejected_with_sagemaker_s_error(runtime: Any, group: str, case: str) -> None:
    invalid, code, message = INVALID[case]
    with pytest.raises(ClientError, match=f"(?s){message}") as rejected:
        runtime.put_record(FeatureGroupName=group, Record=invalid)
    assert rejected.value.response["Error"]["Code"] == code
    assert runtime.list_records(FeatureGroupName=group)["RecordIdentifiers"] == []


def test_numbers_keep_their_types(laptop: Laptop, runtime: Any) -> None:
    types = {"id": "Integral", "at": "Fractional", "score": "Fractional"}
    name = features.created(
        laptop,
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=features.definitions(**types),
    )["FeatureGroupName"]
    for invalid in (
        {"id": "1.0", "at": "1"},
        {"id": "9223372036854775808", "at": "1"},
        {"id": "1", "at": T1},
        {"id": "1", "at": "1e300"},
        {"id": "1", "at": "1", "score": "1_000"},
        {"id": "1", "at": "1", "score": "1e999"},
        {"id": "", "at": "1"},
    ):
        with pytest.raises(runtime.exceptions.ValidationError):
            runtime.put_record(FeatureGroupName=name, Record=values(**invalid))
    runtime.put_record(FeatureGroupName=name, Record=values(id="-7", at="1795403235.25", score="2.5e-3"))
    runtime.put_record(FeatureGroupName=name, Record=values(id="-7", at="1795403235.5", score="+3"))
    assert read(runtime, name, "-7") == {"id": "-7", "at": "1795403235.5", "score": "+3"}


def test_each_operation_reports_a_missing_group_or_store_with_its_own_error(runtime: Any, group: str) -> None:
    with pytest.raises(runtime.exceptions.ResourceNotFound) as missing:
        read(runtime, "nobody", "a")
    assert missing.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    with pytest.raises(
        runtime.exceptions.ValidationError, match="can't find a FeatureGroup with name nobody"
    ):
        runtime.put_record(FeatureGroupName="nobody", Record=record("a", T1))
    with pytest.raises(runtime.exceptions.ValidationError, match="has no OfflineStore"):
        runtime.put_record(FeatureGroupName=group, Record=record("a", T1), TargetStores=["OfflineStore"])
    with pytest.raises(runtime.exceptions.ValidationError, match="Standard_V2 or InMemory"):
        runtime.update_record(
            FeatureGroupName=group, RecordIdentifierValueAsString="a", Features=values(text="x")
        )
    ttl = {"Unit": "Days", "Value": 1}
    with pytest.raises(ClientError, match="TtlDuration is not supported locally"):
        runtime.put_record(FeatureGroupName=group, Record=record("a", T1), TtlDuration=ttl)


def test_records_need_permission_on_their_group(laptop: Laptop, runtime: Any, group: str) -> None:
    other = features.created(laptop)["FeatureGroupName"]
    role = laptop.role(f"records-{group}", principal="sagemaker.amazonaws.com")
    laptop.allow(role, allow("sagemaker:PutRecord", "sagemaker:BatchWriteRecord", resource=ARN + group))
    credentials = laptop.assume_role(role)
    assert credentials is not None
    limited = laptop.client(
        "sagemaker-featurestore-runtime",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    limited.put_record(FeatureGroupName=group, Record=record("a", T1))
    entries = [{"FeatureGroupName": name, "Record": record("b", T1)} for name in (group, other)]
    assert limited.batch_write_record(Entries=entries[:1])["Errors"] == []
    message = f"not authorized to perform: sagemaker:BatchWriteRecord on resource: {ARN}{other}"
    with pytest.raises(ClientError, match=message) as rejected:
        limited.batch_write_record(Entries=entries)
    assert rejected.value.response["Error"]["Code"] == "AccessDeniedException"
    with pytest.raises(ClientError, match="sagemaker:GetRecord"):
        read(limited, group, "a")
    laptop.allow(role, allow("sagemaker:BatchWriteRecord", resource=ARN + group))
    with pytest.raises(ClientError, match="sagemaker:PutRecord"):
        limited.batch_write_record(Entries=entries[:1])
    assert read(runtime, other, "b") is None


def test_a_batch_needs_the_permission_on_each_of_its_groups() -> None:
    request = {"Identifiers": [{"FeatureGroupName": name} for name in ("B", "a", ARN + "b")]}
    found = required_permissions("BatchGetRecord", request, ARN.removesuffix("feature-group/"))
    assert [(need.action, need.resource) for need in found] == [
        ("sagemaker:BatchGetRecord", ARN + "a"),
        ("sagemaker:BatchGetRecord", ARN + "b"),
    ]


def test_event_times_are_converted_to_utc() -> None:
    moment = microseconds("2026-11-23T03:07:15.001Z", "String")
    assert moment == 1795403235001000 == microseconds("1795403235.001", "Fractional")
    assert stamp(moment) == "20261123T030715Z"
    assert partition(moment) == "year=2026/month=11/day=23/hour=03"


def content(identifier: str, event_time: int, number: int) -> str:
    return json.dumps({"id": identifier, "at": str(event_time), "n": str(number)})


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.booleans(), st.booleans(), st.booleans()),
            max_size=5,
        ),
        max_size=12,
    )
)
def test_the_stores_keep_their_invariants_for_any_writes(
    batches: list[list[tuple[str, int, bool, bool, bool]]],
) -> None:
    newest: dict[str, tuple[int, str | None]] = {}
    appended: list[tuple[int, bool, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        store = RecordStore(Path(folder) / "records.db")
        for number, batch in enumerate(batches):
            writes = []
            for identifier, moment, online, offline, deleted in batch:
                text = content(identifier, moment, number)
                writes.append(Write(1, Record(identifier, moment, text), online, offline, deleted))
                if online and moment > newest.get(identifier, (-1, None))[0]:
                    newest[identifier] = (moment, None if deleted else text)
                if offline:
                    appended.append((moment, deleted, text))
            store.write(writes, number)
        assert {name: store.get(1, name) for name in "abc"} == {
            name: newest.get(name, (0, None))[1] for name in "abc"
        }
        due = list(store.due(1, len(batches), 1000))
        assert [(row.event_time, row.deleted, row.content) for row in due] == appended
        if due:
            store.forget(1, due[-1].sequence, len(batches), 0, 3)
            left = [row.event_time for row in store.due(1, len(batches), 1000)]
            assert left == [moment for moment, _, _ in appended if moment >= 3]
        store.close()


def test_a_later_request_that_is_logged_first_stays_pending(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "records.db")
    for name, invoked in (("later request", 20), ("earlier request", 10)):
        store.write([Write(1, Record(name, 1, content(name, 1, 0)), True, True)], invoked)
    [due] = store.due(1, 15, 1000)
    store.forget(1, due.sequence, 15, 0, 2)
    assert [row.invoked for row in store.due(1, 20, 1000)] == [20]
    store.close()


def test_a_request_that_is_logged_between_two_files_of_a_flush_stays_pending(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "records.db")
    first, second, late = (
        [Write(1, Record(name, hour, content(name, hour, 0)), True, True)]
        for name, hour in (("first", 0), ("second", 1), ("late", 0))
    )
    store.write([*first, *second], 10)
    last = [row.sequence for row in store.due(1, 10, 1000)][-1]
    store.forget(1, last, 10, 1, 2)
    store.write(late, 10)  # received before the flush, but logged during it
    store.forget(1, last, 10, 0, 1)
    assert [row.content for row in store.due(1, 10, 1000)] == [late[0].record.content]
    store.close()


def test_a_full_disk_raises_an_error_and_later_writes_succeed(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "records.db")
    connection = store._connection
    [[pages]] = connection.execute("PRAGMA page_count").fetchall()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    large = Record("a", 1, "x" * 100_000)
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="full"):
            store.write([Write(1, large, True, True)], 10)
    connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
    store.write([Write(1, large, True, True)], 10)
    assert store.get(1, "a") == large.content
    store.close()


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["FeatureGroupName", "Record", "TargetStores", "TtlDuration", "Nothing"]),
        st.one_of(
            st.none(),
            st.text(max_size=3),
            st.just("group"),
            st.lists(st.sampled_from(["OnlineStore", "Nowhere"]), max_size=3),
            st.lists(
                st.dictionaries(
                    st.sampled_from(["FeatureName", "ValueAsString", "ValueAsStringList"]),
                    st.one_of(st.none(), st.integers(), st.sampled_from(["a", "a\nb", "-"]), st.just(["x"])),
                ),
                max_size=3,
            ),
            st.fixed_dictionaries({"Unit": st.sampled_from(["Days", "Years"]), "Value": st.integers(0, 2)}),
        ),
    )
)
def test_the_fast_validation_agrees_with_the_complete_one(members: dict[str, Any]) -> None:
    shape = operation_model("PutRecord", RUNTIME_SERVICE).input_shape
    assert shape is not None
    expected = violations(members, shape)
    if not expected:
        assert None not in parse_request("PutRecord", members, RUNTIME_SERVICE).values()
        return
    with pytest.raises(ValidationException) as rejected:
        parse_request("PutRecord", members, RUNTIME_SERVICE)
    assert all(violation in str(rejected.value) for violation in expected)
