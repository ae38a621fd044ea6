"""Every row and every line of a file is accounted for, whatever its dialect, its defects and its encoding."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.ingestion import contract
from processing.ingestion.ingest import validate
from processing.ingestion.labels import Labels
from processing.ingestion.plan import Source
from processing.ingestion.quarantine import Quarantine
from processing.ingestion.report import FileReport
from processing.ingestion.spool import Spool

RULES = contract.load()
ROWS = 40
LABELS = ("pos", "neg", "Caf\u00e9")
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "skippable": lambda content: b"\x53\x2a\x4d\x18\0\0\0\0" + zstandard.compress(content),
}
DEFECTS = (
    "",
    "\n",
    '"\n',
    'a "stray,pos\n',
    '"a stray,pos\n',
    "one cell\n",
    "a,b,c,d,e\n",
    "text without a label,\n",
    "a,nan\n",
    "id,text,label\n",
    "label,text,id\n",
    '"two\nlines",pos,x\n',
    '1, "padded", "pos"\n',
    '"a \\"b\\"",pos,x\n',
    "\ufeffid,text,label\n",
    "a\rb,c,pos\n",
)


class Ingested:
    """The report of a file, and the rows that became of it."""

    def __init__(self, content: bytes) -> None:
        with TemporaryDirectory() as folder, Spool(unique=True) as spool:
            path, refused = Path(folder) / "a", Path(folder) / "refused.jsonl"
            path.write_bytes(content)
            with Quarantine(refused, None) as quarantine:
                source = Source("raw/a", "etag", "2026-11-23T03:07:15.000Z", path)
                self.report: FileReport = validate(source, RULES, spool, quarantine, Labels(RULES, dict))
            self.rows = list(spool)
            text = refused.read_text() if refused.exists() else ""
            self.refused = [json.loads(line) for line in text.splitlines()]

    def check(self) -> None:
        report = self.report.content()
        assert report["rows"] == report["ingested"] + report["skipped"] + report["quarantined"]
        assert self.report.bad == len(self.refused)
        assert self.report.good == len(self.rows) == sum(report["labels"].values())
        assert self.report.skipped == sum(report["skips"].values())
        if self.report.reason is None and report["lines"]:
            assert self.report.lost_lines == 0
        lines = [
            line
            for item in self.refused
            for line in range(item["line"], item.get("lastLine", item["line"]) + 1)
        ]
        assert len(lines) == len(set(lines))


def to_csv(rows: list[tuple[str, str, str]], separator: str, quoting: int, end: str) -> str:
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=separator, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
    writer.writerows([("id", "text", "label"), *rows])
    return target.getvalue()


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=30)
QUIETLY = settings(max_examples=60, deadline=None)


@given(
    texts=st.lists(TEXTS.filter(lambda text: bool(text.strip())), min_size=1, max_size=20),
    separator=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
    compression=st.sampled_from(sorted(COMPRESSIONS)),
)
@QUIETLY
def test_sound_csv_of_any_dialect_loses_no_row(
    texts: list[str], separator: str, quoting: int, end: str, compression: str
) -> None:
    rows = [(f"id {i}", text, LABELS[i % 3]) for i, text in enumerate(texts)]
    found = Ingested(COMPRESSIONS[compression](to_csv(rows, separator, quoting, end).encode()))
    found.check()
    assert len(found.rows) == len(texts)
    assert [row.label for row in found.rows] == [label for *_, label in rows]


@given(
    defects=st.lists(st.tuples(st.integers(0, ROWS), st.sampled_from(DEFECTS)), max_size=6),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "latin-1"]),
    compression=st.sampled_from(sorted(COMPRESSIONS)),
)
@QUIETLY
def test_every_line_is_accounted_for(
    defects: list[tuple[int, str]], separator: str, end: str, encoding: str, compression: str
) -> None:
    lines = ["id,text,label\n", *(f"{i},Film number {i},{LABELS[i % 3]}\n" for i in range(ROWS))]
    for place, defect in defects:
        lines.insert(place + 1, defect)
    text = "".join(lines).replace(",", separator).replace("\n", end)
    Ingested(COMPRESSIONS[compression](text.encode(encoding, "replace"))).check()


@given(texts=st.lists(st.tuples(TEXTS, st.sampled_from(LABELS)), max_size=30), bad=st.binary(max_size=20))
@QUIETLY
def test_rows_without_ids_are_rows_skipped_rows_or_conflicts(
    texts: list[tuple[str, str]], bad: bytes
) -> None:
    lines = [json.dumps({"review": text, "Label": label}).encode() for text, label in texts * 2]
    found = Ingested(b"\n".join([*lines, bad, b""]))
    found.check()
    if found.report.reason is None:
        assert len({row.text for row in found.rows}) == len(found.rows)


NUMBERED = [f"{i},Film number {i},{LABELS[i % 3]}" for i in range(ROWS)]


@pytest.mark.parametrize("place", [0, 7, ROWS])
@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_defect_costs_no_other_line(place: int, defect: str, end: str) -> None:
    lines = [*NUMBERED[:place], *([defect[:-1]] if defect else []), *NUMBERED[place:]]
    found = Ingested(end.join(["id,text,label", *lines, ""]).replace("\n", end).encode())
    found.check()
    if found.report.reason is None:
        assert {str(i) for i in range(ROWS)} <= {row.id for row in found.rows} | {
            item["value"].split(",")[0] for item in found.refused
        }
    else:
        assert "line" in found.report.reason
