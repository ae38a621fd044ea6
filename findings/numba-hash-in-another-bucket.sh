#!/usr/bin/env bash
# Feature hashing is `hash % buckets`. For an unsigned 64-bit hash NumPy and Python agree; compiled by numba, a
# Python integer or an int64 array size beside it makes both signed, so every hash from 2^63 on is taken for a
# negative number and lands in another bucket. Train compiled, serve uncompiled, and half of the features meet the
# wrong weights: no error, no negative index, only a worse model. numba's proposal on integer typing says that mixed
# signedness gives int64; NumPy (which promotes to float64 or keeps uint64) is what its users expect.
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


def bucket(value, buckets):
    return value % buckets


hashes = np.array([0x0123456789ABCDEF, 0xFEDCBA9876543210], np.uint64)
version = f"numba {numba.__version__}, numpy {np.__version__}"
expected = [int(bucket(value, 1000)) for value in hashes]
seen = [int(numba.njit(bucket)(value, 1000)) for value in hashes]
documented = [895, 104]
print("Python:  ", [int(value) % 1000 for value in hashes])
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
