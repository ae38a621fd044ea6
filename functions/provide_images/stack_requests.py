"""CloudFormation's requests for the images: stored while a build runs, and answered once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from shared import table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_REASON = 1500  # characters; CloudFormation takes an answer of 4,096 bytes
TIMEOUT = 30  # seconds


class StackRequest(BaseModel):
    """A request of CloudFormation. Whoever has its URL can answer for the stack, so it is never logged."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True, hide_input_in_errors=True)
    request_type: Literal["Create", "Update", "Delete"]
    response_url: str = Field(alias="ResponseURL", repr=False)
    stack_id: str
    request_id: str
    logical_resource_id: str
    resource_properties: dict[str, Any]

    def answer(self, data: dict[str, str]) -> None:
        """Report success; the template reads `data` by `GetAtt`."""
        self._put({"Status": "SUCCESS", "Data": data})

    def refuse(self, reason: str) -> None:
        """Report failure: the stack is rolled back."""
        self._put({"Status": "FAILED", "Reason": reason[:MAX_REASON]})

    def _put(self, verdict: dict[str, Any]) -> None:
        body = {
            **verdict,
            "PhysicalResourceId": self.logical_resource_id,  # always the same, so that nothing is replaced
            "StackId": self.stack_id,
            "RequestId": self.request_id,
            "LogicalResourceId": self.logical_resource_id,
        }
        # The URL is signed for an empty content type.
        put = HttpRequest(self.response_url, json.dumps(body).encode(), {"Content-Type": ""}, method="PUT")  # noqa: S310
        with urlopen(put, timeout=TIMEOUT):  # noqa: S310 - CloudFormation's own https URL
            pass


class Pending:
    """The requests whose build is in progress: one item each, since no build may know the URL."""

    def __init__(self, dynamodb: DynamoDBClient, table_name: str) -> None:
        self._dynamodb = dynamodb
        self._table = table_name

    def keep(self, build_id: str, request: StackRequest) -> None:
        """Store the request until its build has ended."""
        item = {**self._key(build_id), "request": {"S": request.model_dump_json(by_alias=True)}}
        self._dynamodb.put_item(TableName=self._table, Item=item)

    def find(self, build_id: str) -> StackRequest | None:
        """Return the request, or None if it was answered or the build is not for one."""
        answer = self._dynamodb.get_item(TableName=self._table, Key=self._key(build_id), ConsistentRead=True)
        return StackRequest.model_validate_json(answer["Item"]["request"]["S"]) if "Item" in answer else None

    def forget(self, build_id: str) -> None:
        """Delete the request after its answer."""
        self._dynamodb.delete_item(TableName=self._table, Key=self._key(build_id))

    @staticmethod
    def _key(build_id: str) -> dict[str, Any]:
        return table.key(table.BUILDS, build_id)
