import numpy as np

from processing.quality import slices


def test_equal_lengths_are_one_slice() -> None:
    names, codes = slices.quartiles(np.array([7, 7, 7]))
    assert ([names[code] for code in codes], len(names)) == (["7 to 7 characters"] * 3, 2)
