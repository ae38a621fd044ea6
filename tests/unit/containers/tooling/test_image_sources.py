import os
from pathlib import Path

import pytest

from containers.tooling import image_sources
from localaws_tests.requirement_lines import NO_PATHS, PATHS

ROOT = Path(__file__).parents[4]


@pytest.fixture
def containers(tmp_path: Path) -> Path:
    """Two images, one of which takes a folder in that takes another in."""
    for name, content in {
        "one/Dockerfile": "FROM scratch",
        "one/requirements.txt": "numpy==2.4.6\n../shelf  # what all take\n",
        "one/deep/train": "code",
        "two/Dockerfile": "FROM scratch",
        "shelf/requirements.txt": "../deeper",
        "shelf/module.py": "code",
        "deeper/module.py": "code",
        "entrypoint": "code",
        ".dockerignore": "**/.*",
        "README.md": "words",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_the_folders_with_a_dockerfile_are_images(containers: Path) -> None:
    assert image_sources.image_folders(containers) == ["one", "two"]


def test_an_image_is_its_folder_and_what_it_takes_in(containers: Path) -> None:
    found = [path.relative_to(containers).as_posix() for path in image_sources.files(containers, "one")]
    assert found == [
        ".dockerignore",
        "deeper/module.py",
        "entrypoint",
        "one/Dockerfile",
        "one/deep/train",
        "one/requirements.txt",
        "shelf/module.py",
        "shelf/requirements.txt",
    ]


@pytest.mark.parametrize(
    "name",
    ["one/deep/train", "one/Dockerfile", "shelf/module.py", "deeper/module.py", "entrypoint", "one/new"],
)
def test_other_content_is_another_hash(containers: Path, name: str) -> None:
    before = [image_sources.content_hash(containers, image) for image in ("one", "two")]
    (containers / name).write_text("other")
    after = [image_sources.content_hash(containers, image) for image in ("one", "two")]
    assert before[0] != after[0]
    assert (before[1] == after[1]) == (name != "entrypoint")


def test_what_can_be_run_is_another_hash(containers: Path) -> None:
    before = image_sources.content_hash(containers, "one")
    (containers / "one/deep/train").chmod(0o755)
    assert image_sources.content_hash(containers, "one") != before


@pytest.mark.parametrize(
    "name", ["one/README.md", "one/.cache/x", "one/__pycache__/x.pyc", "shelf/.x", "README.md"]
)
def test_what_no_image_holds_changes_nothing(containers: Path, name: str) -> None:
    before = image_sources.content_hash(containers, "one")
    (containers / name).parent.mkdir(exist_ok=True)
    (containers / name).write_text("other")
    assert image_sources.content_hash(containers, "one") == before


def test_time_and_place_change_nothing(containers: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = image_sources.content_hash(containers, "one")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "containers"
    containers.rename(elsewhere)
    os.utime(elsewhere / "entrypoint", (0, 0))
    assert image_sources.content_hash(elsewhere, "one") == before


def test_another_base_is_another_hash(containers: Path) -> None:
    hashes = {
        image_sources.content_hash(containers, "one", base) for base in ("", "a@sha256:1", "a@sha256:2")
    }
    assert len(hashes) == 3


def test_an_unknown_image_names_those_there_are(containers: Path) -> None:
    with pytest.raises(FileNotFoundError, match="the images are one, two"):
        image_sources.content_hash(containers, "three")


def test_other_arguments_of_the_build_are_another_hash(containers: Path) -> None:
    builds = [(), ("--platform", "linux/arm64"), ("--platform", "linux/amd64"), ("--target", "builder")]
    assert len({image_sources.content_hash(containers, "one", "", arguments) for arguments in builds}) == len(
        builds
    )


@pytest.mark.parametrize("line", PATHS)
def test_a_line_names_a_path(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"numpy\n{line}\nscipy")
    assert image_sources.local_requirements(tmp_path / "requirements.txt") == [PATHS[line]]


@pytest.mark.parametrize("line", NO_PATHS)
def test_a_line_names_no_path(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(line)
    assert image_sources.local_requirements(tmp_path / "requirements.txt") == []


@pytest.mark.parametrize("line", ["-e ../late", "../late[fast]", "../late/../late", "../late/module.py"])
def test_what_a_line_names_is_part_of_the_hash(containers: Path, line: str) -> None:
    (containers / "late").mkdir()
    (containers / "late/module.py").write_text("code")
    (containers / "one/requirements.txt").write_text(line)
    before = image_sources.content_hash(containers, "one")
    (containers / "late/module.py").write_text("other")
    assert image_sources.content_hash(containers, "one") != before


def test_what_an_included_file_names_is_part_of_the_hash(containers: Path) -> None:
    (containers / "late").mkdir()
    (containers / "late/module.py").write_text("code")
    (containers / "common.txt").write_text("-e ./late")
    (containers / "one/requirements.txt").write_text("-r ../common.txt")
    before = image_sources.content_hash(containers, "one")
    (containers / "late/module.py").write_text("other")
    late = image_sources.content_hash(containers, "one")
    (containers / "common.txt").write_text("-e ./late\nnumpy==2.4.6")
    assert len({before, late, image_sources.content_hash(containers, "one")}) == 3


@pytest.mark.parametrize("path", ["../none", "../../outside"])
def test_a_requirement_that_no_build_would_see_is_named(containers: Path, path: str) -> None:
    (containers.parent / "outside").mkdir(exist_ok=True)
    (containers / "one/requirements.txt").write_text(f"-e {path}")
    with pytest.raises(FileNotFoundError, match=f"one/requirements.txt names {path}: there is no .* in "):
        image_sources.content_hash(containers, "one")


@pytest.mark.parametrize("name", image_sources.image_folders(ROOT / "containers"))
def test_a_dockerfile_copies_only_what_is_hashed(name: str) -> None:
    folder = ROOT / "containers"
    hashed = {path.relative_to(folder).parts[0] for path in image_sources.files(folder, name)}
    lines = (folder / name / "Dockerfile").read_text().replace("${NAME}", name).splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY") and "--from" not in line]
    assert {word.partition("/")[0] for words in copied for word in words} <= hashed
