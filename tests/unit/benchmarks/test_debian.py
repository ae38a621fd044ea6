"""Reading Debian's package lists and creating datasets of them."""

from pathlib import Path

import pytest

from benchmarks import debian, rows
from benchmarks.errors import CommandError, DataError
from benchmarks.rows import Row

PACKAGES = """\
Package: chess
Source: chess-suite (1.2-3)
Section: games

Package: chess-data
Source: chess-suite
Section: non-free/games
this line is no field
 and this one goes with it

Package: snake
Section: python
Package-Type: deb


Package: silent
"""
ENGLISH = """\
Package: chess
Description-md5: 0
Description-en: a game
 of two: white
 .
 and black

Package: chess-data
Description-en: boards

Package: snake
Description-en: a library

Package: chess
Description-en: the description of a later version
"""
GERMAN = """\
Package: chess
Description-de: ein Spiel für zwei

Package: snake
Description-de: eine Bibliothek
 <trans>

Package: gone
Description-de: ein Paket von gestern
"""
# Answers as apt-get does, where the settings say that the lists are.
APT = """\
#!/bin/sh
lists=$(sed -n 's/^Dir::State::Lists "\\(.*\\)";$/\\1/p' "$2")
case "$*" in
    *indextargets*) printf 'Packages\\t$(LANGUAGE)\\t%s/packages\\nDEP-11\\t\\t%s/none\\n' "$lists" "$lists"
                    printf 'Translations\\ten\\t%s/en\\nTranslations\\tde\\t%s/de\\n' "$lists" "$lists" ;;
    *update*)       cp "$(dirname "$0")"/archive/* "$lists" ;;
esac
"""


def parsed(text: str) -> dict[str, debian.Stanza]:
    return debian.first_of_each(debian.stanzas(text.splitlines(keepends=True)))


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake apt-get, and the folder of the lists that it downloads."""
    (tmp_path / "archive").mkdir()
    for name, content in (("packages", PACKAGES), ("en", ENGLISH), ("de", GERMAN)):
        (tmp_path / "archive" / name).write_text(content, "utf-8")
    program = tmp_path / "apt-get"
    program.write_text(APT)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(debian, "MIN_ROWS", 1)
    return program


def test_continuation_lines_are_joined_and_invalid_lines_skipped() -> None:
    packages = parsed(PACKAGES)
    assert list(packages) == ["chess", "chess-data", "snake", "silent"]
    assert packages["chess-data"]["Section"] == "non-free/games"
    assert parsed(ENGLISH)["chess"]["Description-en"] == "a game of two: white and black"
    assert list(debian.stanzas([" lost\n", "\n", "lost\n", "\r\n"])) == []


def test_descriptions_are_labelled_with_sections() -> None:
    made = list(debian.sections(parsed(PACKAGES), parsed(ENGLISH)))
    assert [(row.text, row.label) for row in made] == [
        ("a game of two: white and black", "games"),
        ("boards", "games"),
        ("a library", "python"),
    ]


def test_complete_translations_of_known_packages_are_labelled_with_languages() -> None:
    [row] = debian.languages(parsed(PACKAGES), {"de": parsed(GERMAN), "fr": {}})
    assert (row.text, row.label) == ("ein Spiel für zwei", "de")
    assert row.id.endswith("/de/chess")


def test_the_rows_of_a_language_are_reproducible_and_limited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(debian, "MAX_ROWS", 5)
    packages = {str(number): {"Package": str(number), "Description-de": "ein Text"} for number in range(50)}
    made = list(debian.languages(packages, {"de": packages}))
    assert made == list(debian.languages(packages, {"de": dict(reversed(packages.items()))}))
    assert len(made) == 5


def test_no_source_is_in_both_splits() -> None:
    splits = {debian.split({"Package": str(number), "Source": "chess-suite (1.2-3)"}) for number in range(50)}
    assert splits == {debian.split({"Package": "any", "Source": "chess-suite"})}
    own = [debian.split({"Package": f"package-{number}"}) for number in range(1000)]
    assert 150 < own.count("test") < 250


def test_rare_labels_and_duplicate_texts_of_a_label_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "MIN_ROWS", 2)
    made = [Row(*row) for row in (("1", "a", "x"), ("2", "b", "x"), ("3", "a", "x"), ("4", "a", "y"))]
    assert debian.frequent(made) == made[:2]


def test_the_files_are_valid_data_of_a_benchmark(
    apt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "made"
    assert debian.main(["--to", str(to)]) == 0
    assert {row.label for row in rows.read(to / "sections.csv")} == {"games", "python"}
    assert [row.text for row in rows.read(to / "languages.csv")] == ["ein Spiel für zwei"]
    assert "sections.csv: 3 rows" in capsys.readouterr().out
    assert "#clear APT::Update;" in (to / "apt/apt.conf").read_text()  # hooks of the machine's own lists


def test_missing_lists_and_apt_errors_are_reported(
    apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "archive/en").write_text("")
    with pytest.raises(DataError, match="contain no sections"):
        debian.main(["--to", str(tmp_path / "made")])
    apt.write_text("#!/bin/sh\necho 'E: no network'\nexit 100\n")
    with pytest.raises(CommandError, match="exit code 100:\nE: no network"):
        debian.main(["--to", str(tmp_path / "made")])
    monkeypatch.setenv("PATH", str(tmp_path / "made"))
    with pytest.raises(CommandError, match="need Debian"):
        debian.main(["--to", str(tmp_path / "made")])
