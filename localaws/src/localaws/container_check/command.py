"""The command `python -m localaws check-container`."""

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

INTERRUPTED = 130  # the exit code of a shell command after Ctrl-C
SAMPLE_COMMANDS = {"train", "serve"}  # the commands that need a sample


def run(arguments: argparse.Namespace) -> int:
    """Check a container and return the exit code.

    Returns:
        0 if the container meets the contract, 1 if it violates it, 2 if the check could not run, 130 if it
        was interrupted.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop the containers, as on Ctrl-C
    with tempfile.TemporaryDirectory(prefix="check-container-", ignore_cleanup_errors=True) as workdir:
        try:
            bench = _bench(arguments, Path(workdir))
            return _check(bench, arguments.json)
        except (ContractError, ImageError) as error:
            print(f"check-container: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("\ncheck-container: interrupted; all containers are stopped", file=sys.stderr)
            return INTERRUPTED


def _check(bench: Bench, file: Path | None) -> int:
    started, console = time.monotonic(), report.console()
    subject = bench.image
    try:
        with console.status(f"Preparing {subject}"):
            bench.runtime.prepare(bench.image)
        results = report.show(applicable(bench), lambda clause: clause.judge(bench), console)
    finally:
        bench.close()
    console.print(report.summary(results, subject, time.monotonic() - started))
    if file:
        report.write_json(results, subject, file)
    return 0 if report.meets_contract(results) else 1


def _bench(arguments: argparse.Namespace, workdir: Path) -> Bench:
    folder = arguments.folder.resolve() if arguments.folder else None
    if folder and not folder.is_dir():
        raise ContractError(f"folder {folder} does not exist")
    commands = executables(folder) if folder else None
    if commands is not None and not commands:
        raise ContractError(f"{folder} has no executable: write `train` and `serve` and run chmod +x on them")
    return Bench(
        image=_image(arguments, folder),
        runtime=_runtime(arguments, folder),
        sample=NO_SAMPLE
        if commands and not commands & SAMPLE_COMMANDS
        else load(arguments.sample or _sample(folder)),
        workdir=workdir,
        folder=folder,
        commands=commands,
    )


def _image(arguments: argparse.Namespace, folder: Path | None) -> str:
    if arguments.image:
        return str(arguments.image)
    if folder is None:
        raise ContractError("specify a folder, such as containers/linear, or --image, or both")
    if arguments.runtime == "oci":
        raise ContractError(f"specify the image that was built from {folder.name} with --image")
    return folder.name


def _sample(folder: Path | None) -> Path:
    if folder is None:
        raise ContractError("specify a sample with --sample; containers/README.md describes its content")
    own = folder / "sample"
    return own if own.is_dir() else folder.parent / "sample"


def _runtime(arguments: argparse.Namespace, folder: Path | None) -> Runtime:
    if arguments.runtime == "oci":
        return OciRuntime(find_engine())
    if folder is None:
        raise ContractError("an image without a folder needs --runtime oci")
    return ProcessRuntime(Images(folder.parent), arguments.workdir / "environments")
