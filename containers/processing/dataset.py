"""Makes a dataset of all raw files; later rows replace earlier ones of the same id."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from errors import DatasetError, FileError, RejectedFilesError
from rows import SPLITS, Row, read_rows

TEST_SHARE = 5  # one row in five, where neither the file nor the id tells the split
LABELS = 100  # more are a sign of a wrong column


@dataclass(slots=True)
class Index:
    """What is kept in memory of every row, by its position; texts stay on disk."""

    position: dict[str, int] = field(default_factory=dict)
    is_test: bytearray = field(default_factory=bytearray)
    digests: list[bytes] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Note a row; it replaces an earlier one of its id."""
        self.position[row.id] = len(self.digests)
        self.is_test.append(split_of(row) == "test")
        self.digests.append(digest(row.text))
        self.labels.append(self.names.setdefault(row.label, row.label))

    def keep(self) -> list[int]:
        """Positions that make the dataset: the last of each id, no test text in train."""
        last = sorted(self.position.values())
        tested = {self.digests[i] for i in last if self.is_test[i]}
        return [i for i in last if self.is_test[i] or self.digests[i] not in tested]


def prepare(base: Path) -> None:
    """Read processing/input/raw and write processing/output/{train,test,labels,report}.

    Where processing/input/plan holds the manifest that the files came by, they are read in its order,
    which is that of their arrival: a row replaces those of its id that arrived before it.

    Raises:
        RejectedFilesError: Some files cannot be read; all were looked at.
        DatasetError: The rows make no dataset.
    """
    source, target = base / "processing/input/raw", base / "processing/output"
    files = in_order(source, base / "processing/input/plan/manifest.json")
    if not files:
        raise DatasetError("there is no raw file")
    with TemporaryFile("w+", encoding="utf-8") as spool:
        index, counts = ingest(source, files, spool)
        kept = index.keep()
        check(index, kept)
        spool.seek(0)
        write(target, index, kept, spool)
    report(target / "report/dataset.json", index, kept, counts)


def in_order(source: Path, manifest: Path) -> list[Path]:
    """Every file below the source: first what a SageMaker manifest lists, then the others by name."""
    _, *listed = json.loads(manifest.read_text("utf-8")) if manifest.exists() else [{}]
    place = {name: i for i, name in enumerate(listed)}
    files = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
    return [files[name] for name in sorted(files, key=lambda name: (place.get(name, len(place)), name))]


def ingest(source: Path, files: list[Path], spool: IO[str]) -> tuple[Index, dict[str, int]]:
    """Copy every row to the spool; return their index and the number of rows by file."""
    index, counts, rejected = Index(), {}, []
    for path in files:
        name = path.relative_to(source).as_posix()
        start = len(index.digests)
        try:
            for row in read_rows(path):
                index.add(row)
                spool.write(to_line([row.id, row.text]))
        except FileError as error:
            rejected.append((name, str(error)))
            print(f"{name}: rejected: {error}", flush=True)
        else:
            counts[name] = len(index.digests) - start
            print(f"{name}: {counts[name]:,} rows", flush=True)
    if rejected:
        raise RejectedFilesError(rejected)
    return index, counts


def check(index: Index, kept: list[int]) -> None:
    """Refuse a dataset that cannot train and test a model."""
    train = {index.labels[i] for i in kept if not index.is_test[i]}
    if not train:
        raise DatasetError("no row is left to train with; add rows of split train")
    if not any(index.is_test[i] for i in kept):
        raise DatasetError("no row is left to test with; add rows of split test")
    if len(train) == 1:
        raise DatasetError(f"every row to train with has the label '{train.pop()}'; add rows of another")
    if len(index.names) > LABELS:
        raise DatasetError(f"{len(index.names):,} different labels, at most {LABELS}: the wrong column?")


def write(target: Path, index: Index, kept: list[int], spool: IO[str]) -> None:
    """Write the kept rows of the spool."""
    for name in ("train", "test", "labels"):
        (target / name).mkdir(parents=True, exist_ok=True)
    with (
        (target / "train/train.jsonl").open("w", encoding="utf-8") as train,
        (target / "test/test.jsonl").open("w", encoding="utf-8") as test,
        (target / "labels/labels.jsonl").open("w", encoding="utf-8") as labels,
    ):
        for i, key, text in spooled(spool, kept):
            row = {"id": key, "text": text}
            if index.is_test[i]:
                test.write(to_line(row))
                labels.write(to_line({"id": key, "label": index.labels[i]}))
            else:
                train.write(to_line(row | {"label": index.labels[i]}))


def to_line(record: object) -> str:
    """A line of JSON in as few bytes as there are: escapes would triple other scripts' texts."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def spooled(spool: IO[str], kept: list[int]) -> Iterator[tuple[int, str, str]]:
    """Yield the position, id and text of each kept row; positions are in ascending order."""
    wanted = iter(kept)
    position = next(wanted, None)
    for i, line in enumerate(spool):
        if i == position:
            key, text = json.loads(line)
            yield i, key, text
            position = next(wanted, None)


def report(file: Path, index: Index, kept: list[int], counts: dict[str, int]) -> None:
    """Write what the dataset is made of."""
    test = sum(index.is_test[i] for i in kept)
    content = {
        "train": len(kept) - test,
        "test": test,
        "labels": dict(sorted(Counter(index.labels[i] for i in kept).items())),
        "files": [{"file": name, "rows": rows} for name, rows in counts.items()],
        "replacedById": len(index.digests) - len(index.position),
        "trainTextsAlsoInTest": len(index.position) - len(kept),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    print(f"{content['train']:,} rows to train with, {test:,} to test with", flush=True)


def split_of(row: Row) -> str:
    """The row's split: as its file says, else its id's first part, else by a hash of the id."""
    first, slash, _ = row.id.partition("/")
    if row.split:
        return row.split
    if slash and first in SPLITS:
        return first
    return "train" if int.from_bytes(digest(row.id)) % TEST_SHARE else "test"


def digest(text: str) -> bytes:
    """A hash that stands for a text: the same on every machine, no two alike in practice."""
    return blake2b(text.encode(), digest_size=16).digest()
