"""Write two text classification datasets made from Debian's package lists.

`sections.csv` contains the packages' English descriptions, labelled with the package's section (about forty,
such as `games`, `libs`, `science`). `languages.csv` contains their translations, labelled with the language,
including similar languages and scripts without spaces. Packages of the same source have similar descriptions,
so either all or none of them are in the test split (IDs that begin with `test/`).

The lists are downloaded with `apt-get update` from the machine's apt sources into the folder, without
changing the machine's own lists. This requires Debian, any release.

    python -m benchmarks.debian --to FOLDER
    python -m benchmarks.classifiers --data FOLDER/sections.csv --only fast default tfidf_logistic
"""

import argparse
import subprocess
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks import command, rows
from benchmarks.errors import CommandError, DataError
from benchmarks.rows import Row

ENGLISH = "en"
LANGUAGES = (
    *("cs", "da", "de", "es", "fi", "fr", "hu", "it", "ja", "ko", "nl", "pl", "pt", "pt_BR", "ru", "sk"),
    *("sr", "sv", "uk", "zh_CN", "zh_TW"),
)
MIN_ROWS = 200  # labels with fewer rows are left out
MAX_ROWS = 4000  # per language
TEST_FRACTION = 5  # one of so many sources is in the test split
UNTRANSLATED = "<trans>"  # the placeholder for an untranslated paragraph
SHOWN_LINES = 15

Stanza = Mapping[str, str]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(
        prog="python -m benchmarks.debian",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="the output folder")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both datasets and return the exit code."""
    folder: Path = parser().parse_args(arguments).to
    lists = update(folder.resolve() / "apt")
    packages = first_of_each(lists.get("", []))
    translated = {language: first_of_each(lists.get(language, [])) for language in (ENGLISH, *LANGUAGES)}
    found = {
        "sections": sections(packages, translated.pop(ENGLISH)),
        "languages": languages(packages, translated),
    }
    for name, all_rows in found.items():
        kept = frequent(all_rows)
        if not kept:
            raise DataError(f"apt's lists contain no {name}: add Debian's main to this machine's apt sources")
        size = rows.write(folder / f"{name}.csv", kept)
        tests = sum(row.id.startswith("test/") for row in kept)
        labels = len({row.label for row in kept})
        print(f"{name}.csv: {len(kept):,} rows, {tests:,} to test, {labels} labels, {size / 1e6:.1f} MB")
    return 0


def update(folder: Path) -> dict[str, list[Stanza]]:
    """Download the lists; return the packages under "" and the translations under their language.

    Raises:
        CommandError: apt-get is not installed or cannot reach its sources.
    """
    (folder / "lists/partial").mkdir(parents=True, exist_ok=True)
    settings = folder / "apt.conf"
    languages = " ".join(f'"{language}";' for language in (ENGLISH, *LANGUAGES))
    settings.write_text(
        "#clear Acquire::Languages;\n#clear APT::Update;\n"
        f"Acquire::Languages {{ {languages} }};\n"
        'Acquire::GzipIndexes "false";\nDir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
        f'Dir::State::Lists "{folder}/lists";\n'
    )
    apt("-c", str(settings), "-q", "update")
    targets = apt(
        *("-c", str(settings), "indextargets", "--format", "$(CREATED_BY)\t$(LANGUAGE)\t$(FILENAME)"),
        *("Origin: Debian", "Component: main"),
    )
    found: dict[str, list[Stanza]] = {}
    for line in targets.splitlines():
        kind, language, file = line.split("\t")
        if kind in ("Packages", "Translations"):
            with Path(file).open(encoding="utf-8", errors="replace", newline="\n") as lines:
                found.setdefault(language if kind == "Translations" else "", []).extend(stanzas(lines))
    return found


def apt(*arguments: str) -> str:
    """Run apt-get and return its output."""
    try:
        done = subprocess.run(["apt-get", *arguments], capture_output=True, text=True)
    except OSError as error:
        raise CommandError(f"apt-get cannot be started ({error}): these datasets need Debian") from error
    if done.returncode:
        output = "\n".join((done.stdout + done.stderr).splitlines()[-SHOWN_LINES:])
        raise CommandError(f"apt-get failed with exit code {done.returncode}:\n{output}")
    return done.stdout


def stanzas(lines: Iterable[str]) -> Iterator[Stanza]:
    """Yield the stanzas of a control file; continuation lines are joined, invalid lines skipped."""
    stanza: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.isspace():
            if stanza:
                yield stanza
            stanza, name = {}, ""
        elif line[0] in " \t":
            if name and line.strip() != ".":
                stanza[name] += f" {line.strip()}"
        else:
            name, colon, value = line.partition(":")
            if colon:
                stanza[name] = value.strip()
            else:
                name = ""
    if stanza:
        yield stanza


def first_of_each(found: Iterable[Stanza]) -> dict[str, Stanza]:
    """Return the first stanza of each package; several suites or versions can repeat it."""
    packages: dict[str, Stanza] = {}
    for stanza in found:
        if name := stanza.get("Package"):
            packages.setdefault(name, stanza)
    return packages


def sections(packages: Mapping[str, Stanza], english: Mapping[str, Stanza]) -> Iterator[Row]:
    """Yield the descriptions, labelled with the sections."""
    for name, package in packages.items():
        text = english.get(name, {}).get(f"Description-{ENGLISH}")
        section = package.get("Section", "").rpartition("/")[2]
        if text and section:
            yield Row(f"{split(package)}/{name}", text, section)


def languages(
    packages: Mapping[str, Stanza], translated: Mapping[str, Mapping[str, Stanza]]
) -> Iterator[Row]:
    """Yield the translations, labelled with the languages; at most MAX_ROWS each, selected by a hash."""
    for language, found in translated.items():
        translations = []
        for name in found.keys() & packages.keys():
            text = found[name].get(f"Description-{language}", "")
            if text and UNTRANSLATED not in text:
                translations.append(Row(f"{split(packages[name])}/{language}/{name}", text, language))
        translations.sort(key=lambda row: (zlib.crc32(row.id.encode()), row.id))
        yield from translations[:MAX_ROWS]


def split(package: Stanza) -> str:
    """Return `test` or `train`, depending on the package's source."""
    source = package.get("Source", package["Package"]).partition(" ")[0]  # without a version
    return "train" if zlib.crc32(source.encode()) % TEST_FRACTION else "test"


def frequent(all_rows: Iterable[Row]) -> list[Row]:
    """Return the rows of labels with at least MIN_ROWS rows, without duplicate texts per label."""
    first: dict[tuple[str, str], Row] = {}
    for row in all_rows:
        first.setdefault((row.text, row.label), row)
    counts = Counter(row.label for row in first.values())
    return [row for row in first.values() if counts[row.label] >= MIN_ROWS]


if __name__ == "__main__":
    command.run(main)
