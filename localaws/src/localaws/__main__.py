"""AWS on one machine for SageMaker projects: jobs and endpoints run your containers' code."""

import argparse
import os
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
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
    ROOT_KEY,
    ROOT_SECRET,
    RUNTIMES,
    Settings,
)


def main() -> int:
    """Run the command line and return its exit code."""
    arguments = _parser().parse_args()
    code: int = arguments.run(arguments)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="localaws", description=__doc__)
    parser.add_argument("--version", action="version", version=f"localaws {version('localaws')}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, run, text in (
        ("up", _up, "start localaws in the background and wait until it responds"),
        ("down", _down, "stop it with every job and endpoint, and delete its data"),
        ("status", _status, "report whether it is up; exit code 1 if not"),
        ("serve", _serve, "run it in the foreground until Ctrl-C"),
        ("env", _env, 'print the environment variables for AWS tools: eval "$(localaws env)"'),
    ):
        _add_settings(commands.add_parser(name, help=text, description=text)).set_defaults(run=run)
    text = "print a page of the supported pipeline features"
    commands.add_parser("step-types", help=text, description=text).set_defaults(run=_step_types)
    layer = commands.add_parser("layer", help="publish an installed distribution as a Lambda layer")
    layer.add_argument("requirement", help="distribution, such as 'aws-lambda-powertools[tracer]'")
    layer.add_argument("--parameter", required=True, help="SSM parameter to write the layer's ARN to")
    layer.set_defaults(run=_layer)
    text = "run a container as SageMaker would and report which requirements it meets"
    checker = commands.add_parser("check-container", help=text, description=text)
    add_arguments(checker).set_defaults(run=_check_container)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.argument_default = argparse.SUPPRESS  # Settings has the defaults
    parser.add_argument("--port", type=int, help=f"port on {HOST} (default: {DEFAULT_PORT})")
    parser.add_argument("--region", help=f"(default: {DEFAULT_REGION})")
    parser.add_argument(
        "--images", type=Path, help=f"folder with one folder per image (default: {DEFAULT_IMAGES})"
    )
    parser.add_argument("--workdir", type=Path, help=f"folder for its files (default: {DEFAULT_WORKDIR})")
    parser.add_argument(
        "--wait-scale",
        type=float,
        help=f"real seconds per second of a Step Functions wait (default: {DEFAULT_WAIT_SCALE})",
    )
    parser.add_argument(
        "--offline-store-lag",
        type=float,
        help="seconds from a write to a feature group until its offline store has it "
        f"(default: {DEFAULT_OFFLINE_STORE_LAG})",
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        help="run containers as processes from their folders, or as images with docker, podman or buildah "
        f"(default: {DEFAULT_RUNTIME})",
    )
    parser.add_argument(
        "--spot-interruption-after",
        type=float,
        metavar="SECONDS",
        help="interrupt every training job on Spot instances once, after SECONDS (default: never)",
    )
    return parser


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(arguments).items() if name != "run"}


def _settings(arguments: argparse.Namespace, folder: Path | None = None) -> Settings:
    """Return the settings of a command line, with paths relative to `folder` or to the working folder."""
    options = {"workdir": DEFAULT_WORKDIR, "images": DEFAULT_IMAGES} | _options(arguments)
    folders = {name: ((folder or Path.cwd()) / options[name]).resolve() for name in ("workdir", "images")}
    return Settings(**(options | folders))


def _up(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    options = [_option(settings, name) for name, value in asdict(settings).items() if value is not None]
    try:
        started = lifecycle.up(settings, options)
        differing = [] if started else _differing_options(arguments, settings)
    except lifecycle.LifecycleError as error:
        print(f"localaws: {error}", file=sys.stderr)
        return 1
    if differing:
        print(
            f"localaws: already up with other options, {', '.join(differing)}: omit the option, or run "
            "`localaws down` first, which deletes all data",
            file=sys.stderr,
        )
        return 1
    print(f"localaws {'is up' if started else 'was already up'}: AWS_ENDPOINT_URL={settings.endpoint_url}")
    return 0


def _differing_options(arguments: argparse.Namespace, settings: Settings) -> list[str]:
    """Return the options of the running process that differ from the requested ones."""
    options, folder = lifecycle.started_with(settings)
    running = _settings(_add_settings(argparse.ArgumentParser()).parse_args(options), folder)
    return [
        _option(running, name)
        for name in _options(arguments)
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


def _env(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    print(f"export AWS_ENDPOINT_URL={settings.endpoint_url} AWS_DEFAULT_REGION={settings.region}")
    print(
        f'export AWS_ACCESS_KEY_ID={ROOT_KEY} AWS_SECRET_ACCESS_KEY={ROOT_SECRET} NO_PROXY="{HOST},$NO_PROXY"'
    )
    print("unset AWS_PROFILE AWS_SESSION_TOKEN AWS_REGION")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from localaws.server import PortInUseError, serve  # slow to import; other commands skip it

    try:
        serve(_settings(arguments))
    except (PortInUseError, ImageError) as error:
        print(f"localaws: {error}", file=sys.stderr)
        return 1
    # Skip the interpreter's shutdown: ministack has threads that never end, and DuckDB's binding would log
    # the objects that they hold as leaks.
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def _step_types(arguments: argparse.Namespace) -> int:
    from localaws.sagemaker.pipelines import reference_page  # slow to import; other commands skip it

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
    from localaws.container_check import command  # slow to import; other commands skip it

    return command.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
