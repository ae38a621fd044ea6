import json
from typing import Any

import pytest

from localaws.sagemaker.api.errors import AlgorithmFailure, ClientFailure, ValidationException
from localaws.sagemaker.jobs.data_processing import DataProcessing


def data_processing(
    content_type: str, accept: str = "", *, single: bool = False, **processing: Any
) -> DataProcessing:
    request: dict[str, Any] = {
        "TransformInput": {"ContentType": content_type},
        "TransformOutput": {"Accept": accept} if accept else {},
        "DataProcessing": processing,
    }
    return DataProcessing.of(request, single)


def test_without_filters_bytes_are_unchanged() -> None:
    identity = data_processing("anything/else")
    assert identity.filter_input([b"\xff", b"x"]) == [b"\xff", b"x"]
    assert identity.output_of([b"\xff"], b"{not parsed") == b"{not parsed"


def test_json_lines_are_filtered_joined_and_filtered() -> None:
    processing = data_processing(
        "application/jsonlines; charset=utf-8",
        InputFilter="$.text",
        JoinSource="Input",
        OutputFilter="$['id','SageMakerOutput']",
    )
    records = [b'{"id":1,"text":"a"}', '{"id":2,"text":"ä"}'.encode()]
    assert processing.filter_input(records) == [b'"a"', '"ä"'.encode()]
    output = processing.output_of(records, b'{"label":"pos"}\n{"label":"neg"}\n').splitlines()
    assert [json.loads(line) for line in output] == [
        {"id": 1, "SageMakerOutput": {"label": "pos"}},
        {"id": 2, "SageMakerOutput": {"label": "neg"}},
    ]


def test_a_record_that_is_not_an_object_is_joined_as_sagemaker_input() -> None:
    processing = data_processing("application/json", single=True, JoinSource="Input")
    assert json.loads(processing.output_of([b"[1,2]"], b'[\n"pos"\n]')) == {
        "SageMakerInput": [1, 2],
        "SageMakerOutput": ["pos"],
    }


def test_csv_rows_are_appended() -> None:
    processing = data_processing("text/csv", InputFilter="$[1:]", JoinSource="Input", OutputFilter="$[0,-1]")
    records = [b'7,"good, really",x', b"8,bad,y"]
    assert processing.filter_input(records) == [b'"good, really",x', b"bad,y"]
    assert processing.output_of(records, b"pos,0.9\nneg,0.8\n") == b"7,0.9\n8,0.8"


def test_predictions_that_do_not_match_the_records_fail() -> None:
    processing = data_processing("application/jsonlines", JoinSource="Input")
    with pytest.raises(AlgorithmFailure, match="1 predictions for 2 records"):
        processing.output_of([b"{}", b"{}"], b"{}")
    with pytest.raises(AlgorithmFailure, match="Failed to parse output from the algorithm"):
        processing.output_of([b"{}"], b"<html>")


def test_a_record_that_cannot_be_parsed_fails() -> None:
    with pytest.raises(ClientFailure, match="cannot be parsed as application/jsonlines"):
        data_processing("application/jsonlines", InputFilter="$.a").filter_input([b"{"])


@pytest.mark.parametrize(
    ("content_type", "accept", "processing"),
    [
        ("image/png", "", {"JoinSource": "Input"}),
        ("", "", {"InputFilter": "$.a"}),
        ("text/csv", "application/json", {"JoinSource": "Input"}),
        ("text/csv", "", {"InputFilter": "nonsense"}),
    ],
)
def test_unsupported_formats_and_filters_are_rejected(
    content_type: str, accept: str, processing: dict[str, Any]
) -> None:
    with pytest.raises(ValidationException):
        data_processing(content_type, accept, **processing)
