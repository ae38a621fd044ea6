"""What python -m localaws check-container does."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from localaws.container_check import report
from localaws.container_check.bench import Bench
from localaws.container_check.checker import applicable
from localaws.container_check.errors import ContractError
from localaws.container_check.folder import executables
from localaws.container_check.sample import NO_SAMPLE, load
from localaws.runtimes.container import ImageError, Runtime
from localaws.runtimes.engines import find_engine
from localaws.runtimes.images import Images
from localaws.runtimes.oci import OciRuntime
from localaws.runtimes.process import ProcessRuntime

INTERRUPTED = 130  # as a shell tells Ctrl-C
SERVING_COMMANDS = {"train", "serve"}  # the commands that a sample is for


def run(arguments: argparse.Namespace) -> int:
    """Check a container; 0 if it keeps the contract, 1 if not, 2 if none can tell, 130 if interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what runs, as Ctrl-C does
    with tempfile.TemporaryDirectory(prefix="check-container-", ignore_cleanup_errors=True) as workdir:
        try:
            bench = _bench(arguments, Path(workdir))
            return _check(bench, arguments.json)
        except (ContractError, ImageError) as error:
            print(f"check-container: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("\ncheck-container: interrupted; nothing is left running", file=sys.stderr)
            return INTERRUPTED


def _check(bench: Bench, file: Path | None) -> int:
    started, console = time.monotonic(), report.console()
    subject = bench.image
    try:
        with console.status(f"Making {subject} ready to run"):
            bench.runtime.prepare(bench.image)
        results = report.show(applicable(bench), lambda clause: clause.judge(bench), console)
    finally:
        bench.close()
    console.print(report.summary(results, subject, time.monotonic() - started))
    if file:
        report.write_json(results, subject, file)
    return 0 if report.keeps(results) else 1


def _bench(arguments: argparse.Namespace, workdir: Path) -> Bench:
    folder = arguments.folder.resolve() if arguments.folder else None
    if folder and not folder.is_dir():
        raise ContractError(f"there is no folder {folder}")
    commands = executables(folder) if folder else None
    if commands is not None and not commands:
        raise ContractError(f"{folder} has no executable: write `train` and `serve`, and chmod +x them")
    return Bench(
        image=_image(arguments, folder),
        runtime=_runtime(arguments, folder),
        sample=NO_SAMPLE
        if commands and not commands & SERVING_COMMANDS
        else load(arguments.sample or _sample(folder)),
        workdir=workdir,
        folder=folder,
        commands=commands,
    )


def _image(arguments: argparse.Namespace, folder: Path | None) -> str:
    if arguments.image:
        return str(arguments.image)
    if folder is None:
        raise ContractError("name a folder, such as containers/linear, or an --image, or both")
    if arguments.runtime == "oci":
        raise ContractError(f"name the image that was built of {folder.name} with --image")
    return folder.name


def _sample(folder: Path | None) -> Path:
    if folder is None:
        raise ContractError("name a sample with --sample; containers/README.md says what it holds")
    own = folder / "sample"
    return own if own.is_dir() else folder.parent / "sample"


def _runtime(arguments: argparse.Namespace, folder: Path | None) -> Runtime:
    if arguments.runtime == "oci":
        return OciRuntime(find_engine())
    if folder is None:
        raise ContractError("an image is run with --runtime oci; a folder needs no more than its path")
    return ProcessRuntime(Images(folder.parent), arguments.workdir / "environments")
