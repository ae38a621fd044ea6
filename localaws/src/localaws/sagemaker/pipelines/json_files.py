"""Std:JsonGet: read a value from a JSON file that an earlier step wrote to S3."""

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
    """Reads property files of an execution's steps, and other JSON files in S3.

    Args:
        steps: the definition's steps, by name.
        scope: the values for references in a file's URI.
        s3: returns a client with current credentials of the pipeline's role.
    """

    def __init__(
        self, steps: Mapping[str, Step], scope: Mapping[str, Any], s3: Callable[[], S3Client]
    ) -> None:
        self._steps = steps
        self._scope = scope
        self._s3 = s3

    def get(self, function: Mapping[str, Any]) -> Any:
        """Return the value at the function's Path in its file.

        Raises:
            ValidationException: the file cannot be read, is not JSON, or has no scalar value at Path.
        """
        uri = self._uri(function)
        path = function["Path"].removeprefix("$")
        content = self._read(uri)
        try:
            value = references.look_up(path, content)
        except ValidationException as error:
            raise ValidationException(
                f"Std:JsonGet found no value at {function['Path']!r} in {uri}: {error.message}"
            ) from error
        if value is None or isinstance(value, dict | list):
            raise ValidationException(
                f"Std:JsonGet found no string, number or boolean at {function['Path']!r} in {uri}"
            )
        return value

    def _uri(self, function: Mapping[str, Any]) -> S3Uri:
        if "S3Uri" in function:
            uri: str = references.resolve(function["S3Uri"], self._scope, self.get)
            return S3Uri.parse(uri)
        name, file = find_property_file(function["PropertyFile"]["Get"], self._steps)
        path = f"Steps.{name}.ProcessingOutputConfig.Outputs['{file['OutputName']}'].S3Output.S3Uri"
        return S3Uri.parse(references.look_up(path, self._scope)) / str(file["FilePath"])

    def _read(self, uri: S3Uri) -> Document:
        try:
            body = self._s3().get_object(Bucket=uri.bucket, Key=uri.key)["Body"].read()
            content: Document = json.loads(body)
        except (ClientError, BotoCoreError) as error:
            raise ValidationException(
                f"Std:JsonGet cannot read {uri}: {error}. Check that an earlier step writes the file and "
                "that the pipeline's role has s3:GetObject on it."
            ) from error
        except (ValueError, RecursionError) as error:
            raise ValidationException(f"Std:JsonGet cannot read {uri}: it is not JSON ({error})") from error
        return content
