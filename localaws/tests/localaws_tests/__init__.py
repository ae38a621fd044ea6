"""What the tests of localaws share."""

from pathlib import Path

IMAGES = Path(__file__).parents[1] / "images"
