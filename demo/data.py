"""Find the data: a file, a folder, Stanford's archive, or the small synthetic sample."""

import csv
import difflib
import gzip
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import zstandard
from rich.console import Console

from demo import aclimdb, download
from demo.errors import InputError

CACHE = Path(".data")
SAMPLE = Path(__file__).with_name("sample.csv")
SAMPLE_NAME = "synthetic-sample.csv"
FORMATS = (".csv", ".jsonl", ".json", ".parquet")
COMPRESSIONS = ("", ".gz", ".zst")
SUFFIXES = (*(form + pack for form in FORMATS for pack in COMPRESSIONS), *aclimdb.SUFFIXES)
REVIEW_ID = re.compile(r"(train|test)/(neg|pos)/\d+_\d+")


@dataclass(frozen=True)
class RawFile:
    """A file on this machine and the name that it gets under raw/."""

    path: Path
    name: str


@dataclass(frozen=True)
class Dataset:
    """What is dropped: its files, where they come from, and whether they are real film reviews."""

    files: tuple[RawFile, ...]
    origin: str
    synthetic: bool = False
    reviews: bool = False


def get(path: Path | None, console: Console, cache: Path = CACHE) -> Dataset:
    """Return the data at `path`, else Stanford's, else the synthetic sample.

    Raises:
        InputError: The path does not exist or holds nothing that can be used.
    """
    if path is None:
        return _stanford(console, cache)
    if not path.exists():
        raise InputError(f"{path} does not exist.{_suggestion(path)} Give a file or a folder: {_accepted()}.")
    if path.is_dir():
        return _folder(path, console, cache)
    if path.name.endswith(SUFFIXES):
        return _as_they_are((path,), str(path))
    raise InputError(f"{path} is neither an archive of aclImdb nor a table. Give {_accepted()}.")


def _stanford(console: Console, cache: Path) -> Dataset:
    console.print(f"No data given: fetching Stanford's film reviews, {download.URL}", soft_wrap=True)
    try:
        archive = download.fetch(cache / aclimdb.NAME, console)
    except download.Unreachable as error:
        console.print(f"[yellow]Not reachable[/]: {error}.", soft_wrap=True)
        console.print(
            "Using the SYNTHETIC sample that ships with the project instead; its metrics say nothing about\n"
            "real reviews. For real ones name your copy of aclImdb_v1.tar.gz, or your own CSV, with --data\n"
            "(make run DATA=…)."
        )
        return Dataset((RawFile(SAMPLE, SAMPLE_NAME),), "the project's synthetic sample", synthetic=True)
    return _as_they_are((archive,), str(archive))


def _folder(path: Path, console: Console, cache: Path) -> Dataset:
    if folder := aclimdb.find_folder(path):
        with console.status(f"Packing {folder} …"):
            archive = aclimdb.pack(folder, cache)
        return _as_they_are((archive,), f"aclImdb, {folder}")
    found = sorted(each for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
    if files := tuple(each for each in found if each.name.endswith(SUFFIXES)):
        return _as_they_are(files, str(path))
    raise InputError(f"The folder {path} holds nothing that can be used. Put into it {_accepted()}.")


def _as_they_are(paths: tuple[Path, ...], origin: str) -> Dataset:
    """Take the files unchanged: whether they can be read is the pipeline's to judge."""
    files = tuple(RawFile(path, SAMPLE_NAME if path.resolve() == SAMPLE else path.name) for path in paths)
    synthetic = all(_first_id(path).startswith("synthetic/") for path in paths)
    reviews = all(aclimdb.is_archive(path) or REVIEW_ID.fullmatch(_first_id(path)) for path in paths)
    return Dataset(files, origin, synthetic, reviews)


def _first_id(path: Path) -> str:
    with (
        suppress(OSError, ValueError, csv.Error, EOFError, zstandard.ZstdError, StopIteration),
        _text(path) as file,
    ):
        if ".json" in path.suffixes or ".jsonl" in path.suffixes:
            row = json.loads(file.readline())
        else:
            row = next(csv.DictReader(file))
        return str(row["id"]) if isinstance(row, dict) and "id" in row else ""
    return ""


@contextmanager
def _text(path: Path) -> Iterator[IO[str]]:
    with path.open("rb") as raw:
        packed: Any = raw  # the two readers share no type, only what TextIOWrapper needs
        if path.suffix == ".gz":
            packed = gzip.open(raw)  # noqa: SIM115 - closed with `raw`
        elif path.suffix == ".zst":
            packed = zstandard.ZstdDecompressor().stream_reader(raw)
        yield io.TextIOWrapper(packed, encoding="utf-8-sig", newline="")


def _suggestion(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    close = difflib.get_close_matches(path.name, [each.name for each in path.parent.iterdir()], n=1)
    return f" Did you mean {path.parent / close[0]}?" if close else ""


def _accepted() -> str:
    return (
        "aclImdb_v1.tar.gz, an unpacked aclImdb, or CSV, JSON Lines or Parquet with text and label, and id "
        "if there is one (plain, .gz, .zst)"
    )
