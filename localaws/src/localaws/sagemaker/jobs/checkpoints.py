"""Checkpoints: a folder of a training job's container that outlives the container, in S3.

Source: "Checkpoints in Amazon SageMaker AI" of the developer guide.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from localaws.runtimes.container import OPT_ML
from localaws.sagemaker.api.errors import ClientFailure
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.jobs.continuous_upload import ContinuousUpload
from localaws.sagemaker.jobs.job import Job, local_path
from localaws.sagemaker.platform.storage import S3Uri, Storage

CONFIG = "CheckpointConfig"
DEFAULT_PATH = f"{OPT_ML}/checkpoints"


def check(request: Document) -> None:
    """Make sure that a request's checkpoints, if it has any, have their places.

    Raises:
        ValidationException: the S3Uri is none, or the LocalPath is not below /opt/ml.
    """
    if CONFIG in request:
        S3Uri.parse(request[CONFIG]["S3Uri"])
        _relative_path(request[CONFIG])


def described(request: Document) -> dict[str, Document]:
    """The file of the container's configuration that says where they are, by its name."""
    if CONFIG not in request:
        return {}
    return {"checkpointconfig": {"LocalPath": DEFAULT_PATH, **request[CONFIG]}}


@contextmanager
def kept(job: Job, base_dir: Path) -> Iterator[None]:
    """Bring what S3 has to a container; what it writes and deletes meanwhile, S3 writes and deletes.

    Args:
        job: whose.
        base_dir: what the container sees as /opt/ml.
    """
    config = job.request.get(CONFIG)
    if config is None:
        yield
        return
    folder = base_dir / _relative_path(config)
    folder.mkdir(parents=True, exist_ok=True)
    # A prefix: "run" must not find what lies under "run-2".
    uri = S3Uri.parse(config["S3Uri"].rstrip("/") + "/")
    _download(job.storage, uri, folder)
    with ContinuousUpload(job.storage, folder, uri, deletes=True):
        yield


def _download(storage: Storage, uri: S3Uri, folder: Path) -> None:
    """Download all but what is deleted meanwhile: the trials of a search may have their S3Uri in common."""
    objects = storage.listed(uri)
    while True:
        try:
            return storage.download(objects, folder)
        except ClientFailure:
            there = set(storage.listed(uri))
            if there.issuperset(objects):
                raise
            objects = [item for item in objects if item in there]


def _relative_path(config: Document) -> PurePosixPath:
    return local_path(config.get("LocalPath", DEFAULT_PATH), OPT_ML)
