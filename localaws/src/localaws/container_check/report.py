"""Print each clause's result during the check, and write all results as JSON."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from localaws.container_check.clauses import Clause, Outcome, Result

GLYPHS = {
    Outcome.HOLDS: ("✓", "ok", "green"),
    Outcome.BROKEN: ("✗", "NO", "bold red"),
    Outcome.NOTED: ("!", "ok", "yellow"),
    Outcome.UNCHECKED: ("·", "--", "dim"),
}
LABELS = {
    Outcome.HOLDS: "hold",
    Outcome.BROKEN: "violated",
    Outcome.NOTED: "with a note",
    Outcome.UNCHECKED: "not checked",
}
PLAIN_COLUMNS = 110  # the width if the output is not a terminal
INDENT = 5  # of the finding and the remedy below a clause


def show(clauses: Sequence[Clause], judge: Callable[[Clause], Result], console: Console) -> list[Result]:
    """Judge the clauses in order and print each result; a status line shows the current clause."""
    results: list[Result] = []
    stage = ""
    with console.status("") as status:
        for clause in clauses:
            status.update(Text(clause.requirement, "dim"))
            if clause.stage != stage:
                stage = clause.stage
                console.print(Text(f"\n{stage}", "bold"))
            results.append(judge(clause))
            _print(results[-1], console)
    return results


def summary(results: Sequence[Result], subject: str, seconds: float) -> Text:
    """Return the overall result as one line."""
    counts = Counter(result.outcome for result in results)
    summary = ", ".join(f"{counts[outcome]} {LABELS[outcome]}" for outcome in Outcome if counts[outcome])
    broken = bool(counts[Outcome.BROKEN])
    verdict = "violates the contract" if broken else "meets the contract"
    return Text.assemble(
        "\n",
        (f"{subject} {verdict}", "bold red" if broken else "bold green"),
        f": {summary} ({seconds:.0f} s)",
    )


def write_json(results: Sequence[Result], subject: str, path: Path) -> None:
    """Write the results as JSON."""
    clauses = [
        {
            "clause": result.clause.name,
            "says": result.clause.requirement,
            "outcome": result.outcome.value,
            "detail": result.detail,
            "seconds": round(result.seconds, 3),
        }
        for result in results
    ]
    document = {"subject": subject, "keeps": meets_contract(results), "clauses": clauses}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def meets_contract(results: Iterable[Result]) -> bool:
    """Return whether no clause is violated."""
    return all(result.outcome is not Outcome.BROKEN for result in results)


def console() -> Console:
    """Return a console for standard output, with colours on a terminal only."""
    found = Console(highlight=False, emoji=False, markup=False)
    return (
        found
        if found.is_terminal
        else Console(highlight=False, emoji=False, markup=False, width=PLAIN_COLUMNS)
    )


def _print(result: Result, console: Console) -> None:
    glyph, word, style = GLYPHS[result.outcome]
    mark = f"  {glyph} " if console.is_terminal else f"  {word:3}"
    line = Text.assemble((mark, style), result.clause.requirement)
    if result.outcome is Outcome.HOLDS:
        line.append(f"  {result.detail}", "dim")
        console.print(line, no_wrap=True, overflow="ellipsis")
        return
    console.print(line.append(f"  [{result.clause.name}]", "dim"))
    remedy = [(result.clause.remedy, "cyan")] if result.outcome is Outcome.BROKEN else []
    for text, colour in [(result.detail, style), *remedy]:
        console.print(Padding(Text(text, colour), (0, 0, 0, INDENT), expand=False))
