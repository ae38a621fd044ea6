"""Std:JsonGet: a value in a JSON file that an earlier step has left in S3."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.pipelines import references
from localaws.sagemaker.pipelines.placeholders import find_property_file
from localaws.sagemaker.pipelines.steps import Step
from localaws.sagemaker.platform.storage import S3Uri

if TYPE_CHECKING:  # stubs, not installed with localaws
    from mypy_boto3_s3 import S3Client


class JsonFiles:
    """Reads the property files of an execution's steps, and other JSON files of S3.

    Args:
        steps: the definition's, by name.
        scope: what the references in a file's place stand for.
        s3: makes a client that acts as the pipeline's role, valid for now.
    """

    def __init__(
        self, steps: Mapping[str, Step], scope: Mapping[str, Any], s3: Callable[[], S3Client]
    ) -> None:
        self._steps = steps
        self._scope = scope
        self._s3 = s3

    def get(self, function: Mapping[str, Any]) -> Any:
        """What stands at the function's Path in its file.

        Raises:
            ValidationException: the file cannot be read, is not JSON, or has nothing there.
        """
        uri = self._uri(function)
        path = function["Path"].removeprefix("$")
        content = self._read(uri)
        try:
            value = references.look_up(path, content)
        except ValidationException as error:
            raise ValidationException(
                f"Std:JsonGet finds nothing at {function['Path']!r} of {uri}: {error.message}"
            ) from error
        if value is None or isinstance(value, dict | list):
            raise ValidationException(
                f"Std:JsonGet finds no text, number, true or false at {function['Path']!r} of {uri}"
            )
        return value

    def _uri(self, function: Mapping[str, Any]) -> S3Uri:
        if "S3Uri" in function:
            uri: str = references.resolve(function["S3Uri"], self._scope, self.get)
            return S3Uri.parse(uri)
        name, file = find_property_file(function["PropertyFile"]["Get"], self._steps)
        place = f"Steps.{name}.ProcessingOutputConfig.Outputs['{file['OutputName']}'].S3Output.S3Uri"
        return S3Uri.parse(references.look_up(place, self._scope)) / str(file["FilePath"])

    def _read(self, uri: S3Uri) -> Document:
        try:
            body = self._s3().get_object(Bucket=uri.bucket, Key=uri.key)["Body"].read()
            content: Document = json.loads(body)
        except (ClientError, BotoCoreError) as error:
            raise ValidationException(
                f"Std:JsonGet cannot read {uri}: {error}. The step before has to write it, and the "
                "pipeline's role needs s3:GetObject on it."
            ) from error
        except (ValueError, RecursionError) as error:
            raise ValidationException(f"Std:JsonGet cannot read {uri}: it is not JSON ({error})") from error
        return content
