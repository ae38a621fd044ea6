"""Measure the sizes of the built images, and check that image and folder train the same model.

The images are built with the installed container engine unless they exist. Sizes are uncompressed and have
three digits, as engines report them; the compressed size in a registry is about a third.
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
MEGABYTES = 400.0  # in addition to the base image
TRAINED = "linear"
TRAIN_ROWS = 25_000


@dataclass(frozen=True)
class Training:
    """The result of a training.

    Attributes:
        seconds: from the container's start to its end.
        model: the hashes of the model's files.
    """

    seconds: float
    model: dict[str, str]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser("images", __doc__)
    result.add_argument(
        "--base-image", default="", help="replaces the Dockerfiles' base image; its size is subtracted"
    )
    result.add_argument("--images", nargs="+", metavar="NAME", default=image_sources.image_folders(IMAGES))
    result.add_argument(
        "--build-arguments",
        nargs=argparse.REMAINDER,
        default=[],
        help="arguments for the engine; must be the last option",
    )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
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
    """Print the images' sizes, and add bounds for the sizes without the base image."""
    if not base_image:
        raise CommandError("Set --base-image to an image of the engine: its size is subtracted")
    base = build_images.size(engine, base_image) / 1e6
    sizes = {name: build_images.size(engine, tag) / 1e6 for name, tag in tags.items()}
    report.figures["megabytes"] = {"base": base} | sizes
    lines = [(name, round(size), round(size - base)) for name, size in sizes.items()]
    print(table(["image", "MB", "MB without the base"], [("base", round(base), 0), *lines]))
    for name in BOUNDED:
        if name in sizes:
            report.bounds.append(Bound(f"MB of {name} without the base", sizes[name] - base, MEGABYTES))


def compare_models(report: Report, image: str, texts: Sequence[rows.Row]) -> None:
    """Train on the same rows with the image and with the folder; the models must be identical."""
    folders = ProcessRuntime(Images(IMAGES), ROOT / ".localaws" / "environments")
    folders.prepare(TRAINED)
    with tempfile.TemporaryDirectory() as folder:
        by_image = train(OciRuntime(find_engine()), image, Path(folder) / "image", texts)
        by_folder = train(folders, TRAINED, Path(folder) / "folder", texts)
    trainings = (("image", by_image), ("folder", by_folder))
    lines = [(name, training.seconds, digest(training)) for name, training in trainings]
    print("\n" + table([f"train of {TRAINED}, {len(texts):,} rows", "s", "model"], lines))
    report.figures["model"] = {"image": digest(by_image), "folder": digest(by_folder)}
    different = {name for name, _ in by_image.model.items() ^ by_folder.model.items()}
    report.bounds.append(Bound("files of the model that differ between image and folder", len(different), 0))


def train(runtime: Runtime, image: str, base: Path, texts: Sequence[rows.Row]) -> Training:
    """Train with the default hyperparameters.

    Raises:
        CommandError: The exit code is not 0.
    """
    for name in ("input/config", "input/data/train", "model", "output/data"):
        (base / name).mkdir(parents=True)
    (base / "input/config/hyperparameters.json").write_text("{}")
    with (base / "input/data/train/train.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": row.text, "label": row.label}) + "\n" for row in texts)
    lines: list[str] = []
    started = time.monotonic()
    code = runtime.start(ContainerSpec(image, ("train",), base, {}, lines.append)).wait()
    seconds = time.monotonic() - started
    if code:
        raise CommandError(f"train of {image} failed with exit code {code}:\n" + "\n".join(lines[-15:]))
    return Training(seconds, contents(base / "model"))


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder; of an archive's members, as headers depend on Python."""
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
    """Return the first 16 digits of a hash of all files of the model."""
    return hashlib.sha256(json.dumps(sorted(training.model.items())).encode()).hexdigest()[:16]


if __name__ == "__main__":
    command.run(main)
