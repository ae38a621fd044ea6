#!/usr/bin/env bash
# boto3 documents that clients may be shared among threads. A client makes its exception classes at the first use of
# `client.exceptions`, or at the first error, without a lock: threads that meet there get different classes of one
# name. `except client.exceptions.ResourceAlreadyExistsException` then does not catch the error that the same call of
# the same client raises, and the usual "create it unless it exists" fails in one thread in many, at the start only.
# To use `client.exceptions` once before the threads start helps.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check boto3==1.43.106 botocore==1.43.106
venv/bin/python - <<'PYTHON'
import sys
import threading

import boto3
import botocore

THREADS, CLIENTS = 8, 20
sys.setswitchinterval(1e-6)  # threads take turns as often as they can


def classes(prepared):
    """The classes that threads which share a new client get under one name."""
    client = boto3.Session("key", "secret", region_name="us-east-1").client("logs")
    if prepared:
        _ = client.exceptions
    start, found = threading.Barrier(THREADS), []

    def look():
        start.wait()
        found.append(client.exceptions.ResourceAlreadyExistsException)

    threads = [threading.Thread(target=look) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(set(found))


several = any(classes(prepared=False) > 1 for _ in range(CLIENTS))
one = all(classes(prepared=True) == 1 for _ in range(CLIENTS))
print("version:  boto3", boto3.__version__, "botocore", botocore.__version__)
print("expected: one class per name and client")
print("seen:    ", "several" if several else "one", "without preparation,", "one" if one else "several", "with it")
sys.exit(0 if several and one else "This is no longer what this script documents.")
PYTHON
