"""Show the complete loop: upload data, follow the retraining of the model and invoke both endpoints.

Uses the standard AWS environment (AWS_PROFILE, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL and so on).
"""

import argparse
import sys
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape

from demo import data, guide, predictions, report, stack, upload
from demo.check import check
from demo.errors import DemoError
from demo.progress import Outcome, Progress
from demo.verdict import Finding, exit_code
from demo.watch import Watch

PLAIN_COLUMNS = 100
INTERRUPTED = 130
EPILOG = """\
exit codes:
  0    both endpoints serve a good model and agree: the new model, or the previous one if the new model
       meets all thresholds but is not better
  1    the run failed, or an endpoint does not respond as expected
  2    the data, the stack or the AWS environment cannot be used
  3    the new model was rejected because it missed a threshold; the previous model stays live
  130  interrupted; the run continues in AWS
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    options = parser().parse_args(arguments)
    console = open_console(stderr=options.only_data)
    watch: Watch | None = None
    try:
        if options.only_check or options.only_data:
            return only_local(options, console)
        dataset = check(data.get(options.data, console), console) if options.data else None
        clients = stack.connect()
        target = stack.describe(clients, options.stack)
        dataset = dataset or default(raw_keys(clients, target), console)
        console.print(f"[bold]{target.name}[/] at {stack.where()}, data: {escape(dataset.origin)}")
        watch = Watch(clients, target, console)
        progress = run(clients, target, dataset, watch, console, options.force)
        code = conclude(clients, target, dataset, progress, console)
        guide.print_next(console, target, options.setup, options.stop)
        return code
    except KeyboardInterrupt:
        return interrupted(console, watch)
    except DemoError as error:
        return stop(console, str(error), error.exit_code)
    except (BotoCoreError, ClientError) as error:
        return stop(console, f"{stack.where()}: {error}", 1)


def only_local(options: argparse.Namespace, console: Console) -> int:
    """Check the data or print its path, without using AWS, and return the exit code."""
    dataset = check(data.get(options.data, console, pack=not options.only_check), console)
    if options.only_data:
        print(*(file.path for file in dataset.files), sep="\n")
    return 0


def default(keys: list[str], console: Console) -> data.Dataset:
    """Return what the bucket already holds, or the default data for an empty bucket.

    Default data is never added to other data: a model of both would be of no use.
    """
    if keys:
        return data.held(keys)
    return data.get(None, console)


def open_console(stderr: bool) -> Console:
    """Return a console for the terminal, or one of fixed width if the output is not a terminal."""
    console = Console(highlight=False, stderr=stderr)
    if console.is_terminal:
        return console
    return Console(highlight=False, stderr=stderr, width=PLAIN_COLUMNS)


def run(
    clients: stack.Clients,
    target: stack.Stack,
    dataset: data.Dataset,
    watch: Watch,
    console: Console,
    force: bool,
) -> Progress:
    """Upload the data and follow the run that the upload starts."""
    if written := upload.upload(clients, target, dataset.files, console):
        return watch.uploaded(written)
    if dataset.files:
        console.print("Nothing to upload: raw/ already contains these files with identical content.")
    else:
        console.print("Nothing is uploaded: to add data, set --data (make run DATA=…).")
    if force:
        return watch.forced()
    console.print("No run was started (--no-force). Showing the newest run.")
    return watch.latest()


def conclude(
    clients: stack.Clients, target: stack.Stack, dataset: data.Dataset, progress: Progress, console: Console
) -> int:
    """Print the run's results, invoke the endpoints if a good model is live, and return the exit code."""
    report.print_data(console, progress)
    report.print_trainings(console, progress)
    report.print_quality(console, progress, report.synthetic_mark(raw_keys(clients, target)))
    report.print_report(console, clients, progress)
    report.print_cost(console, progress)
    finding = Finding(progress)
    if progress.outcome is Outcome.FAILED:
        report.print_failure(console, progress)
    if progress.outcome is Outcome.DEPLOYED or finding.champion_kept:
        exchanges = predictions.predict(clients, target, questions(clients, dataset, progress))
        report.print_predictions(console, exchanges)
        finding = Finding(progress, exchanges, expect_sense=dataset.reviews)
    report.print_verdict(console, finding)
    return exit_code(finding)


def questions(
    clients: stack.Clients, dataset: data.Dataset, progress: Progress
) -> tuple[predictions.Review, ...]:
    """Return film reviews for a film review model, otherwise rows of the run's test split."""
    judged = progress.history.find("samplesUri")
    if dataset.reviews or dataset.synthetic or not judged:
        return predictions.FILM_REVIEWS
    return predictions.samples(clients, judged["samplesUri"])


def raw_keys(clients: stack.Clients, target: stack.Stack) -> list[str]:
    """List the keys of the data under raw/, without folders, hidden files and markers such as _SUCCESS."""
    pages = clients.s3.get_paginator("list_objects_v2").paginate(Bucket=target.bucket, Prefix=upload.PREFIX)
    keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
    return [key for key in keys if key.rpartition("/")[2][:1] not in ("", ".", "_")]


def interrupted(console: Console, watch: Watch | None) -> int:
    """Print how to follow the run after an interruption and return the exit code."""
    console.print("\n[bold]Interrupted.[/]", end=" ")
    if watch and watch.current:
        console.print("The run continues in AWS. To see its status:")
        console.print(f"  {guide.following(watch.current)}", soft_wrap=True)
    else:
        console.print("No run was being followed.")
    return INTERRUPTED


def stop(console: Console, message: str, code: int) -> int:
    """Print an error and return the exit code."""
    console.print(f"[bold red]Error:[/] {escape(message)}", soft_wrap=True)
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(
        prog="python -m demo",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument(
        "--stack", default="retrain", metavar="NAME", help="the stack's name (default: retrain)"
    )
    result.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="aclImdb_v1.tar.gz, an unpacked aclImdb, a CSV, TSV, JSON Lines or Parquet file with "
        "[id,]text,label[,split] (plain, .gz, .zst), or a folder of such files (default: what the bucket "
        "already holds; for an empty bucket, download aclImdb from Stanford, or use a small synthetic sample "
        "if that fails)",
    )
    result.add_argument(
        "--no-force",
        dest="force",
        action="store_false",
        help="if the bucket already contains this data, show the newest run instead of starting one",
    )
    result.add_argument(
        "--only-data", action="store_true", help="prepare the data and print its path without using AWS"
    )
    result.add_argument(
        "--only-check",
        action="store_true",
        help="check --data by the data contract, without using AWS and without packing an unpacked aclImdb",
    )
    result.add_argument(
        "--setup", default="", metavar="COMMAND", help="command to show for preparing a new shell"
    )
    result.add_argument(
        "--stop", default="", metavar="COMMAND", help="command to show for stopping everything"
    )
    return result


if __name__ == "__main__":
    sys.exit(main())
