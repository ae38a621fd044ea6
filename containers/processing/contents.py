"""What the report tells."""

from dataclasses import dataclass

from assessment import Assessment
from comparison import Comparison
from mistakes import Mistake
from predictions import Scores
from summary import Summary


@dataclass(frozen=True)
class Champion:
    """The live model against the one that the page is about."""

    scores: Scores
    comparison: Comparison
    gained: list[Mistake]  # the champion's, that the challenger gets right
    lost: list[Mistake]  # the challenger's, that the champion gets right


@dataclass(frozen=True)
class Page:
    """What the report tells."""

    summary: Summary
    assessment: Assessment
    worst: list[Mistake]
    champion: Champion | None = None
