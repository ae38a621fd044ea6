"""Apply the recipes of docs/extending.md to a copy of the repository."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import NamedTuple

BLOCK = re.compile(r"^```(\w+) (title=[^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPERATIONS = ("create", "append", "after", "before", "replace")


class Edit(NamedTuple):
    """One fenced block: a change of one file."""

    path: str
    operation: str
    anchor: str
    within: str
    mode: int
    content: str


class AnchorError(Exception):
    """An anchor matches no line, or several."""


def recipes(page: str) -> dict[str, list[Edit]]:
    """Return the edits of each recipe, by its heading."""
    parts = re.split(r"^## (.*)\n", page, flags=re.MULTILINE)
    found = {title: list(edits(body)) for title, body in zip(parts[1::2], parts[2::2], strict=True)}
    return {title: some for title, some in found.items() if some}


def edits(text: str) -> Iterator[Edit]:
    """Yield the edits among the fenced blocks of a text."""
    for _, info, content in BLOCK.findall(text):
        words = {word.partition("=")[0]: word.partition("=")[2] for word in shlex.split(info)}
        [operation] = [name for name in OPERATIONS if name in words]
        mode = int(words.get("mode", "644"), 8)
        yield Edit(words["title"], operation, words[operation], words.get("within", ""), mode, content)


def apply(edit: Edit, root: Path) -> None:
    """Change or write the file below a folder."""
    file = root / edit.path
    if edit.operation == "create":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(edit.content, "utf-8")
        file.chmod(edit.mode)
        return
    text = file.read_text("utf-8")
    if edit.operation == "append":
        file.write_text(f"{text.rstrip()}\n\n\n{edit.content}", "utf-8")
        return
    lines = text.splitlines(keepends=True)
    place = find(lines, edit)
    line = lines[place]
    block = indent(edit.content, line[: len(line) - len(line.lstrip())])
    lines[place : place + 1] = {
        "after": [line, block],
        "before": [block, line],
        "replace": [block],
    }[edit.operation]
    file.write_text("".join(lines), "utf-8")


def find(lines: list[str], edit: Edit) -> int:
    """Return the index of the anchor's line."""
    if edit.within:
        first = only(lines, edit.within, edit.path) + 1
        places = [n for n in range(first, len(lines)) if lines[n].lstrip().startswith(edit.anchor)]
        if places:
            return places[0]
    return only(lines, edit.anchor, edit.path)


def only(lines: list[str], text: str, path: str) -> int:
    """Return the index of the one line that starts with a text, its indentation aside."""
    places = [n for n, line in enumerate(lines) if line.lstrip().startswith(text)]
    if len(places) != 1:
        raise AnchorError(f"{path}: {len(places)} lines start with {text!r}; exactly one is needed")
    return places[0]
