"""Show the whole loop: drop data, watch the model retrain itself, ask both endpoints.

Uses the standard AWS environment (AWS_PROFILE, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL and so on).
"""

import argparse
import sys
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape

from demo import ask, data, guide, report, stack, upload
from demo.errors import DemoError
from demo.progress import Outcome, Progress
from demo.verdict import Finding, exit_code
from demo.watch import Watch

PLAIN_COLUMNS = 100
INTERRUPTED = 130
EPILOG = """\
exit codes:
  0    a good model is live, both endpoints answer, and they agree: the new one, or the one that was live
       before if the new one is good enough, but no better
  1    the run failed, or an endpoint does not answer as it should
  2    the data, the stack or the AWS environment cannot be used
  3    the new model was rejected, as it is below a bound; what was live stays live
  130  interrupted; the run goes on in AWS
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    options = parser().parse_args(arguments)
    console = open_console(stderr=options.only_data)
    watch: Watch | None = None
    try:
        dataset = data.get(options.data, console)
        if options.only_data:
            print(*(file.path for file in dataset.files), sep="\n")
            return 0
        clients = stack.connect()
        target = stack.describe(clients, options.stack)
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


def open_console(stderr: bool) -> Console:
    """Open the terminal, or a plain stream of fixed width."""
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
    """Drop the data and follow the run that this starts."""
    if written := upload.drop(clients, target, dataset.files, console):
        return watch.dropped(written)
    console.print("raw/ holds nothing new: this data lies there already, byte for byte.")
    if force:
        return watch.forced()
    console.print("Started nothing (--no-force): this is the newest run.")
    return watch.latest()


def conclude(
    clients: stack.Clients, target: stack.Stack, dataset: data.Dataset, progress: Progress, console: Console
) -> int:
    """Print what the run came to, ask the endpoints if a good model is live, and return the exit code."""
    report.print_data(console, progress)
    report.print_trainings(console, progress)
    report.print_quality(console, progress, report.synthetic_mark(raw_keys(clients, target)))
    report.print_report(console, clients, progress)
    report.print_cost(console, progress)
    finding = Finding(progress)
    if progress.outcome is Outcome.FAILED:
        report.print_failure(console, progress)
    if progress.outcome is Outcome.DEPLOYED or finding.champion_kept:
        exchanges = ask.ask(clients, target, questions(clients, dataset, progress))
        report.print_answers(console, exchanges)
        finding = Finding(progress, exchanges, expect_sense=dataset.reviews)
    report.print_verdict(console, finding)
    return exit_code(finding)


def questions(clients: stack.Clients, dataset: data.Dataset, progress: Progress) -> tuple[ask.Review, ...]:
    """Film reviews for a model of film reviews, else test rows that the run put aside."""
    judged = progress.history.find("samplesUri")
    if dataset.reviews or dataset.synthetic or not judged:
        return ask.FILM_REVIEWS
    return ask.samples(clients, judged["samplesUri"])


def raw_keys(clients: stack.Clients, target: stack.Stack) -> list[str]:
    """List what lies under raw/."""
    pages = clients.s3.get_paginator("list_objects_v2").paginate(Bucket=target.bucket, Prefix=upload.PREFIX)
    return [
        each["Key"] for page in pages for each in page.get("Contents", []) if not each["Key"].endswith("/")
    ]


def interrupted(console: Console, watch: Watch | None) -> int:
    """Say what goes on without us."""
    console.print("\n[bold]Interrupted.[/]", end=" ")
    if watch and watch.current:
        console.print("The run goes on in AWS; to see how:")
        console.print(f"  {guide.following(watch.current)}", soft_wrap=True)
    else:
        console.print("No run was being followed.")
    return INTERRUPTED


def stop(console: Console, message: str, code: int) -> int:
    """Print an error."""
    console.print(f"[bold red]Error:[/] {escape(message)}", soft_wrap=True)
    return code


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    it = argparse.ArgumentParser(
        prog="python -m demo",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    it.add_argument("--stack", default="retrain", metavar="NAME", help="the stack's name (default: retrain)")
    it.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="aclImdb_v1.tar.gz, an unpacked aclImdb, a CSV, JSON Lines or Parquet file with "
        "[id,]text,label[,split] (plain, .gz, .zst), or a folder of such files (default: download aclImdb "
        "from Stanford, else a small synthetic sample)",
    )
    it.add_argument(
        "--no-force",
        dest="force",
        action="store_false",
        help="when the bucket holds this data already, show the newest run instead of starting one",
    )
    it.add_argument("--only-data", action="store_true", help="prepare the data, print its path, touch no AWS")
    it.add_argument("--setup", default="", metavar="COMMAND", help="shown as what prepares a new shell")
    it.add_argument("--stop", default="", metavar="COMMAND", help="shown as what ends everything")
    return it


if __name__ == "__main__":
    sys.exit(main())
