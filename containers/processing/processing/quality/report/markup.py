"""Build HTML. Data is escaped with `text`, and only data."""

import html
import re
from collections.abc import Iterable, Sequence

from processing.quality.bootstrap import Estimate

CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)  # and bidirectional controls
NAME_CHARACTERS = 28


def text(value: object) -> str:
    """Escape untrusted text for HTML."""
    return html.escape(CONTROLS.sub("\ufffd", str(value)))


def short(name: str, characters: int = NAME_CHARACTERS) -> str:
    """Truncate a name."""
    return name if len(name) <= characters else name[: characters - 1] + "…"


def label(name: str, kind: str = "") -> str:
    """Return a label's name as a chip, with the full name as its title."""
    return f'<span class="label {kind}" title="{text(name)}">{text(short(name))}</span>'


def section(title: str, *parts: str, kind: str = "") -> str:
    """Return a card with a heading."""
    content = "\n".join(parts)
    return f'<section class="{kind}">\n<h2>{title}</h2>\n{content}\n</section>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Return a table; cells are HTML."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table class="{kind}">\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'


def keys(items: Iterable[tuple[str, str]]) -> str:
    """Return a plot's legend: names and their colours."""
    entries = (f'<span style="--key: {colour}">{text(name)}</span>' for name, colour in items)
    return f'<div class="keys">{"".join(entries)}</div>'


def percent(share: float, digits: int = 1) -> str:
    """Format a share as a percentage; NaN as a dash."""
    return "–" if share != share else f"{share:.{digits}%}"


def points(difference: float) -> str:
    """Format a difference of shares in percentage points, with its sign."""
    return "–" if difference != difference else f"{100 * difference:+.2f}".replace("-", "−")


def between(figure: Estimate) -> str:
    """Format an interval of shares."""
    return f"{percent(figure.low)} to {percent(figure.high)}"
