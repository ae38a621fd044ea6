import pytest

from localaws.ministack_adapter.unload import Unload, UnloadError, is_unload
from localaws.sagemaker.platform.storage import S3Uri


def test_a_statement_is_parsed() -> None:
    query = "SELECT ')' AS a, (1) AS b\nFROM t WHERE c = 'TO ''s3://x'''"
    statement = f" unload ({query})\nto 's3://bucket/rows' WITH (format = 'parquet', compression='SNAPPY') ;"
    assert is_unload(statement)
    assert Unload.parse(statement) == Unload(query, S3Uri("bucket", "rows/"), "PARQUET", "snappy")


def test_files_are_compressed_by_default() -> None:
    assert Unload.parse("UNLOAD (SELECT 1) TO 's3://b/k/' WITH (format = 'JSON')").codec == "gzip"
    unload = Unload.parse("UNLOAD (SELECT 1) TO 's3://b/k/' WITH (format = 'JSON', compression = 'NONE')")
    assert unload.codec == "none"


@pytest.mark.parametrize("statement", ["SELECT 1", "-- UNLOAD", "UNLOADED"])
def test_other_statements_are_not_unloads(statement: str) -> None:
    assert not is_unload(statement)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UNLOAD SELECT 1 TO 's3://b/k'", "SYNTAX_ERROR: expected UNLOAD (SELECT"),
        ("UNLOAD (SELECT 1) TO 's3://b/k' WITH (format = PARQUET)", "expected name = 'value'"),
        ("UNLOAD (SELECT 1) TO 's3://b/k' WITH (format = 'ORC')", "format 'ORC' is not supported locally"),
        (
            "UNLOAD (SELECT 1) TO 's3://b/k' WITH (format = 'JSON', compression = 'SNAPPY')",
            "the compression 'SNAPPY' of JSON is not supported locally",
        ),
        (
            "UNLOAD (SELECT 1) TO 's3://b/k' WITH (format = 'JSON', field_delimiter = ';')",
            "UNLOAD's field_delimiter is not supported locally",
        ),
    ],
)
def test_an_invalid_statement_is_rejected_with_the_reason(statement: str, reason: str) -> None:
    with pytest.raises(UnloadError) as caught:
        Unload.parse(statement)
    assert reason in str(caught.value)
