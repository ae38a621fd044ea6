from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from plan_run.admission import ARCHIVES, Admission, admit
from plan_run.forgetting import Requests
from plan_run.ledger import Entry, Ledger
from plan_run.raw_objects import RawObject, list_objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "data"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOBODY: Any = None  # an S3 client that must not be used
MOST = 1000


def raw(name: str, size: int = 10, **more: Any) -> RawObject:
    return RawObject(f"raw/{name}", f"etag of {name}", size, NOW, **more)


def admitted(*objects: RawObject, ledger: Ledger | None = None, s3: Any = NOBODY) -> Admission:
    return admit(s3, BUCKET, objects, ledger or ledger_of(), MOST)


def ledger_of(item: RawObject | None = None, status: str = "") -> Ledger:
    """A ledger with the status of one version, or an empty one."""
    entries = {item.key: Entry(item.etag, status, NOW, holds_records=False)} if item else {}
    return Ledger(entries, {}, Requests({}, {}))


def names(admission: Admission) -> list[str]:
    return [item.name for item in admission.usable]


def reasons(admission: Admission) -> dict[str, str]:
    return {item.name: reason for item, reason in admission.set_aside}


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("folder/", 0),
        ("folder_$folder$", 0),
        ("2026/01/_SUCCESS", 0),
        ("_committed_123", 30),
        ("out/_temporary/0/part-0.csv", 30),
        ("_metadata", 300),
        ("_common_metadata", 300),
        (".DS_Store", 6148),
        (".ipynb_checkpoints/reviews.csv", 30),
        ("a/.part-0.csv.crc", 12),
        ("part-0.csv.crc", 12),
        ("done", 0),
        ("2026-01-01.done", 0),
        ("upload.READY", 0),
    ],
)
def test_what_is_no_data_is_ignored(name: str, size: int) -> None:
    admission = admitted(raw(name, size), raw("good.csv"))
    assert (names(admission), reasons(admission), admission.ignored) == (["good.csv"], {}, 1)


@pytest.mark.parametrize(
    ("name", "size"),
    [("empty.csv", 0), ("a_b.csv", 10), ("a.b/c_d", 10), ("done", 10), ("label=_x/a.csv", 10)],
)
def test_what_may_be_data_goes_on(name: str, size: int) -> None:
    assert names(admitted(raw(name, size))) == [name]


LONG = "評" * 90


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a//b.csv", "the name has an empty part"),
        ("/b.csv", "the name has an empty part"),
        ("with content/", "the name has an empty part"),
        ("../b.csv", "the name has the part '..'"),
        ("a/./b.csv", "the name has the part '.'"),
        (f"{LONG}.csv", "the name has a part of more than 255 bytes"),
        ("/".join([LONG[:80]] * 4), "the name has more than 800 bytes"),
    ],
)
def test_a_name_that_no_job_can_take_is_set_aside(name: str, reason: str) -> None:
    admission = admitted(raw(name), raw("good.csv"))
    assert names(admission) == ["good.csv"]
    assert reasons(admission) == {name: f"{reason}; copy it to another name"}


def test_of_a_file_and_a_folder_of_one_name_the_file_is_set_aside() -> None:
    admission = admitted(raw("a"), raw("a/b"), raw("a/b/c.csv"), raw("a/d.csv"), raw("ab.csv"))
    assert names(admission) == ["a/b/c.csv", "a/d.csv", "ab.csv"]
    assert reasons(admission) == dict.fromkeys(
        ["a", "a/b"], "a folder has the same name; copy it to another name"
    )


def test_a_folder_that_gives_nothing_is_no_reason() -> None:
    assert names(admitted(raw("a"), raw("a/b//c.csv"), raw("a/large.csv", MOST + 1))) == ["a"]
    refused = raw("a/b.csv")
    for status, usable in (("QUARANTINED", ["a"]), ("UNREADABLE", ["a"]), ("INGESTED", [])):
        admission = admitted(raw("a"), refused, ledger=ledger_of(refused, status))
        assert [name for name in names(admission) if name != refused.name] == usable


def test_an_archived_folder_is_no_reason(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="raw/a", Body=b"data")
    s3.put_object(Bucket=BUCKET, Key="raw/a/b.csv", Body=b"data", StorageClass="DEEP_ARCHIVE")
    admission = admitted(*list_objects(s3, BUCKET), s3=s3)
    assert (names(admission), list(reasons(admission))) == (["a"], ["a/b.csv"])


def test_a_folder_without_data_is_no_reason() -> None:
    assert names(admitted(raw("a"), raw("a/", 0), raw("a/_SUCCESS", 0))) == ["a"]


def test_an_object_that_fits_into_no_run_is_set_aside() -> None:
    admission = admitted(raw("a.csv", MOST), raw("b.csv", MOST + 1))
    assert names(admission) == ["a.csv"]
    assert "split the file, or raise the stack's MaxIngestVolumeSizeInGB" in reasons(admission)["b.csv"]


@pytest.mark.parametrize("status", ["INGESTED", "QUARANTINED", "UNREADABLE"])
def test_what_was_processed_is_not_looked_at_again(status: str) -> None:
    item = raw("a//b.csv", MOST + 1, storage_class="GLACIER")
    ledger = ledger_of(item, status)
    assert names(admitted(item, ledger=ledger)) == ["a//b.csv"]
    assert reasons(admitted(item._replace(etag="changed"), ledger=ledger))


def test_what_was_set_aside_is_looked_at_again() -> None:
    item = raw("a.csv", MOST + 1)
    ledger = ledger_of(item, "SET_ASIDE")
    assert reasons(admitted(item, ledger=ledger))
    assert names(admit(NOBODY, BUCKET, [item], ledger, MOST + 1)) == ["a.csv"]


@pytest.fixture
def s3() -> Iterator["S3Client"]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.mark.parametrize("archive", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_set_aside_until_it_is_restored(s3: "S3Client", archive: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="raw/a.csv", Body=b"text", StorageClass=archive)
    s3.put_object(Bucket=BUCKET, Key="raw/b.csv", Body=b"text", StorageClass="GLACIER_IR")
    admission = admitted(*list_objects(s3, BUCKET), s3=s3)
    assert names(admission) == ["b.csv"]
    assert reasons(admission) == {
        "a.csv": f"archived in {archive}; restore it (aws s3api restore-object)",
    }
    s3.restore_object(Bucket=BUCKET, Key="raw/a.csv", RestoreRequest={"Days": 1})
    assert names(admitted(*list_objects(s3, BUCKET), s3=s3)) == ["a.csv", "b.csv"]


class Heads:
    """An S3 client that answers HeadObject."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        answer = self.answers[Key.removeprefix("raw/")]
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)


def test_the_answer_of_s3_says_whether_an_object_is_archived() -> None:
    frequent, cold, warming, unknown, glacier, back = (
        raw(name, storage_class=kind)
        for name, kind in zip(
            ("frequent", "cold", "warming", "unknown", "glacier", "back"),
            [ARCHIVES[2]] * 4 + [ARCHIVES[0]] * 2,
            strict=True,
        )
    )
    s3 = Heads(
        frequent={},
        cold={"ArchiveStatus": "DEEP_ARCHIVE_ACCESS"},
        warming={"ArchiveStatus": "ARCHIVE_ACCESS", "Restore": 'ongoing-request="true"'},
        unknown=ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject"),
        glacier={"Restore": 'ongoing-request="true"'},
        back={"Restore": 'ongoing-request="false", expiry-date="Fri, 21 Dec 2026 00:00:00 GMT"'},
    )
    admission = admitted(frequent, cold, warming, unknown, glacier, back, s3=s3)
    assert names(admission) == ["frequent", "unknown", "back"]
    assert reasons(admission) == {
        "cold": "archived in DEEP_ARCHIVE_ACCESS; restore it (aws s3api restore-object)",
        "warming": "being restored from ARCHIVE_ACCESS; a run after that takes it",
        "glacier": "being restored from GLACIER; a run after that takes it",
    }
