"""Read the rows of a file and check them; no fault that one file shows stops the others."""

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from processing.errors import FileError, ProcessingError
from processing.ingestion.contract import Contract
from processing.ingestion.formats.raw_file import read_rows
from processing.ingestion.rows import Defect, Lines, Record, Row, Skip, check, excerpt


def read_checked(
    path: Path, contract: Contract, counts: Lines | None = None
) -> Iterator[tuple[Record | Defect, Row | Defect | Skip]]:
    """Yield each row that is read, and the result of its check by the contract.

    Raises:
        FileError: The file cannot be read to its end, or it shows a fault of the code.
        OSError: The volume is at fault or full, not the file.
        MemoryError: The instance is too small.
    """
    try:
        for found in read_rows(path, contract, counts):
            yield found, check(found, contract) if isinstance(found, Record) else found
    except (ProcessingError, OSError, MemoryError):
        raise
    except Exception as error:
        print(f"{path}: an unexpected error", file=sys.stderr)
        traceback.print_exc()
        raise FileError(
            f"an unexpected error, {type(error).__name__}: {excerpt(ascii(str(error)))}; the job's log has "
            "the traceback. Save the file in another format, and report the error"
        ) from error
