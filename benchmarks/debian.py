"""Two data sets of other kinds than film reviews, made from Debian's own package lists.

`sections.csv` holds the packages' English descriptions, each labelled with its package's section (some forty:
`games`, `libs`, `science` …), `languages.csv` their translations, each labelled with its language
(close ones among them, and scripts without spaces). Packages of one source describe themselves in the same
words, so all of them are tested on (their ids begin with `test/`) or none.

The lists are those of the machine's own apt sources, as `apt-get update` gets them: into the folder, next to
the machine's own, which stay as they are. A Debian machine of any release will do.

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
LEAST_ROWS = 200  # a label of fewer is left out
MOST_ROWS = 4000  # of a language
TESTED_SHARE = 5  # one source in so many
UNTRANSLATED = "<trans>"  # stands for a paragraph that nobody has translated
TOLD_LINES = 15

Stanza = Mapping[str, str]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = argparse.ArgumentParser(
        prog="python -m benchmarks.debian",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    it.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where they are written")
    return it


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both; the exit code."""
    folder: Path = parser().parse_args(arguments).to
    lists = update(folder.resolve() / "apt")
    packages = first_of_each(lists.get("", []))
    translated = {language: first_of_each(lists.get(language, [])) for language in (ENGLISH, *LANGUAGES)}
    found = {
        "sections": sections(packages, translated.pop(ENGLISH)),
        "languages": languages(packages, translated),
    }
    for name, made in found.items():
        kept = frequent(made)
        if not kept:
            raise DataError(f"apt's lists make no {name}: has this machine Debian's main among its sources?")
        size = rows.write(folder / f"{name}.csv", kept)
        tested = sum(row.id.startswith("test/") for row in kept)
        labels = len({row.label for row in kept})
        print(f"{name}.csv: {len(kept):,} rows, {tested:,} to test, {labels} labels, {size / 1e6:.1f} MB")
    return 0


def update(folder: Path) -> dict[str, list[Stanza]]:
    """Get the lists anew: the packages' under "", the translations' under their language.

    Raises:
        CommandError: There is no apt, or it cannot reach its sources.
    """
    (folder / "lists/partial").mkdir(parents=True, exist_ok=True)
    settings = folder / "apt.conf"
    wanted = " ".join(f'"{language}";' for language in (ENGLISH, *LANGUAGES))
    settings.write_text(
        "#clear Acquire::Languages;\n#clear APT::Update;\n"
        f"Acquire::Languages {{ {wanted} }};\n"
        'Acquire::GzipIndexes "false";\nDir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
        f'Dir::State::Lists "{folder}/lists";\n'
    )
    apt("-c", str(settings), "-q", "update")
    told = apt(
        *("-c", str(settings), "indextargets", "--format", "$(CREATED_BY)\t$(LANGUAGE)\t$(FILENAME)"),
        *("Origin: Debian", "Component: main"),
    )
    found: dict[str, list[Stanza]] = {}
    for line in told.splitlines():
        kind, language, file = line.split("\t")
        if kind in ("Packages", "Translations"):
            with Path(file).open(encoding="utf-8", errors="replace", newline="\n") as lines:
                found.setdefault(language if kind == "Translations" else "", []).extend(stanzas(lines))
    return found


def apt(*arguments: str) -> str:
    """What apt-get prints."""
    try:
        done = subprocess.run(["apt-get", *arguments], capture_output=True, text=True)
    except OSError as error:
        raise CommandError(f"apt-get does not start ({error}): these data sets need Debian") from error
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-TOLD_LINES:])
        raise CommandError(f"apt-get ended with exit code {done.returncode}:\n{said}")
    return done.stdout


def stanzas(lines: Iterable[str]) -> Iterator[Stanza]:
    """The stanzas of a control file; the lines of a field become one, what is no field is passed over."""
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
    """By package: several suites list it, and a translation may be of each of its versions."""
    packages: dict[str, Stanza] = {}
    for stanza in found:
        if name := stanza.get("Package"):
            packages.setdefault(name, stanza)
    return packages


def sections(packages: Mapping[str, Stanza], english: Mapping[str, Stanza]) -> Iterator[Row]:
    """The descriptions, labelled with the sections."""
    for name, package in packages.items():
        text = english.get(name, {}).get(f"Description-{ENGLISH}")
        section = package.get("Section", "").rpartition("/")[2]
        if text and section:
            yield Row(f"{split(package)}/{name}", text, section)


def languages(
    packages: Mapping[str, Stanza], translated: Mapping[str, Mapping[str, Stanza]]
) -> Iterator[Row]:
    """The translations, labelled with the languages; some of each, chosen by a hash."""
    for language, found in translated.items():
        made = []
        for name in found.keys() & packages.keys():
            text = found[name].get(f"Description-{language}", "")
            if text and UNTRANSLATED not in text:
                made.append(Row(f"{split(packages[name])}/{language}/{name}", text, language))
        yield from sorted(made, key=lambda row: (zlib.crc32(row.id.encode()), row.id))[:MOST_ROWS]


def split(package: Stanza) -> str:
    """`test` or `train`, by the package's source."""
    source = package.get("Source", package["Package"]).partition(" ")[0]  # a version may follow
    return "train" if zlib.crc32(source.encode()) % TESTED_SHARE else "test"


def frequent(made: Iterable[Row]) -> list[Row]:
    """The rows of the frequent labels; of a label's rows with the same text, the first."""
    first: dict[tuple[str, str], Row] = {}
    for row in made:
        first.setdefault((row.text, row.label), row)
    counts = Counter(row.label for row in first.values())
    return [row for row in first.values() if counts[row.label] >= LEAST_ROWS]


if __name__ == "__main__":
    command.run(main)
