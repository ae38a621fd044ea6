#!/usr/bin/env bash
# NumPy adds in pairs, so the mean of 20 million ones in float32 is 1. Compiled by numba, the same `a.mean()` adds
# one after another in the array's own type, stops growing at 2^24 and answers 0.84; `a.std()`, which is 0, becomes
# 0.16. Standardised features or a loss over a large test set are quietly wrong as soon as a function gets its
# @njit. numba's list of supported NumPy features names sum, mean and std as supported and does not speak of
# accuracy.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check numba==0.68.1 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import sys

import numba
import numpy as np


def statistics(values):
    return values.mean(), values.std()


ones = np.ones(20_000_000, np.float32)
version = f"numba {numba.__version__}, numpy {np.__version__}"
expected = [round(float(value), 2) for value in statistics(ones)]
seen = [round(float(value), 2) for value in numba.njit(statistics)(ones)]
documented = [0.84, 0.16]
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
