"""Find the data to upload: a file, a folder, Stanford's archive or the small synthetic sample."""

import csv
import difflib
import gzip
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import zstandard
from rich.console import Console
from rich.markup import escape

from demo import aclimdb, download
from demo.errors import InputError

CACHE = Path(".data")
SAMPLE = Path(__file__).with_name("sample.csv")
SAMPLE_NAME = "synthetic-sample.csv"
FORMATS = (".csv", ".tsv", ".jsonl", ".json", ".manifest", ".parquet")
COMPRESSIONS = ("", ".gz", ".zst")
SUFFIXES = (*(form + pack for form in FORMATS for pack in COMPRESSIONS), *aclimdb.SUFFIXES)
NAMED_ENTRIES = 5  # of a folder, that are left out
REVIEW_ID = re.compile(r"(train|test)/(neg|pos)/\d+_\d+")


@dataclass(frozen=True)
class RawFile:
    """A local file and its name under raw/."""

    path: Path
    name: str


@dataclass(frozen=True)
class Dataset:
    """The files to upload, their origin, and whether they are synthetic or real film reviews."""

    files: tuple[RawFile, ...]
    origin: str
    synthetic: bool = False
    reviews: bool = False


def get(path: Path | None, console: Console, cache: Path = CACHE, *, pack: bool = True) -> Dataset:
    """Return the data at `path`; without a path, Stanford's data or, if unreachable, the synthetic sample.

    Args:
        path: A file or a folder.
        console: The output.
        cache: The folder for downloads and packed data.
        pack: Whether to pack an unpacked aclImdb, which takes a while. Otherwise the dataset has no files.

    Raises:
        InputError: The path does not exist or contains no usable data.
    """
    if path is None:
        return _stanford(console, cache)
    if not path.exists():
        raise InputError(f"{path} does not exist.{_suggestion(path)} Use a file or a folder: {_accepted()}.")
    if path.is_dir():
        return _folder(path, console, cache, pack=pack)
    if path.name.endswith(SUFFIXES):
        return _dataset((path,), str(path))
    raise InputError(f"{path} is neither an archive of aclImdb nor a table. Use {_accepted()}.")


def _stanford(console: Console, cache: Path) -> Dataset:
    console.print(f"No --data option: downloading Stanford's film reviews, {download.URL}", soft_wrap=True)
    try:
        archive = download.fetch(cache / aclimdb.NAME, console)
    except download.Unreachable as error:
        console.print(f"[yellow]Not reachable[/]: {error}.", soft_wrap=True)
        console.print(
            "Using the project's SYNTHETIC sample instead; its metrics are meaningless for real reviews.\n"
            "To use real data, set --data (make run DATA=…) to a copy of aclImdb_v1.tar.gz or your own CSV."
        )
        return Dataset((RawFile(SAMPLE, SAMPLE_NAME),), "the project's synthetic sample", synthetic=True)
    return _dataset((archive,), str(archive))


def held(keys: Sequence[str]) -> Dataset:
    """Return the data that the bucket already holds, by its keys; there is nothing to upload."""
    names = [key.rpartition("/")[2] for key in keys]
    return Dataset(
        (),
        f"what raw/ already holds, {_listed('file', sorted(names))}",
        synthetic=set(names) == {SAMPLE_NAME},
        reviews=set(names) <= {aclimdb.NAME, aclimdb.PACKED_NAME},
    )


def _folder(path: Path, console: Console, cache: Path, *, pack: bool) -> Dataset:
    entries = sorted(each for each in path.iterdir() if not each.name.startswith("."))
    if folder := aclimdb.find_folder(path):
        known = aclimdb.ENTRIES if folder == path else (folder.name,)
        _print_left_out(path, [each for each in entries if each.name not in known], console)
        if not pack:
            return Dataset((), f"aclImdb, {folder}", reviews=True)
        with console.status(f"Packing {folder} …"):
            archive = aclimdb.pack(folder, cache)
        return _dataset((archive,), f"aclImdb, {folder}")
    files = tuple(each for each in entries if each.is_file() and each.name.endswith(SUFFIXES))
    if not files:
        folders = _listed("folder", [each.name for each in entries if each.is_dir()])
        within = f" It has {folders}, which are not searched: name one." if folders else ""
        raise InputError(f"The folder {path} contains no usable file.{within} Usable are {_accepted()}.")
    _print_left_out(path, [each for each in entries if each not in files], console)
    return _dataset(files, str(path))


def _print_left_out(path: Path, entries: Sequence[Path], console: Console) -> None:
    """Name the entries of a folder that are not uploaded."""
    kinds = [
        _listed("folder", [each.name for each in entries if each.is_dir()]),
        _listed("file", [each.name for each in entries if not each.is_dir()]),
    ]
    if entries:
        named = " and ".join(filter(None, kinds))
        console.print(
            f"[yellow]Left out[/] of {path}: {escape(named)}. Used are {_accepted()}.", soft_wrap=True
        )


def _listed(kind: str, names: Sequence[str]) -> str:
    """Count and name files or folders; empty if there are none."""
    if not names:
        return ""
    more = ", …" if len(names) > NAMED_ENTRIES else ""
    return f"{len(names):,} {kind}{'s' if len(names) > 1 else ''} ({', '.join(names[:NAMED_ENTRIES])}{more})"


def _dataset(paths: tuple[Path, ...], origin: str) -> Dataset:
    """Return a dataset of the unchanged files; the pipeline validates them."""
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
        content: Any = raw  # Any: the readers have no common type
        if path.suffix == ".gz":
            content = gzip.open(raw)  # noqa: SIM115 - closed with `raw`
        elif path.suffix == ".zst":
            content = zstandard.ZstdDecompressor().stream_reader(raw)
        yield io.TextIOWrapper(content, encoding="utf-8-sig", newline="")


def _suggestion(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    close = difflib.get_close_matches(path.name, [each.name for each in path.parent.iterdir()], n=1)
    return f" Did you mean {path.parent / close[0]}?" if close else ""


def _accepted() -> str:
    return (
        "aclImdb_v1.tar.gz, an unpacked aclImdb, or CSV, TSV, JSON Lines or Parquet with text, label and "
        "optionally id (plain, .gz, .zst)"
    )
