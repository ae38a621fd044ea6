"""What a laptop's AWS is started with."""

from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
DEFAULT_IMAGES = "containers"
DEFAULT_WORKDIR = ".localaws"
DEFAULT_PORT = 4566
DEFAULT_REGION = "us-east-1"
DEFAULT_WAIT_SCALE = 0.1
DEFAULT_OFFLINE_STORE_LAG = 1.0  # seconds; on AWS it is minutes
RUNTIMES = ("process", "oci")
DEFAULT_RUNTIME = "process"
ACCOUNT_ID = "000000000000"
# The account's root, as local AWS tools expect it; browser_guard lets no web page use it.
ROOT_KEY = "test"
ROOT_SECRET = "test"  # noqa: S105


@dataclass(frozen=True)
class Settings:
    """How to run.

    Attributes:
        port: on loopback, for everything.
        region: the one region.
        workdir: an absolute path; holds objects, jobs, logs and the images' environments.
        images: the folder whose subfolders are the container images.
        wait_scale: what a second of a Step Functions wait lasts here, in seconds.
        offline_store_lag: seconds from a feature group's write to its Parquet file.
        spot_interruption_after: seconds of training after which a job on Spot instances is interrupted,
            once; None for never.
        runtime: "process" runs the images' folders, "oci" the images that an engine holds.
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
        """What AWS_ENDPOINT_URL has to be."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid_file(self) -> Path:
        """Says which process serves the port."""
        return self.workdir / f"localaws-{self.port}.pid"

    @property
    def log_file(self) -> Path:
        """What a process in the background prints."""
        return self.workdir / f"localaws-{self.port}.log"

    @property
    def data_dir(self) -> Path:
        """What lives as long as the process: objects, jobs, endpoints."""
        return self.workdir / f"data-{self.port}"
