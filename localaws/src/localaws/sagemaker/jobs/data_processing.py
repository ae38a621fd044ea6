"""Batch transform's DataProcessing: what of a record the model sees, and what of both is kept."""

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
        input_filter: chooses what of a record is sent.
        output_filter: chooses what of the (joined) answer is kept.
        join: whether a record is kept with its answer.
        content_type: of the input.
        accept: of the answers.
        single: whether a request carries one record, so that its answer may have many lines.
    """

    input_filter: JsonPath
    output_filter: JsonPath
    join: bool
    content_type: str
    accept: str
    single: bool

    @classmethod
    def of(cls, request: Document, single: bool) -> "DataProcessing":
        """What a CreateTransformJob request asks for.

        Raises:
            ValidationException: a filter is malformed, or the formats cannot be filtered and joined.
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
        if not data_processing.idle:
            _check_formats(data_processing)
        return data_processing

    @property
    def idle(self) -> bool:
        """Whether there is nothing to filter and nothing to join."""
        return self.input_filter.is_whole and not self._changes_output

    @property
    def _changes_output(self) -> bool:
        return self.join or not self.output_filter.is_whole

    def records(self, content: Sequence[bytes]) -> list[bytes]:
        """The records of an object that is sent whole: its lines, where they have to be told apart."""
        if self.idle or self.content_type == JSON:
            return list(content)
        return [line for part in content for line in part.splitlines() if line]

    def sent(self, records: Sequence[bytes]) -> list[bytes]:
        """What the model gets to see of the records.

        Raises:
            ClientFailure: a record is not in its format, or has not what the filter chooses.
        """
        if self.input_filter.is_whole:
            return list(records)
        return [
            _written(self.input_filter.select(_read(record, self.content_type)), self.content_type)
            for record in records
        ]

    def kept(self, records: Sequence[bytes], answer: bytes) -> bytes:
        """What goes to the output for the records and the model's answer to them.

        Raises:
            ClientFailure: an answer has not what the filter chooses.
            AlgorithmFailure: the answer is not in its format, or not one for each record.
        """
        if not self._changes_output:
            return answer
        answers = self._answers(answer)
        if self.join:
            if len(answers) != len(records):
                raise AlgorithmFailure(
                    f"The model gave {len(answers)} answers to {len(records)} records: they do not match"
                )
            pairs = zip(records, answers, strict=True)
            answers = [_joined(_read(record, self.content_type), one, self.accept) for record, one in pairs]
        return b"\n".join(_written(self.output_filter.select(one), self.accept) for one in answers)

    def _answers(self, answer: bytes) -> list[Any]:
        try:
            if self.accept == JSON and self.single:  # perhaps over many lines
                return [json.loads(answer)]
            return [_read(line, self.accept) for line in answer.splitlines() if line]
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
            f"DataProcessing needs a ContentType and an Accept of {CSV}, {JSON} or {JSON_LINES}, "
            f"and they are {formats[0]!r} and {formats[1]!r}"
        )
    if data_processing.join and (CSV in formats) and len(set(formats)) > 1:
        raise ValidationException(f"JoinSource Input cannot join {formats[0]} with {formats[1]}")


def _read(record: bytes, media_type: str) -> Any:
    try:
        text = record.decode("utf-8")
        if media_type == CSV:
            return next(csv.reader([text], strict=True))
        return json.loads(text)
    except (ValueError, csv.Error) as error:
        raise ClientFailure(f"A record cannot be read as {media_type}: {error}") from error


def _written(value: Any, media_type: str) -> bytes:
    if media_type != CSV:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return row.getvalue().encode()


def _joined(record: Any, answer: Any, media_type: str) -> Any:
    if media_type == CSV:
        return record + answer
    if isinstance(record, dict):
        return record | {"SageMakerOutput": answer}
    return {"SageMakerInput": record, "SageMakerOutput": answer}
