"""Create clients of other services, with a passed role or with the platform's credentials."""

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
"""STS credentials: AccessKeyId, SecretAccessKey, SessionToken, Expiration (ISO 8601)."""

AssumeRole = Callable[[str], Credentials | None]
"""Returns the credentials of a role by its ARN; None if SageMaker cannot assume the role."""

SERVICE_PRINCIPAL = "sagemaker.amazonaws.com"
RENEW_BEFORE = timedelta(minutes=15)
# The server is this process. A slow response means that it is busy, so the read timeout is long. Checksums
# are off: nothing is lost on loopback, and they would only cost time.
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
    """Creates boto3 clients for one endpoint URL; renews a role's credentials before they expire."""

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
        """Return a client with the credentials of the role, or of the account's root user without a role.

        Raises:
            ValidationException: SageMaker cannot assume the role.
        """
        with self._lock:
            client, expires = self._clients.get((service, role_arn), (None, _NEVER))
            if client is None or expires < _now() + RENEW_BEFORE:
                client, expires = self._new_client(service, role_arn)
                self._clients[service, role_arn] = (client, expires)
            return client

    def environment(self, role_arn: str) -> Credentials:
        """Return the environment variables with which AWS SDKs in a container use the role and this endpoint.

        AWS_DEFAULT_REGION, which boto3 reads, is not set, as in SageMaker: a job must set the region itself.

        Raises:
            ValidationException: SageMaker cannot assume the role.
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
        """Check that SageMaker can assume the role.

        Raises:
            ValidationException: SageMaker cannot assume the role.
        """
        self._assume(role_arn)

    def _new_client(self, service: str, role_arn: str | None) -> tuple[Any, datetime]:
        # One session for all clients, since each new session reads botocore's models again.
        make_client: Callable[..., Any] = self._root.client
        keys, expires = {}, _FOREVER
        if role_arn is not None:
            credentials, expires = self._assume(role_arn)
            keys = {
                "aws_access_key_id": credentials["AccessKeyId"],
                "aws_secret_access_key": credentials["SecretAccessKey"],
                "aws_session_token": credentials["SessionToken"],
            }
        client = make_client(service, endpoint_url=self.endpoint_url, config=CLIENT_CONFIG, **keys)
        # botocore makes the classes at their first use, without a lock: two threads would get different ones,
        # and neither would catch what the other's call raises.
        _ = client.exceptions
        return client, expires

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
