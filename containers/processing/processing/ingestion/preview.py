"""Read the first rows of files, as `ingest` would: `python -m processing.ingestion.preview FILE …`.

It prints a JSON object per file: the rows read, the bad ones among them with the first one's reason, and in
`reason` why the file would be quarantined whole, or null.
"""

import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

from processing.errors import ContractError, FileError
from processing.ingestion import contract
from processing.ingestion.checked_rows import read_checked
from processing.ingestion.contract import Contract
from processing.ingestion.rows import Defect, Skip

FIRST_ROWS = 1000


def preview(path: Path, rules: Contract) -> dict[str, Any]:
    """Return what the first rows of a file show."""
    rows = bad = skipped = 0
    first, reason = "", None
    try:
        for _, row in islice(read_checked(path, rules), FIRST_ROWS):
            rows += 1
            skipped += isinstance(row, Skip)
            if isinstance(row, Defect):
                bad += 1
                first = first or (f"line {row.line}: {row.reason}" if row.line else row.reason)
        reason = judge(rows, bad, skipped, first, rules)
    except FileError as error:
        reason = str(error)
    except OSError as error:
        reason = f"not readable: {error.strerror or error}"
    return {"file": str(path), "rows": rows, "bad": bad, "first": first, "reason": reason}


def judge(rows: int, bad: int, skipped: int, first: str, rules: Contract) -> str | None:
    """Return why a file of such first rows would be quarantined whole; None if it would not."""
    if not rows:
        return "no rows under the header"
    if bad > rules.max_bad_share * rows or rows == bad + skipped:
        return (
            f"{bad:,} of the first {rows:,} rows are bad; the first: {first}"
            if bad
            else "all rows are skipped"
        )
    return None


def main(paths: list[str]) -> int:
    """Print what each file shows."""
    try:
        rules = contract.load()
    except ContractError as error:
        print(error, file=sys.stderr)
        return 1
    for path in paths:
        print(json.dumps(preview(Path(path), rules)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
