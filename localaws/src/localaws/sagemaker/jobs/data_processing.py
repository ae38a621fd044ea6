"""Batch transform's DataProcessing: InputFilter, JoinSource and OutputFilter."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localaws.sagemaker.api.errors import AlgorithmFailure, ClientFailure, ValidationException
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.jobs.jsonpath import JsonPath

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"


@dataclass(frozen=True)
class DataProcessing:
    """The filters and the join of a transform job.

    Attributes:
        input_filter: selects the part of a record that is sent to the model.
        output_filter: selects the part of the (joined) prediction that is written.
        join: whether a record is joined with its prediction.
        content_type: media type of the input.
        accept: media type of the predictions.
        single: whether a request contains one record; a JSON response can then span several lines.
    """

    input_filter: JsonPath
    output_filter: JsonPath
    join: bool
    content_type: str
    accept: str
    single: bool

    @classmethod
    def of(cls, request: Document, single: bool) -> "DataProcessing":
        """Return the DataProcessing of a CreateTransformJob request.

        Raises:
            ValidationException: a filter is malformed, or the formats do not support filters or joins.
        """
        processing = request.get("DataProcessing", {})
        content_type = _media_type(request["TransformInput"].get("ContentType", ""))
        data_processing = cls(
            JsonPath.compile(processing.get("InputFilter", "$")),
            JsonPath.compile(processing.get("OutputFilter", "$")),
            processing.get("JoinSource") == "Input",
            content_type,
            _media_type(request["TransformOutput"].get("Accept", "")) or content_type,
            single,
        )
        if not data_processing.is_identity:
            _check_formats(data_processing)
        return data_processing

    @property
    def is_identity(self) -> bool:
        """Whether nothing is filtered or joined."""
        return self.input_filter.is_whole and not self._changes_output

    @property
    def _changes_output(self) -> bool:
        return self.join or not self.output_filter.is_whole

    def records(self, content: Sequence[bytes]) -> list[bytes]:
        """Return the records of an object that is sent whole: its lines, if they are filtered or joined."""
        if self.is_identity or self.content_type == JSON:
            return list(content)
        return [line for part in content for line in part.splitlines() if line]

    def filter_input(self, records: Sequence[bytes]) -> list[bytes]:
        """Apply InputFilter to the records.

        Raises:
            ClientFailure: a record cannot be parsed, or lacks what the filter selects.
        """
        if self.input_filter.is_whole:
            return list(records)
        return [
            _serialize(self.input_filter.select(_parse(record, self.content_type)), self.content_type)
            for record in records
        ]

    def output_of(self, records: Sequence[bytes], response: bytes) -> bytes:
        """Return the output for a batch: join the records and the model's response, then apply OutputFilter.

        Raises:
            ClientFailure: a prediction lacks what the filter selects.
            AlgorithmFailure: the response cannot be parsed, or has not one prediction per record.
        """
        if not self._changes_output:
            return response
        predictions = self._parse_response(response)
        if self.join:
            if len(predictions) != len(records):
                raise AlgorithmFailure(
                    f"The model returned {len(predictions)} predictions for {len(records)} records; "
                    "JoinSource needs one prediction per record"
                )
            pairs = zip(records, predictions, strict=True)
            predictions = [
                _join(_parse(record, self.content_type), one, self.accept) for record, one in pairs
            ]
        return b"\n".join(_serialize(self.output_filter.select(one), self.accept) for one in predictions)

    def _parse_response(self, response: bytes) -> list[Any]:
        try:
            if self.accept == JSON and self.single:  # can span several lines
                return [json.loads(response)]
            return [_parse(line, self.accept) for line in response.splitlines() if line]
        except (ClientFailure, ValueError) as error:
            raise AlgorithmFailure(
                f"Failed to parse output from the algorithm as {self.accept}: {error}"
            ) from error


def _media_type(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def _check_formats(data_processing: DataProcessing) -> None:
    formats = (data_processing.content_type, data_processing.accept)
    if not set(formats) <= {CSV, JSON, JSON_LINES}:
        raise ValidationException(
            f"DataProcessing supports ContentType and Accept of {CSV}, {JSON} or {JSON_LINES}, "
            f"not {formats[0]!r} and {formats[1]!r}"
        )
    if data_processing.join and (CSV in formats) and len(set(formats)) > 1:
        raise ValidationException(f"JoinSource Input cannot join {formats[0]} with {formats[1]}")


def _parse(record: bytes, media_type: str) -> Any:
    try:
        text = record.decode("utf-8")
        if media_type == CSV:
            return next(csv.reader([text], strict=True))
        return json.loads(text)
    except (ValueError, csv.Error) as error:
        raise ClientFailure(f"A record cannot be parsed as {media_type}: {error}") from error


def _serialize(value: Any, media_type: str) -> bytes:
    if media_type != CSV:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return row.getvalue().encode()


def _join(record: Any, prediction: Any, media_type: str) -> Any:
    if media_type == CSV:
        return record + prediction
    if isinstance(record, dict):
        return record | {"SageMakerOutput": prediction}
    return {"SageMakerInput": record, "SageMakerOutput": prediction}
