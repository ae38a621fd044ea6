"""The platform of all resources: account, sessions, logs and containers."""

import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from localaws.runtimes.container import Runtime
from localaws.sagemaker.platform.logs import Logs
from localaws.sagemaker.platform.notifier import Notifier
from localaws.sagemaker.platform.sessions import Sessions


@dataclass(frozen=True)
class Platform:
    """The services that all resources use.

    Attributes:
        account_id: the account of all resources.
        region: the region of all resources.
        workdir: the folder for the /opt/ml folders of running jobs and endpoints.
        runtime: runs the containers.
        sessions: creates clients of other services, with a role or with the platform's credentials.
        logs: writes to CloudWatch Logs.
        notifier: notifies when a job has ended or has to end.
    """

    account_id: str
    region: str
    workdir: Path
    runtime: Runtime
    sessions: Sessions
    logs: Logs
    notifier: Notifier = field(default_factory=Notifier)

    @property
    def arn_prefix(self) -> str:
        """The prefix of the account's SageMaker ARNs."""
        return f"arn:aws:sagemaker:{self.region}:{self.account_id}:"

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a resource of a kind such as "training-job"; SageMaker lowercases the name."""
        return f"{self.arn_prefix}{kind}/{name.lower()}"

    def new_base_dir(self, kind: str, name: str) -> Path:
        """Create an empty folder to be /opt/ml in a container."""
        folder = self.workdir / kind / f"{name}-{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        return folder

    @staticmethod
    def discard(folder: Path) -> None:
        """Delete a base folder."""
        shutil.rmtree(folder, ignore_errors=True)
