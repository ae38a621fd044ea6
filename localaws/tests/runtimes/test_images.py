from pathlib import Path

import pytest

from localaws.runtimes.container import ImageError
from localaws.runtimes.images import Images


@pytest.mark.parametrize(
    "image",
    [
        "linear",
        "linear:latest",
        "000000000000.dkr.ecr.us-east-1.amazonaws.com/retrain/linear:1.2",
        "000000000000.dkr.ecr.us-east-1.amazonaws.com/linear@sha256:abc",
        "localhost:5000/linear:1@sha256:abc",
        "localhost:5000/linear",
    ],
)
def test_the_folder_is_the_last_part_of_the_repository(tmp_path: Path, image: str) -> None:
    (tmp_path / "linear").mkdir()
    assert Images(tmp_path).folder(image) == tmp_path / "linear"


@pytest.mark.parametrize("image", ["a/linaer:latest", "a/..", "a/.", "a/", ":latest"])
def test_the_error_for_an_unknown_image_lists_the_images(tmp_path: Path, image: str) -> None:
    for name in ("linear", "processing", ".hidden"):
        (tmp_path / name).mkdir()
    with pytest.raises(ImageError) as caught:
        Images(tmp_path).folder(image)
    message = str(caught.value)
    assert image in message
    assert str(tmp_path) in message
    assert "It has: linear, processing." in message


def test_the_digest_depends_on_content_and_executable_bits(tmp_path: Path) -> None:
    script = tmp_path / "linear/train"
    script.parent.mkdir()
    script.write_text("one")
    images = Images(tmp_path)
    first = images.digest("registry/linear:1")
    assert images.digest("linear:2") == first
    (script.parent / "__pycache__").mkdir()
    (script.parent / "__pycache__/train.pyc").write_text("compiled")
    assert images.digest("linear") == first
    script.chmod(0o755)
    runnable = images.digest("linear")
    script.write_text("two")
    renamed = script.rename(script.parent / "serve")
    assert len({first, runnable, images.digest("linear")}) == 3
    renamed.unlink()
    with pytest.raises(ImageError):
        images.digest("moon")
