"""Checkpoints: a folder of a training job's container that is kept in sync with S3.

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
    """Validate a request's CheckpointConfig, if it has one.

    Raises:
        ValidationException: S3Uri is not an S3 URI, or LocalPath is not below /opt/ml.
    """
    if CONFIG in request:
        S3Uri.parse(request[CONFIG]["S3Uri"])
        _relative_path(request[CONFIG])


def container_config(request: Document) -> dict[str, Document]:
    """Return the content of /opt/ml/input/config/checkpointconfig.json by the file's stem; {} without one."""
    if CONFIG not in request:
        return {}
    return {"checkpointconfig": {"LocalPath": DEFAULT_PATH, **request[CONFIG]}}


@contextmanager
def synchronized(job: Job, base_dir: Path) -> Iterator[None]:
    """Download the checkpoints; within the context, repeat the container's writes and deletions in S3.

    Args:
        job: the training job.
        base_dir: the folder that is /opt/ml in the container.
    """
    config = job.request.get(CONFIG)
    if config is None:
        yield
        return
    folder = base_dir / _relative_path(config)
    folder.mkdir(parents=True, exist_ok=True)
    # With a slash: the prefix "run" would match the objects of "run-2" too.
    uri = S3Uri.parse(config["S3Uri"].rstrip("/") + "/")
    _download(job.storage, uri, folder)
    with ContinuousUpload(job.storage, folder, uri, deletes=True):
        yield


def _download(storage: Storage, uri: S3Uri, folder: Path) -> None:
    """Download the objects; skip those that are deleted meanwhile, since tuning trials can share an S3Uri."""
    objects = storage.list_objects(uri)
    while True:
        try:
            return storage.download(objects, folder)
        except ClientFailure:
            remaining = set(storage.list_objects(uri))
            if remaining.issuperset(objects):
                raise
            objects = [item for item in objects if item in remaining]


def _relative_path(config: Document) -> PurePosixPath:
    return local_path(config.get("LocalPath", DEFAULT_PATH), OPT_ML)
