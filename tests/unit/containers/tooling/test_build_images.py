from pathlib import Path

import pytest

from containers.tooling import build_images, image_sources

ENGINE = """#!/bin/sh
# An engine that notes its arguments, and holds the images that it built.
echo "$0 $*" >> {notes}
case "$1" in
    info) exit {info} ;;
    images) grep -qxF "$4" {held} && echo "12.3MB" ;;
    build) shift; while [ $# -gt 0 ]; do [ "$1" = --tag ] && echo "$2" >> {held}; shift; done; exit {built} ;;
esac
exit 0
"""


class Engines:
    """Programs of these names on PATH, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.notes, self.held = folder, folder / "notes", folder / "held"
        self.held.touch()
        for program in ("sh", "grep"):
            source = next(
                Path(place) / program for place in ("/bin", "/usr/bin") if (Path(place) / program).exists()
            )
            (folder / program).symlink_to(source)

    def add(self, name: str, info: int = 0, built: int = 0) -> None:
        script = ENGINE.format(notes=self.notes, held=self.held, info=info, built=built)
        (self.folder / name).write_text(script)
        (self.folder / name).chmod(0o755)

    def calls(self, word: str) -> list[str]:
        """The commands that begin with this word, without their program's folder."""
        lines = [line.removeprefix(f"{self.folder}/") for line in self.notes.read_text().splitlines()]
        return [line for line in lines if line.split()[1] == word]


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engines:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return Engines(tmp_path / "bin")


def test_the_first_engine_that_answers_builds(engines: Engines) -> None:
    engines.add("docker", info=1)
    engines.add("buildah")
    engines.add("podman")
    assert build_images.find_engine() == "podman"


def test_without_an_engine_it_says_what_to_do(engines: Engines, capsys: pytest.CaptureFixture[str]) -> None:
    engines.add("docker", info=1)
    assert build_images.main([]) == 1
    assert "None of docker, podman, buildah answers here" in capsys.readouterr().err


def test_an_image_is_tagged_by_its_hash_and_built_once(
    engines: Engines, capsys: pytest.CaptureFixture[str]
) -> None:
    engines.add("buildah")
    tag = f"retrain/linear:{image_sources.content_hash(build_images.FOLDER, 'linear', 'base@sha256:1')}"
    arguments = ["linear", "--base-image", "base@sha256:1", "--", "--volume", "/a:/b"]
    assert build_images.main(arguments) == build_images.main(arguments) == 0
    assert engines.calls("build") == [
        f"buildah build --format docker --isolation chroot --file {build_images.FOLDER}/linear/Dockerfile "
        f"--tag {tag} --tag retrain/linear:latest --build-arg NAME=linear "
        f"--build-arg BASE_IMAGE=base@sha256:1 --volume /a:/b {build_images.FOLDER}"
    ]
    said = capsys.readouterr().out.splitlines()
    assert said == [f"{tag}: buildah builds it", f"{tag} is built: 12 MB", f"{tag} is there already"]


def test_what_changes_an_image_is_part_of_its_tag(
    engines: Engines, capsys: pytest.CaptureFixture[str]
) -> None:
    engines.add("buildah")
    calls = [["--volume", "/a:/b"], ["--volume=/c:/b", "--network", "host"], ["--platform", "linux/arm64"]]
    for arguments in calls:
        assert build_images.main(["linear", "--", *arguments]) == 0
    tags = [line.partition(" ")[0].rstrip(":") for line in capsys.readouterr().out.splitlines()]
    assert tags[0] == tags[1] == tags[2] != tags[3] == tags[4]
    assert len(engines.calls("build")) == 2


def test_all_images_are_built_unless_some_are_named(engines: Engines) -> None:
    engines.add("docker")
    assert build_images.main([]) == 0
    assert len(engines.calls("build")) == len(image_sources.image_folders(build_images.FOLDER)) > 1


def test_a_build_that_fails_fails(engines: Engines, capsys: pytest.CaptureFixture[str]) -> None:
    engines.add("docker", built=3)
    assert build_images.main(["linear"]) == 1
    assert "docker build failed" in capsys.readouterr().err


def test_an_unknown_name_is_refused_before_anything_is_built(
    engines: Engines, capsys: pytest.CaptureFixture[str]
) -> None:
    engines.add("docker")
    assert build_images.main(["linear", "nothing"]) == 1
    assert "nothing has no Dockerfile" in capsys.readouterr().err
    assert not engines.calls("build")


@pytest.mark.parametrize(
    ("printed", "size"), [("12.3MB", 12.3e6), ("448 MB", 448e6), ("1.2GB", 1.2e9), ("9kB", 9e3)]
)
def test_sizes_are_read_as_each_engine_writes_them(engines: Engines, printed: str, size: float) -> None:
    engines.add("docker")
    script = engines.folder / "docker"
    script.write_text(script.read_text().replace("12.3MB", printed))
    engines.held.write_text("image\n")
    assert build_images.size("docker", "image") == size
