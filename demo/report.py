"""What a run came to: metrics, verdict and answers."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from demo.ask import Answer, Exchange
from demo.data import SAMPLE_NAME
from demo.progress import Outcome, Progress
from demo.upload import PREFIX
from demo.verdict import OK, Finding, exit_code

GOOD_VERDICT = "pass"
REVIEW_CHARACTERS = 100


def print_quality(console: Console, progress: Progress, synthetic: str) -> None:
    """Print the judgement's table and its sentence, with a mark where the data is synthetic."""
    judged = progress.history.find("table", "approved")
    if not judged:
        return
    mark = f"   [yellow]{escape(synthetic)}[/]" if synthetic else ""
    console.print(f"\n[bold]Model quality[/]{mark}")
    table = _table("metric", "value", "bound", "verdict")
    for row in judged["table"]:
        verdict = Text(str(row["verdict"]), "green" if row["verdict"] == GOOD_VERDICT else "red")
        table.add_row(str(row["metric"]), _number(row["value"]), f">= {row['bound']}", verdict)
    console.print(_indent(table))
    style = "green" if judged["approved"] else "red"
    console.print(Text(f"  {judged.get('summary', '')}", f"bold {style}"), soft_wrap=True)
    console.print(Text(f"  {judged.get('modelPackageArn', '')}", "dim"), soft_wrap=True)


def print_failure(console: Console, progress: Progress) -> None:
    """Print why an execution failed, with the pipeline steps that did."""
    console.print(f"\n[bold red]{progress.status}[/]  {escape(progress.error)}")
    console.print(f"  {escape(progress.cause or 'AWS gave no cause.')}", soft_wrap=True)
    for step in progress.steps:
        if step.status == "Failed" and step.reason not in progress.cause:
            console.print(f"  Step {step.name}: {escape(step.reason)}", soft_wrap=True)


def print_answers(console: Console, exchanges: Sequence[Exchange]) -> None:
    """Print what both endpoints said, side by side."""
    console.print("\n[bold]Answers[/]")
    table = _table("review", "expected", "real-time", "async", "")
    for each in exchanges:
        style = "" if each.sensible else "yellow"
        table.add_row(
            each.review.text, each.review.expected or "-",
            Text(_answer(each.real_time), style), Text(_answer(each.asynchronous), style),
            Text("agree", "green") if each.agree else Text("differ", "red"),
        )  # fmt: skip
    console.print(_indent(table))


def print_verdict(console: Console, finding: Finding) -> None:
    """Print the last word."""
    if finding.progress.outcome is Outcome.REJECTED:
        live = [name for name, status in finding.progress.endpoints.items() if status == "InService"]
        kept = (
            f"What was live stays live: {', '.join(live)}." if live else "No endpoint was live, and none is."
        )
        console.print(f"\n[bold red]The new model was rejected.[/] {kept}")
    elif exit_code(finding) == OK:
        console.print("\n[bold green]The new model is live on both endpoints.[/]")
    elif finding.progress.outcome is Outcome.DEPLOYED:
        console.print("\n[bold red]The run deployed a model, but not all is well.[/]")
        for fault in finding.faults:
            console.print(f"  {escape(fault)}")


def synthetic_mark(keys: Sequence[str]) -> str:
    """Say how much of what lies under raw/ is the synthetic sample, or nothing."""
    if PREFIX + SAMPLE_NAME not in keys:
        return ""
    if len(keys) == 1:
        return "SYNTHETIC data: these numbers say nothing about real reviews"
    return "PARTLY SYNTHETIC data: raw/ holds the project's sample beside other files"


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 3, 0, 0), pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _indent(table: Table) -> Padding:
    return Padding(table, (0, 0, 0, 2), expand=False)


def _answer(answer: Answer) -> str:
    return f"{answer.label} {answer.probability:.3f}"


def _number(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "-" if value is None else str(value)
