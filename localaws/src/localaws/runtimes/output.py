"""What a process prints, cut into lines."""

import codecs
import re
from collections.abc import Callable

LINE_CHARACTERS = 32_768
_BREAK = re.compile(r"\r\n|\n|\r")


class Lines:
    """Turns chunks of bytes into lines: bounded in length, undecodable bytes replaced.

    A lone carriage return starts the line anew, as on a terminal: of a progress bar the last state is told.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""

    def feed(self, chunk: bytes) -> None:
        """Take in what was read."""
        self._text += self._decoder.decode(chunk)
        self._emit(final=False)

    def close(self) -> None:
        """Tell what is left when nothing more comes."""
        self._text += self._decoder.decode(b"", final=True)
        self._emit(final=True)

    def _emit(self, final: bool) -> None:
        text, start, overwritten = self._text, 0, ""
        for found in _BREAK.finditer(text):
            if found[0] == "\r":
                if found.end() == len(text) and not final:
                    break  # the other half of "\r\n" may follow
                overwritten = text[start : found.start()] or overwritten
            else:
                self._on_lines(text[start : found.start()] or overwritten)
                overwritten = ""
            start = found.end()
        self._text = text[start:] or overwritten
        while len(self._text) > LINE_CHARACTERS:
            self._on_line(self._text[:LINE_CHARACTERS])
            self._text = self._text[LINE_CHARACTERS:]
        if final and self._text:
            self._on_line(self._text)
            self._text = ""

    def _on_lines(self, line: str) -> None:
        for start in range(0, len(line) or 1, LINE_CHARACTERS):
            self._on_line(line[start : start + LINE_CHARACTERS])
