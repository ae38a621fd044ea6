"""Show what became of each clause, while it is checked and once more as JSON."""

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
WORDS = {
    Outcome.HOLDS: "hold",
    Outcome.BROKEN: "broken",
    Outcome.NOTED: "with a note",
    Outcome.UNCHECKED: "not checked",
}
PLAIN_COLUMNS = 110  # where there is no terminal to ask
INDENT = 5  # of what is said about a clause


def show(clauses: Sequence[Clause], judge: Callable[[Clause], Result], console: Console) -> list[Result]:
    """Judge clause after clause and print what becomes of each, the one that is checked named below."""
    results: list[Result] = []
    stage = ""
    with console.status("") as status:
        for clause in clauses:
            status.update(Text(clause.says, "dim"))
            if clause.stage != stage:
                stage = clause.stage
                console.print(Text(f"\n{stage}", "bold"))
            results.append(judge(clause))
            _print(results[-1], console)
    return results


def summary(results: Sequence[Result], subject: str, seconds: float) -> Text:
    """What it comes to, in one line."""
    counts = Counter(result.outcome for result in results)
    summary = ", ".join(f"{counts[outcome]} {WORDS[outcome]}" for outcome in Outcome if counts[outcome])
    broken = bool(counts[Outcome.BROKEN])
    verdict = "breaks the contract" if broken else "keeps the contract"
    return Text.assemble(
        "\n",
        (f"{subject} {verdict}", "bold red" if broken else "bold green"),
        f": {summary} ({seconds:.0f} s)",
    )


def write_json(results: Sequence[Result], subject: str, path: Path) -> None:
    """Write the results for a program to read."""
    clauses = [
        {
            "clause": result.clause.name,
            "says": result.clause.says,
            "outcome": result.outcome.value,
            "detail": result.detail,
            "seconds": round(result.seconds, 3),
        }
        for result in results
    ]
    document = {"subject": subject, "keeps": keeps(results), "clauses": clauses}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def keeps(results: Iterable[Result]) -> bool:
    """Whether no clause is broken."""
    return all(result.outcome is not Outcome.BROKEN for result in results)


def console() -> Console:
    """Standard output: coloured on a terminal, plain elsewhere."""
    found = Console(highlight=False, emoji=False, markup=False)
    return (
        found
        if found.is_terminal
        else Console(highlight=False, emoji=False, markup=False, width=PLAIN_COLUMNS)
    )


def _print(result: Result, console: Console) -> None:
    glyph, word, style = GLYPHS[result.outcome]
    mark = f"  {glyph} " if console.is_terminal else f"  {word:3}"
    line = Text.assemble((mark, style), result.clause.says)
    if result.outcome is Outcome.HOLDS:
        line.append(f"  {result.detail}", "dim")
        console.print(line, no_wrap=True, overflow="ellipsis")
        return
    console.print(line.append(f"  [{result.clause.name}]", "dim"))
    remedy = [(result.clause.remedy, "cyan")] if result.outcome is Outcome.BROKEN else []
    for text, colour in [(result.detail, style), *remedy]:
        console.print(Padding(Text(text, colour), (0, 0, 0, INDENT), expand=False))
