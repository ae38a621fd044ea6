"""The command line: python -m localaws up | down | status | serve | step-types | layer | check-container."""

import argparse
import os
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from localaws import layers, lifecycle
from localaws.container_check.arguments import add_arguments
from localaws.runtimes.container import ImageError
from localaws.settings import (
    DEFAULT_IMAGES,
    DEFAULT_OFFLINE_STORE_LAG,
    DEFAULT_PORT,
    DEFAULT_REGION,
    DEFAULT_RUNTIME,
    DEFAULT_WAIT_SCALE,
    DEFAULT_WORKDIR,
    HOST,
    RUNTIMES,
    Settings,
)


def main() -> int:
    """Do what the command line says; the exit code."""
    arguments = _parser().parse_args()
    code: int = arguments.do(arguments)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="localaws", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, do, text in (
        ("up", _up, "start it in the background, and wait until it answers"),
        ("down", _down, "stop it, with every job and endpoint"),
        ("status", _status, "say whether it is up; exit code 1 if not"),
        ("serve", _serve, "run it in the foreground until Ctrl-C"),
    ):
        _add_settings(commands.add_parser(name, help=text, description=text)).set_defaults(do=do)
    text = "write what a pipeline may have here, as docs/pipeline-steps.md"
    commands.add_parser("step-types", help=text, description=text).set_defaults(do=_step_types)
    layer = commands.add_parser("layer", help="publish an installed distribution as a Lambda layer")
    layer.add_argument("requirement", help="such as 'aws-lambda-powertools[tracer]'")
    layer.add_argument("--parameter", required=True, help="the SSM parameter that will name the layer")
    layer.set_defaults(do=_layer)
    text = "run a container as SageMaker would, and tell what of its contract holds"
    checker = commands.add_parser("check-container", help=text, description=text)
    add_arguments(checker).set_defaults(do=_check_container)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.argument_default = argparse.SUPPRESS  # what was not asked for is Settings' to say
    parser.add_argument("--port", type=int, help=f"on {HOST} (default: {DEFAULT_PORT})")
    parser.add_argument("--region", help=f"(default: {DEFAULT_REGION})")
    parser.add_argument("--images", type=Path, help=f"folder of the images (default: {DEFAULT_IMAGES})")
    parser.add_argument("--workdir", type=Path, help=f"for its files (default: {DEFAULT_WORKDIR})")
    parser.add_argument(
        "--wait-scale",
        type=float,
        help=f"seconds that a second of a Step Functions wait takes (default: {DEFAULT_WAIT_SCALE})",
    )
    parser.add_argument(
        "--offline-store-lag",
        type=float,
        help="seconds until a feature group's record is in its offline store "
        f"(default: {DEFAULT_OFFLINE_STORE_LAG})",
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        help="run containers from the images' folders, or as images of docker, podman or buildah "
        f"(default: {DEFAULT_RUNTIME})",
    )
    parser.add_argument(
        "--spot-interruption-after",
        type=float,
        metavar="SECONDS",
        help="interrupt each training job on Spot instances, once, after so many seconds (default: never)",
    )
    return parser


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(arguments).items() if name != "do"}


def _settings(arguments: argparse.Namespace, folder: Path | None = None) -> Settings:
    """The settings of a command line that was given in a folder, or in this one."""
    asked = {"workdir": DEFAULT_WORKDIR, "images": DEFAULT_IMAGES} | _asked(arguments)
    folders = {name: ((folder or Path.cwd()) / asked[name]).resolve() for name in ("workdir", "images")}
    return Settings(**(asked | folders))


def _up(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    same = [_option(settings, name) for name, value in asdict(settings).items() if value is not None]
    try:
        started = lifecycle.up(settings, same)
        other = [] if started else _other_than_asked(arguments, settings)
    except lifecycle.LifecycleError as error:
        print(f"localaws: {error}", file=sys.stderr)
        return 1
    if other:
        print(
            f"localaws: it is up already, with {', '.join(other)}: stop it first (down), "
            "which forgets what it holds, or leave the option out",
            file=sys.stderr,
        )
        return 1
    print(f"localaws {'is up' if started else 'was up already'}: AWS_ENDPOINT_URL={settings.endpoint_url}")
    return 0


def _other_than_asked(arguments: argparse.Namespace, settings: Settings) -> list[str]:
    """The options of the one that is up where others were asked for."""
    words, folder = lifecycle.started_with(settings)
    running = _settings(_add_settings(argparse.ArgumentParser()).parse_args(words), folder)
    return [
        _option(running, name)
        for name in _asked(arguments)
        if getattr(running, name) != getattr(settings, name)
    ]


def _option(settings: Settings, name: str) -> str:
    option, value = f"--{name.replace('_', '-')}", getattr(settings, name)
    return f"no {option}" if value is None else f"{option}={value}"


def _down(arguments: argparse.Namespace) -> int:
    stopped = lifecycle.down(_settings(arguments))
    print("localaws is down" if stopped else "localaws was not up")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    found = lifecycle.is_up(settings)
    print(f"localaws is {'up' if found else 'not up'} on {HOST}:{settings.port}")
    return 0 if found else 1


def _serve(arguments: argparse.Namespace) -> int:
    from localaws.server import PortInUseError, serve  # takes a second that the others need not wait

    try:
        serve(_settings(arguments))
    except (PortInUseError, ImageError) as error:
        print(f"localaws: {error}", file=sys.stderr)
        return 1
    # Past the interpreter's own end: ministack has threads that never end, and what they hold of DuckDB, its
    # binding would report as leaks, in the log.
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def _step_types(arguments: argparse.Namespace) -> int:
    from localaws.sagemaker.pipelines import reference_page  # takes a second that the others need not wait

    print(reference_page.page(), end="")
    return 0


def _layer(arguments: argparse.Namespace) -> int:
    try:
        arn = layers.publish(arguments.requirement, arguments.parameter)
    except PackageNotFoundError as error:
        print(f"localaws: {error.name} is not installed: install it first", file=sys.stderr)
        return 1
    print(f"{arguments.parameter} = {arn}")
    return 0


def _check_container(arguments: argparse.Namespace) -> int:
    from localaws.container_check import command  # takes a second that the others need not wait

    return command.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
