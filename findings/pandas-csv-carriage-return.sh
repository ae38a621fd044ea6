#!/usr/bin/env bash
# DataFrame.to_csv quotes a cell with a comma, a quote or a line feed, but not one with a lone carriage return, and
# pandas' own reader takes that for the end of a row. A text with one, as old exports and scraped pages have, comes
# back as two rows: the first without a label, the second with half a text as its text. Nothing fails. DuckDB and
# pyarrow quote such a cell. (The csv module decides by the line terminator, "\n" here; it may be fixed by a later
# Python.)
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check pandas==3.1.1
venv/bin/python - <<'PYTHON'
import io
import sys

import pandas

rows = pandas.DataFrame({"text": ["good\rbut long", "bad"], "label": ["pos", "neg"]})
again = pandas.read_csv(io.StringIO(rows.to_csv(index=False)))

version = f"pandas {pandas.__version__}, Python {sys.version.split()[0]}"
expected = rows.values.tolist()
seen = again.astype(object).where(again.notna(), None).values.tolist()
documented = [["good", None], ["but long", "pos"], ["bad", "neg"]]
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
