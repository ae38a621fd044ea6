"""What every resource of the local SageMaker stands on: account, sessions, logs and containers."""

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
    """The machine as SageMaker sees it.

    Attributes:
        account_id: the account that everything belongs to.
        region: the one region.
        workdir: where jobs and endpoints keep their /opt/ml while they live.
        runtime: runs the containers.
        sessions: makes clients of the other services, as a role or as the platform itself.
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
        """What every ARN of the account begins with."""
        return f"arn:aws:sagemaker:{self.region}:{self.account_id}:"

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a resource, such as "training-job" and a name; SageMaker writes the name small."""
        return f"{self.arn_prefix}{kind}/{name.lower()}"

    def new_base_dir(self, kind: str, name: str) -> Path:
        """A new, empty folder that a container will see as /opt/ml."""
        folder = self.workdir / kind / f"{name}-{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        return folder

    @staticmethod
    def discard(folder: Path) -> None:
        """Remove a base folder."""
        shutil.rmtree(folder, ignore_errors=True)
