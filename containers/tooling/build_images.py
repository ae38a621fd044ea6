"""Build the images with an installed engine: docker, podman or buildah.

Usage: python -m containers.tooling.build_images [name …] [-- arguments of the engine's build].
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from containers.tooling import image_sources

FOLDER = Path(__file__).parents[1]
REPOSITORY = "retrain"
# SageMaker refuses OCI manifests. Without chroot isolation, buildah needs privileges that a container lacks.
ENGINES = {
    "docker": (),
    "podman": ("--format", "docker"),
    "buildah": ("--format", "docker", "--isolation", "chroot"),
}
# Arguments for where a build finds packages, which the requirements pin; all others may change the image.
UNCOUNTED = ("--volume", "-v", "--network")
UNITS = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}  # decimal, as the engines print them


class BuildError(Exception):
    """An image was not built; the message says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="containers.tooling.build_images", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="folders of images (default: all)")
    parser.add_argument("--base-image", default="", help="instead of the Dockerfiles' own, as name@sha256:…")
    words = list(sys.argv[1:] if arguments is None else arguments)
    end = words.index("--") if "--" in words else len(words)
    asked = parser.parse_args(words[:end])
    try:
        engine = find_engine()
        names = asked.names or image_sources.image_folders(FOLDER)
        for name in names:
            image_sources.files(FOLDER, name)  # before anything is built
        for name in names:
            build(engine, name, asked.base_image, words[end + 1 :])
    except (BuildError, FileNotFoundError) as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


def find_engine() -> str:
    """Return the first engine that answers.

    Raises:
        BuildError: none answers.
    """
    for engine in ENGINES:
        if shutil.which(engine) and _succeeds(engine, "info"):
            return engine
    raise BuildError(
        f"None of {', '.join(ENGINES)} answers here: install one, or start its service. "
        "Without one, `sam deploy` has the images built on AWS (BuildImages=true)."
    )


def build(engine: str, name: str, base_image: str = "", arguments: Sequence[str] = ()) -> str:
    """Build an image unless it exists for the same sources and arguments, and return its tag.

    The tag holds the hash of the sources and the arguments.

    Args:
        engine: docker, podman or buildah.
        name: the image's folder.
        base_image: replaces the Dockerfile's own base image.
        arguments: for the engine's `build`.

    Raises:
        FileNotFoundError: the folder, or one that it requires, does not exist.
        BuildError: the engine failed.
    """
    tag = f"{REPOSITORY}/{name}:{image_sources.content_hash(FOLDER, name, base_image, counted(arguments))}"
    latest = f"{REPOSITORY}/{name}:latest"
    if is_built(engine, tag):
        _run(engine, "tag", tag, latest)
        print(f"{tag} is there already", flush=True)
        return tag
    print(f"{tag}: {engine} builds it", flush=True)
    build_arguments = [
        "--build-arg",
        f"NAME={name}",
        *(["--build-arg", f"BASE_IMAGE={base_image}"] if base_image else []),
    ]
    file = str(FOLDER / name / "Dockerfile")
    tags = ("--tag", tag, "--tag", latest)
    _run(engine, "build", *ENGINES[engine], "--file", file, *tags, *build_arguments, *arguments, str(FOLDER))
    print(f"{tag} is built: {_size_line(engine, tag, base_image)}", flush=True)
    return tag


def counted(arguments: Sequence[str]) -> list[str]:
    """Return the engine's arguments without those that do not change the image."""
    words, left = iter(arguments), []
    for word in words:
        name, equals, _ = word.partition("=")
        if name not in UNCOUNTED:
            left.append(word)
        elif not equals:
            next(words, None)
    return left


def is_built(engine: str, tag: str) -> bool:
    """Return whether the engine has the image."""
    return bool(_images(engine, tag))


def size(engine: str, image: str) -> float:
    """Return an image's uncompressed size in bytes, to the engine's three digits.

    Raises:
        BuildError: the engine does not have the image.
    """
    found = re.fullmatch(r"([0-9.]+) ?([kKMG]?B)", _images(engine, image))
    if not found:
        raise BuildError(f"{engine} has no image {image}: build or pull it")
    return float(found[1]) * UNITS[found[2].upper()]


def _size_line(engine: str, tag: str, base_image: str) -> str:
    whole = f"{size(engine, tag) / 1e6:.0f} MB"
    if not base_image or not is_built(engine, base_image):
        return whole
    return f"{whole}, {(size(engine, tag) - size(engine, base_image)) / 1e6:.0f} MB beyond {base_image}"


def _images(engine: str, image: str) -> str:
    command = [engine, "images", "--format", "{{.Size}}", image]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.partition("\n")[0].strip() if done.returncode == 0 else ""


def _run(*command: str) -> None:
    if subprocess.run(command).returncode:
        raise BuildError(f"{command[0]} {command[1]} failed; its last lines above say why")


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
