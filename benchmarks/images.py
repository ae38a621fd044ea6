"""The built images: how large they are, and whether a model comes out of one as out of its folder.

Builds them with the engine at hand unless they are there. Sizes are uncompressed, to the three digits that
engines tell; what a registry holds is about a third.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile, is_zipfile

from benchmarks import command, rows
from benchmarks.containers import IMAGES, ROOT
from benchmarks.errors import CommandError
from benchmarks.report import Bound, Report, table
from containers.tooling import build_images, image_sources
from localaws.runtimes.container import ContainerSpec, ImageError, Runtime
from localaws.runtimes.engines import find_engine
from localaws.runtimes.images import Images
from localaws.runtimes.oci import OciRuntime
from localaws.runtimes.process import ProcessRuntime

BOUNDED = ("linear", "processing")
MEGABYTES = 400.0  # beyond the base
TRAINED = "linear"
TRAIN_ROWS = 25_000


@dataclass(frozen=True)
class Training:
    """What a training left.

    Attributes:
        seconds: from the container's start to its end.
        model: the hash of each of its parts.
    """

    seconds: float
    model: dict[str, str]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = command.parser("images", __doc__)
    it.add_argument("--base-image", default="", help="instead of the Dockerfiles' own; sizes are beyond it")
    it.add_argument("--images", nargs="+", metavar="NAME", default=image_sources.image_folders(IMAGES))
    it.add_argument(
        "--build-arguments", nargs=argparse.REMAINDER, default=[], help="for the engine; the last"
    )
    return it


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, look and train; the exit code."""
    options = parser().parse_args(arguments)
    report = Report("images", str(options.data or "generated texts"))
    try:
        engine = build_images.find_engine()
        tags = {
            name: build_images.build(engine, name, options.base_image, options.build_arguments)
            for name in options.images
        }
        measure_sizes(report, engine, tags, options.base_image)
        if TRAINED in tags:
            compare_models(report, tags[TRAINED], rows.load(options.data)[:TRAIN_ROWS])
    except (build_images.BuildError, ImageError) as error:
        raise CommandError(str(error)) from error
    return report.conclude(options.json)


def measure_sizes(report: Report, engine: str, tags: dict[str, str], base_image: str) -> None:
    """Tell each image's size, and bound what it adds to the base."""
    if not base_image:
        raise CommandError(
            "Name the base image that the engine has by --base-image: sizes are told beyond it"
        )
    base = build_images.size(engine, base_image) / 1e6
    sizes = {name: build_images.size(engine, tag) / 1e6 for name, tag in tags.items()}
    report.figures["megabytes"] = {"base": base} | sizes
    lines = [(name, round(size), round(size - base)) for name, size in sizes.items()]
    print(table(["image", "MB", "MB beyond the base"], [("base", round(base), 0), *lines]))
    for name in BOUNDED:
        if name in sizes:
            report.bounds.append(Bound(f"MB of {name} beyond the base", sizes[name] - base, MEGABYTES))


def compare_models(report: Report, image: str, given: Sequence[rows.Row]) -> None:
    """Train on the same rows in the image and in the folder; the models have to be the same."""
    folders = ProcessRuntime(Images(IMAGES), ROOT / ".localaws" / "environments")
    folders.prepare(TRAINED)
    with tempfile.TemporaryDirectory() as folder:
        inside = train(OciRuntime(find_engine()), image, Path(folder) / "image", given)
        outside = train(folders, TRAINED, Path(folder) / "folder", given)
    lines = [(place, one.seconds, digest(one)) for place, one in (("image", inside), ("folder", outside))]
    print("\n" + table([f"train of {TRAINED}, {len(given):,} rows", "s", "model"], lines))
    report.figures["model"] = {"image": digest(inside), "folder": digest(outside)}
    different = {name for name, _ in inside.model.items() ^ outside.model.items()}
    report.bounds.append(Bound("parts of the model unlike the process runtime's", len(different), 0))


def train(runtime: Runtime, image: str, base: Path, given: Sequence[rows.Row]) -> Training:
    """Train with the defaults.

    Raises:
        CommandError: It ends with another code than 0.
    """
    for name in ("input/config", "input/data/train", "model", "output/data"):
        (base / name).mkdir(parents=True)
    (base / "input/config/hyperparameters.json").write_text("{}")
    with (base / "input/data/train/train.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": row.text, "label": row.label}) + "\n" for row in given)
    lines: list[str] = []
    started = time.monotonic()
    code = runtime.start(ContainerSpec(image, ("train",), base, {}, lines.append)).wait()
    seconds = time.monotonic() - started
    if code:
        raise CommandError(f"train of {image} ended with exit code {code}:\n" + "\n".join(lines[-15:]))
    return Training(seconds, contents(base / "model"))


def contents(folder: Path) -> dict[str, str]:
    """The hash of each file below a folder; of an archive's members, as its headers name Python's version."""
    found: dict[str, bytes] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if is_zipfile(path):
            with ZipFile(path) as archive:
                found |= {f"{name}/{member}": archive.read(member) for member in archive.namelist()}
        else:
            found[name] = path.read_bytes()
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


def digest(training: Training) -> str:
    """The beginning of a hash of all parts."""
    return hashlib.sha256(json.dumps(sorted(training.model.items())).encode()).hexdigest()[:16]


if __name__ == "__main__":
    command.run(main)
