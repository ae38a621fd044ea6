"""The command line: python -m localaws up | down | status | serve | step-types | layer | check-container."""

import argparse
import os
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from localaws import layers, lifecycle
from localaws.contract.arguments import add_arguments
from localaws.runtimes.container import ImageError
from localaws.settings import (
    DEFAULT_OFFLINE_STORE_LAG,
    DEFAULT_PORT,
    DEFAULT_REGION,
    DEFAULT_RUNTIME,
    DEFAULT_WAIT_SCALE,
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
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"on {HOST} (default: %(default)s)")
    parser.add_argument("--region", default=DEFAULT_REGION, help="(default: %(default)s)")
    parser.add_argument(
        "--images", type=Path, default=Path("containers"), help="folder of the images (default: %(default)s)"
    )
    parser.add_argument(
        "--workdir", type=Path, default=Path(".localaws"), help="for its files (default: %(default)s)"
    )
    parser.add_argument(
        "--wait-scale",
        type=float,
        default=DEFAULT_WAIT_SCALE,
        help="seconds that a second of a Step Functions wait takes (default: %(default)s)",
    )
    parser.add_argument(
        "--offline-store-lag",
        type=float,
        default=DEFAULT_OFFLINE_STORE_LAG,
        help="seconds until a feature group's record is in its offline store (default: %(default)s)",
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default=DEFAULT_RUNTIME,
        help="run containers from the images' folders, or as images of docker, podman or buildah "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--spot-interruption-after",
        type=float,
        metavar="SECONDS",
        help="interrupt each training job on Spot instances, once, after so many seconds (default: never)",
    )
    return parser


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(
        workdir=arguments.workdir.resolve(),
        images=arguments.images.resolve(),
        port=arguments.port,
        region=arguments.region,
        wait_scale=arguments.wait_scale,
        offline_store_lag=arguments.offline_store_lag,
        spot_interruption_after=arguments.spot_interruption_after,
        runtime=arguments.runtime,
    )


def _up(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    same = [
        f"--port={settings.port}",
        f"--region={settings.region}",
        f"--images={settings.images}",
        f"--workdir={settings.workdir}",
        f"--wait-scale={settings.wait_scale}",
        f"--offline-store-lag={settings.offline_store_lag}",
        f"--runtime={settings.runtime}",
    ]
    if settings.spot_interruption_after is not None:
        same.append(f"--spot-interruption-after={settings.spot_interruption_after}")
    try:
        started = lifecycle.up(settings, same)
    except lifecycle.LifecycleError as error:
        print(f"localaws: {error}", file=sys.stderr)
        return 1
    print(f"localaws {'is up' if started else 'was up already'}: AWS_ENDPOINT_URL={settings.endpoint_url}")
    return 0


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
    from localaws.sagemaker.pipelines import handbook  # takes a second that the others need not wait

    print(handbook.page(), end="")
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
    from localaws.contract import command  # takes a second that the others need not wait

    return command.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
