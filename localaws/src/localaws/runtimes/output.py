"""Split the output of a process into lines."""

import codecs
import re
from collections.abc import Callable

LINE_CHARACTERS = 32_768
_BREAK = re.compile(r"\r\n|\n|\r")


class Lines:
    """Split chunks of bytes into lines of limited length; bytes that are not UTF-8 are replaced.

    As on a terminal, a carriage return without line feed restarts the line: only a progress bar's last state
    is reported.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""

    def feed(self, chunk: bytes) -> None:
        """Process a chunk of output."""
        self._text += self._decoder.decode(chunk)
        self._emit(final=False)

    def close(self) -> None:
        """Report the rest of the output as the last line."""
        self._text += self._decoder.decode(b"", final=True)
        self._emit(final=True)

    def _emit(self, final: bool) -> None:
        text, start, overwritten = self._text, 0, ""
        for found in _BREAK.finditer(text):
            if found[0] == "\r":
                if found.end() == len(text) and not final:
                    break  # the "\n" of a "\r\n" may follow in the next chunk
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
