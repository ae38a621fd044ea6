"""The images, really built: by the engine at hand, or by buildah on a base of Debian's packages."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from containers.tooling import build_images
from localaws.runtimes.container import ContainerSpec
from localaws.runtimes.engines import find_engine
from localaws.runtimes.images import Images
from localaws.runtimes.oci import OciRuntime
from localaws.runtimes.process import ProcessRuntime
from tests.images import debian, pip

ROOT = Path(__file__).parents[2]
BASE_IMAGE = "localhost/retrain-base:bookworm"
SECONDS = 600  # for one container's work
NEEDED = ("buildah", "debootstrap")


@dataclass(frozen=True)
class Workshop:
    """Where images are built.

    Attributes:
        engine: docker, podman or buildah.
        base_image: instead of the Dockerfiles' own.
        arguments: for the engine's `build`.
        tags: of the images so far.
    """

    engine: str
    base_image: str = ""
    arguments: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    def image(self, name: str) -> str:
        """An image's tag; it is built unless there is one of the same sources."""
        if name == "transformer" and not (self.arguments and pip.wheels("torch-*+cpu*")):
            pytest.skip(
                "torch would bring gigabytes of CUDA: name a folder with its CPU wheel by PIP_FIND_LINKS"
            )
        if name not in self.tags:
            self.tags[name] = self.build(name)
        return self.tags[name]

    def build(self, name: str) -> str:
        """Have the image built, if it is not there; its tag."""
        return build_images.build(self.engine, name, self.base_image, self.arguments)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """An engine; buildah's storage is the tests' own, and stays: what is built is not built again."""
    try:
        engine = build_images.find_engine()
    except build_images.BuildError as error:
        without(str(error))
    if engine != "buildah":
        yield Workshop(engine)
        return
    if os.getuid() or not all(map(shutil.which, NEEDED)):
        without(f"images are built as root with {' and '.join(NEEDED)}, or with docker or podman")
    folder = ROOT / ".localaws" / "images"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_STORAGE_CONF", str(storage(folder)))
        if not build_images.is_built(engine, BASE_IMAGE):
            debian.make(BASE_IMAGE, tmp_path_factory.mktemp("debian"))
        arguments = [*pip.volumes(tmp_path_factory.mktemp("pip")), "--build-arg", "TORCH_INDEX="]
        workshop = Workshop(engine, BASE_IMAGE, tuple(arguments))
        yield workshop
        forget_earlier(set(workshop.tags.values()))


def forget_earlier(tags: set[str]) -> None:
    """Remove from buildah's storage what these images were before."""
    listed = debian.run("buildah", "images", "--format", "{{.Name}}:{{.Tag}}").split()
    held = {name.removeprefix("localhost/") for name in listed} - tags
    repositories = {tag.partition(":")[0] for tag in tags}
    earlier = [tag for tag in held if tag.partition(":")[0] in repositories and not tag.endswith(":latest")]
    for tag in earlier:
        debian.run("buildah", "rmi", tag)
    debian.run("buildah", "rmi", "--prune")


def without(reason: str) -> None:
    """No engine: nothing to test on a laptop, but a failure where images have to be tested."""
    if os.environ.get("IMAGES") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


def storage(folder: Path) -> Path:
    """The configuration of a storage below the folder, with the driver that works there."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "storage.conf"
    for driver in ("overlay", "vfs"):
        roots = f'graphroot = "{folder}/{driver}"\nrunroot = "{folder}/run-{driver}"\n'
        file.write_text(f'[storage]\ndriver = "{driver}"\n{roots}')
        environment = os.environ | {"CONTAINERS_STORAGE_CONF": str(file)}
        if subprocess.run(["buildah", "info"], env=environment, capture_output=True).returncode == 0:
            break
    return file


@dataclass(frozen=True)
class Ended:
    """What a container left."""

    code: int | None
    lines: list[str]


@dataclass(frozen=True)
class Bench:
    """Runs the same containers as images and as folders."""

    workshop: Workshop
    images: OciRuntime
    folders: ProcessRuntime

    def in_image(self, name: str, base_dir: Path, *command: str, **environment: str) -> Ended:
        """Run a container of a built image to its end."""
        return ended(self.images, self.workshop.image(name), base_dir, command, environment)

    def in_folder(self, name: str, base_dir: Path, *command: str, **environment: str) -> Ended:
        """Run the same from the image's folder, without an engine."""
        return ended(self.folders, name, base_dir, command, environment)


def ended(
    runtime: OciRuntime | ProcessRuntime,
    image: str,
    base_dir: Path,
    command: tuple[str, ...],
    environment: dict[str, str],
) -> Ended:
    lines: list[str] = []
    container = runtime.start(ContainerSpec(image, command, base_dir, environment, lines.append))
    code = container.wait(SECONDS)
    if code is None:
        container.stop(0)
    return Ended(code, lines)


@pytest.fixture(scope="session")
def bench(workshop: Workshop) -> Bench:
    folders = ProcessRuntime(Images(build_images.FOLDER), ROOT / ".localaws" / "environments")
    return Bench(workshop, OciRuntime(find_engine()), folders)
