"""The commands in the shell blocks of the documentation."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "localaws/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "containers").rglob("*.md")),
]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`((?:make|\.venv/bin/python|python -m|localaws) [^`]+)`")
SEPARATORS = {"|", ";", "&&", "(", ")", "$", ")|", ");"}


def blocks(page: Path) -> list[str]:
    """Return the shell blocks of a page."""
    return BLOCK.findall(page.read_text("utf-8"))


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of a program in a page's blocks and inline code."""
    text = page.read_text("utf-8")
    for source in [*blocks(page), *INLINE.findall(text)]:
        words = split(source)
        for place, word in enumerate(words):
            if word == program:
                rest = words[place + 1 :]
                end = next((i for i, other in enumerate(rest) if other in SEPARATORS), len(rest))
                yield rest[:end]


def split(source: str) -> list[str]:
    """Return the words of a script; a separator between commands is a word, and so is a line's end."""
    lines = source.replace("\\\n", " ").splitlines()
    words: list[str] = []
    for line in join_quotes(lines):
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&()")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words += [*lexer, ";"]
    return words


def join_quotes(lines: list[str]) -> Iterator[str]:
    """Yield lines, one for a quotation that spans several."""
    joined = ""
    for line in lines:
        joined = f"{joined} {line}" if joined else line
        code = re.sub(r"(^|\s)#.*", "", joined)
        if code.count("'") % 2 == 0 and code.count('"') % 2 == 0:
            yield joined
            joined = ""
