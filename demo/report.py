"""Print the results of a run: data, trainings, metrics, report, cost, predictions and verdict."""

import re
from collections.abc import Sequence
from pathlib import Path

from botocore.exceptions import ClientError
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from demo.data import SAMPLE_NAME
from demo.details import OBJECTIVE
from demo.objects import read
from demo.predictions import Exchange, Prediction
from demo.progress import Outcome, Progress
from demo.stack import Clients
from demo.upload import PREFIX
from demo.verdict import OK, Finding, exit_code

GOOD_VERDICT = "pass"
REPORT = re.compile(r"s3://\S+/report\.html")
REPORTS = Path(".data/reports")


def print_data(console: Console, progress: Progress) -> None:
    """Print the numbers of ingested and quarantined rows, with the location of the quarantine."""
    ledger = progress.history.find("quarantinedRows", "summary")
    if not ledger:
        return
    console.print("\n[bold]Data[/]")
    style = "yellow" if ledger["quarantinedRows"] else ""
    console.print(Text(f"  {ledger['summary']}", style), soft_wrap=True)


def print_trainings(console: Console, progress: Progress) -> None:
    """Print the trainings of the hyperparameter search, with the best one marked."""
    if not progress.trainings:
        return
    console.print("\n[bold]Hyperparameter search[/]")
    names = sorted({name for each in progress.trainings for name in each.hyperparameters})
    table = _table("", "status", OBJECTIVE, *names)
    best = max((each.objective for each in progress.trainings if each.objective is not None), default=None)
    for number, each in enumerate(progress.trainings, start=1):
        style = "green" if best is not None and each.objective == best else ""
        values = [_short(each.hyperparameters.get(name, "-")) for name in names]
        table.add_row(str(number), each.status, _number(each.objective), *values, style=style)
    console.print(_indent(table))


def print_quality(console: Console, progress: Progress, synthetic: str) -> None:
    """Print the table and summary of the model's judgement, marked if the data is synthetic."""
    judged = progress.history.find("table", "approved")
    if not judged:
        return
    mark = f"   [yellow]{escape(synthetic)}[/]" if synthetic else ""
    console.print(f"\n[bold]Model quality[/]{mark}")
    table = _table("metric", "value", "bound", "verdict")
    for row in judged["table"]:
        verdict = Text(str(row["verdict"]), "green" if row["verdict"] == GOOD_VERDICT else "red")
        bound = f"{row.get('relation', '>=')} {row['bound']}"
        table.add_row(str(row["metric"]), _number(row["value"]), bound, verdict)
    console.print(_indent(table))
    style = "green" if judged["approved"] else "red"
    console.print(Text(f"  {judged.get('summary', '')}", f"bold {style}"), soft_wrap=True)
    console.print(Text(f"  {judged.get('modelPackageArn', '')}", "dim"), soft_wrap=True)


def print_report(
    console: Console, clients: Clients, progress: Progress, folder: Path = REPORTS
) -> Path | None:
    """Download the report for viewing in a browser, print its path and return it; None if there is none."""
    uri = report_uri(progress)
    if not uri:
        return None
    console.print("\n[bold]Report[/]")
    target = folder / f"{progress.name}.html"
    try:
        body = read(clients.s3, uri)
    except ClientError as error:
        message = f"  {uri} cannot be read ({error}). With sufficient permissions, run: aws s3 cp {uri} ."
        console.print(Text(message, "yellow"), soft_wrap=True)
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(body)
    console.print(Text(f"  {target}", f"link {target.resolve().as_uri()}"), soft_wrap=True)
    console.print(Text(f"  {uri}", "dim"), soft_wrap=True)
    return target


def report_uri(progress: Progress) -> str | None:
    """Return the report's URI from the model's judgement or from the cause of a rejection by the pipeline."""
    judged = progress.history.find("reportUri")
    if judged and judged["reportUri"]:
        return str(judged["reportUri"])
    ended = progress.history.find("cause", "status") or {}
    named = REPORT.search(str(ended.get("cause") or ""))
    return named[0] if named else None


def print_cost(console: Console, progress: Progress) -> None:
    """Print the estimated cost of the run on AWS."""
    cost = (progress.history.find("cost") or {}).get("cost")
    if isinstance(cost, dict) and cost.get("text"):
        console.print("\n[bold]Cost[/]")
        for line in str(cost["text"]).splitlines():
            console.print(Text(f"  {line}"), soft_wrap=True)


def print_failure(console: Console, progress: Progress) -> None:
    """Print the cause of a failed execution and the reasons of failed pipeline steps."""
    console.print(f"\n[bold red]{progress.status}[/]  {escape(progress.error)}")
    console.print(f"  {escape(progress.cause or 'AWS returned no cause.')}", soft_wrap=True)
    for step in progress.steps:
        if step.status == "Failed" and step.reason not in progress.cause:
            console.print(f"  Step {step.name}: {escape(step.reason)}", soft_wrap=True)


def print_predictions(console: Console, exchanges: Sequence[Exchange]) -> None:
    """Print the predictions of both endpoints side by side."""
    console.print("\n[bold]Predictions[/]")
    table = _table("review", "expected", "real-time", "async", "")
    for each in exchanges:
        style = "" if each.sensible else "yellow"
        table.add_row(
            each.review.text, each.review.expected or "-",
            Text(_prediction(each.real_time), style), Text(_prediction(each.asynchronous), style),
            Text("agree", "green") if each.agree else Text("differ", "red"),
        )  # fmt: skip
    console.print(_indent(table))


def print_verdict(console: Console, finding: Finding) -> None:
    """Print the verdict on the run."""
    if finding.champion_kept:
        console.print(
            "\n[bold yellow]The new model is good, but not better than the live one, which stays live[/] on "
            "both endpoints. The predictions above are from the live model."
        )
        _print_faults(console, finding)
    elif finding.progress.outcome is Outcome.REJECTED:
        live = [name for name, status in finding.progress.endpoints.items() if status == "InService"]
        kept = (
            f"The previous model stays live: {', '.join(live)}."
            if live
            else "No endpoint is live, as before."
        )
        console.print(f"\n[bold red]The new model was rejected.[/] {kept}")
        if reason := rejection_reason(finding.progress):
            console.print(f"  {escape(reason)}", soft_wrap=True)
    elif exit_code(finding) == OK:
        console.print("\n[bold green]The new model is live on both endpoints.[/]")
    elif finding.progress.outcome is Outcome.DEPLOYED:
        console.print("\n[bold red]The run deployed a model, but with problems:[/]")
        _print_faults(console, finding)


def synthetic_mark(keys: Sequence[str]) -> str:
    """Return a note on how much of the data under raw/ is synthetic; empty if none is."""
    if PREFIX + SAMPLE_NAME not in keys:
        return ""
    if len(keys) == 1:
        return "SYNTHETIC data: these numbers are meaningless for real reviews"
    return "PARTLY SYNTHETIC data: raw/ contains the project's sample and other files"


def rejection_reason(progress: Progress) -> str:
    """Return why the pipeline registered no model; empty if `print_quality` has printed the reason."""
    if progress.history.find("table", "approved"):
        return ""
    return str((progress.history.find("cause", "status") or {}).get("cause") or "")


def _print_faults(console: Console, finding: Finding) -> None:
    for fault in finding.faults:
        console.print(f"  [red]{escape(fault)}[/]", soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 3, 0, 0), pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _indent(table: Table) -> Padding:
    return Padding(table, (0, 0, 0, 2), expand=False)


def _prediction(prediction: Prediction) -> str:
    return f"{prediction.label} {prediction.probability:.3f}"


def _short(value: str) -> str:
    """Shorten a numeric hyperparameter to four significant digits."""
    try:
        return value if value.lstrip("-").isdigit() else f"{float(value):.4g}"
    except ValueError:
        return value


def _number(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "-" if value is None else str(value)
