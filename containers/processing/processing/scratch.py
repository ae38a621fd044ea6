"""Temporary files on the job's volume, which the workflow sizes; /tmp is on another disk of the instance."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def scratch(base: Path) -> Iterator[Path]:
    """Make a folder on the volume the place of all temporary files, and delete it at the end."""
    volume = base / "processing"
    volume.mkdir(parents=True, exist_ok=True)
    before = tempfile.tempdir
    with TemporaryDirectory(dir=volume) as folder:
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before
