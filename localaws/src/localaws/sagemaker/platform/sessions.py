"""Clients of the account's other services, as a role that SageMaker was passed or as the platform itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, overload

import boto3
from botocore.config import Config

from localaws.sagemaker.api.errors import ValidationException

if TYPE_CHECKING:  # stubs, not installed with localaws
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

Credentials = dict[str, str]
"""STS's: AccessKeyId, SecretAccessKey, SessionToken, Expiration (ISO 8601)."""

AssumeRole = Callable[[str], Credentials | None]
"""A role's credentials, given its ARN; None when SageMaker may not assume it."""

SERVICE_PRINCIPAL = "sagemaker.amazonaws.com"
RENEW_BEFORE = timedelta(minutes=15)
# The other end is this process: what is slow is busy, not broken, and nothing is lost between the two, so
# that a second look at each byte of an object would only cost its time.
CLIENT_CONFIG = Config(
    connect_timeout=10,
    read_timeout=300,
    retries={"mode": "standard", "max_attempts": 4},
    max_pool_connections=32,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    s3={"payload_signing_enabled": False},
)


class Sessions:
    """Makes boto3 clients for one endpoint; a role's credentials are renewed before they end."""

    def __init__(
        self, endpoint_url: str, region: str, root_key: str, root_secret: str, assume_role: AssumeRole
    ) -> None:
        self.endpoint_url = endpoint_url
        self.region = region
        self._assume_role = assume_role
        self._root = boto3.Session(root_key, root_secret, region_name=region)
        self._lock = threading.RLock()
        self._clients: dict[tuple[str, str | None], tuple[Any, datetime]] = {}

    @overload
    def client(self, service: Literal["s3"], role_arn: str | None = None) -> S3Client: ...
    @overload
    def client(self, service: Literal["logs"], role_arn: str | None = None) -> CloudWatchLogsClient: ...
    @overload
    def client(self, service: Literal["sagemaker"], role_arn: str | None = None) -> SageMakerClient: ...
    @overload
    def client(self, service: str, role_arn: str | None = None) -> Any: ...
    def client(self, service: str, role_arn: str | None = None) -> Any:
        """A client that acts as the role, or as the account's root where no role is given.

        Raises:
            ValidationException: SageMaker may not assume the role.
        """
        with self._lock:
            client, expires = self._clients.get((service, role_arn), (None, _NEVER))
            if client is None or expires < _now() + RENEW_BEFORE:
                client, expires = self._new_client(service, role_arn)
                self._clients[service, role_arn] = (client, expires)
            return client

    def environment(self, role_arn: str) -> Credentials:
        """The variables that make any AWS SDK in a container act as the role, on this endpoint.

        Not AWS_DEFAULT_REGION, which boto3 reads: SageMaker sets none either, so a job has to be told.

        Raises:
            ValidationException: SageMaker may not assume the role.
        """
        credentials, _ = self._assume(role_arn)
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
        }

    def check_role(self, role_arn: str) -> None:
        """Make sure that SageMaker may act as the role.

        Raises:
            ValidationException: it may not, in SageMaker's words.
        """
        self._assume(role_arn)

    def _new_client(self, service: str, role_arn: str | None) -> tuple[Any, datetime]:
        # All clients are the one session's, since each session would read botocore's models anew.
        make_client: Callable[..., Any] = self._root.client
        keys, expires = {}, _FOREVER
        if role_arn is not None:
            credentials, expires = self._assume(role_arn)
            keys = {
                "aws_access_key_id": credentials["AccessKeyId"],
                "aws_secret_access_key": credentials["SecretAccessKey"],
                "aws_session_token": credentials["SessionToken"],
            }
        return make_client(service, endpoint_url=self.endpoint_url, config=CLIENT_CONFIG, **keys), expires

    def _assume(self, role_arn: str) -> tuple[Credentials, datetime]:
        credentials = self._assume_role(role_arn)
        if credentials is None:
            raise _not_assumable(role_arn)
        return credentials, datetime.fromisoformat(credentials["Expiration"])


def _not_assumable(role_arn: str) -> ValidationException:
    return ValidationException(
        f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
        f"'{SERVICE_PRINCIPAL}' to assume the role."
    )


def _now() -> datetime:
    return datetime.now(UTC)


_NEVER = datetime.min.replace(tzinfo=UTC)
_FOREVER = datetime.max.replace(tzinfo=UTC)
