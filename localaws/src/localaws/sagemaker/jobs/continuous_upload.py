"""Upload a folder to S3 while a job writes to it."""

import threading
from pathlib import Path
from types import TracebackType

from localaws.sagemaker.api.errors import ClientFailure
from localaws.sagemaker.platform.storage import S3Uri, Storage, files

INTERVAL_SECONDS = 2.0  # between two scans of the folder


class ContinuousUpload:
    """Upload changed files of a folder, repeatedly within the context and once at its end.

    Args:
        storage: access to S3.
        folder: the folder to upload; files that exist before the context starts are not uploaded.
        uri: the prefix of the objects.
        deletes: whether a file that is deleted in the folder is deleted in S3.
    """

    def __init__(self, storage: Storage, folder: Path, uri: S3Uri, deletes: bool = False) -> None:
        self._storage = storage
        self._folder = folder
        self._uri = uri
        self._deletes = deletes
        self._uploaded: dict[Path, tuple[int, int]] = {}
        self._closing = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"upload {folder}", daemon=True)

    def __enter__(self) -> "ContinuousUpload":
        self._uploaded = {path: _state(path) for path in files(self._folder)}
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()
        if error is None and self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._closing.wait(INTERVAL_SECONDS):
                self._sync()
            self._sync()
        except BaseException as failure:
            self._failure = failure

    def _sync(self) -> None:
        self._upload_changes()
        if self._deletes:
            for path in [path for path in self._uploaded if not path.exists()]:
                self._storage.delete_file(self._target(path))
                del self._uploaded[path]

    def _upload_changes(self) -> None:
        for path in files(self._folder):
            try:
                state = _state(path)
                if self._uploaded.get(path) == state:
                    continue
                self._storage.upload_file(path, self._target(path))
                self._uploaded[path] = state
            except (FileNotFoundError, ClientFailure):
                if path.exists():
                    raise  # a file that was deleted during the scan is skipped

    def _target(self, path: Path) -> S3Uri:
        return self._uri / path.relative_to(self._folder).as_posix()


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
