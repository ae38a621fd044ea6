"""The settings of a localaws process."""

from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
DEFAULT_IMAGES = "containers"
DEFAULT_WORKDIR = ".localaws"
DEFAULT_PORT = 4566
DEFAULT_REGION = "us-east-1"
DEFAULT_WAIT_SCALE = 0.1
DEFAULT_OFFLINE_STORE_LAG = 1.0  # seconds; several minutes on AWS
RUNTIMES = ("process", "oci")
DEFAULT_RUNTIME = "process"
ACCOUNT_ID = "000000000000"
# The credentials of the account's root user that local AWS tools expect; browser_guard rejects web pages.
ROOT_KEY = "test"
ROOT_SECRET = "test"  # noqa: S105


@dataclass(frozen=True)
class Settings:
    """The settings of a localaws process.

    Attributes:
        port: the port of all services on the loopback interface.
        region: the AWS region.
        workdir: the folder (absolute) for objects, jobs, logs and the images' environments.
        images: the folder with one subfolder per container image.
        wait_scale: the real seconds per second of a Step Functions wait.
        offline_store_lag: the seconds between a feature group's write and its Parquet file.
        spot_interruption_after: the seconds of training after which a job on Spot instances is interrupted
            once; None for no interruption.
        runtime: "process" runs the images' folders as processes, "oci" the images of a container engine.
    """

    workdir: Path
    images: Path
    port: int = DEFAULT_PORT
    region: str = DEFAULT_REGION
    wait_scale: float = DEFAULT_WAIT_SCALE
    offline_store_lag: float = DEFAULT_OFFLINE_STORE_LAG
    spot_interruption_after: float | None = None
    runtime: str = DEFAULT_RUNTIME

    @property
    def endpoint_url(self) -> str:
        """The value for AWS_ENDPOINT_URL."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid_file(self) -> Path:
        """The file with the process's ID."""
        return self.workdir / f"localaws-{self.port}.pid"

    @property
    def log_file(self) -> Path:
        """The file with the background process's output."""
        return self.workdir / f"localaws-{self.port}.log"

    @property
    def data_dir(self) -> Path:
        """The folder of all data, which is deleted with the process."""
        return self.workdir / f"data-{self.port}"
