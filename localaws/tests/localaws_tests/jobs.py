"""An image whose code a test chooses, a bucket, and jobs that have ended."""

import json
import uuid

from localaws.sagemaker.api.shapes import Document, render_response
from localaws.sagemaker.jobs.job import ENDED, Lifecycle
from localaws.testing import ACCOUNT, REGION, Laptop, wait_until

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/tests/obedient:latest"
# An image that does what the variable CODE tells it.
PRELUDE = """#!/usr/bin/env python3
import json, os, signal, sys, time
from pathlib import Path
base = Path(os.environ["SAGEMAKER_BASE_DIR"])
"""
SCRIPTS = {
    "train": 'exec(os.environ["CODE"])',
    "work": 'exec(os.environ["CODE"])',
    "serve": """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        parameters = os.environ.get("PARAMETERS")
        if self.path == "/ping":
            self.answer(200, b"")
        else:
            self.answer(200 if parameters else 404, (parameters or "").encode())
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = len(body.splitlines()), self.headers["Content-Type"], self.headers["Accept"]
        print("asked %s %s %s\\n" % asked, end="", flush=True)  # in one piece, of several threads' pieces
        scope = {"body": body, "status": 200}
        exec(os.environ.get("CODE", "answer = body.upper()"), globals(), scope)
        self.answer(scope["status"], scope["answer"])
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
address = os.environ["SAGEMAKER_BIND_TO_HOST"], int(os.environ["SAGEMAKER_BIND_TO_PORT"])
ThreadingHTTPServer(address, Handler).serve_forever()
""",
}


class Bucket:
    """A bucket of the test's own."""

    def __init__(self, laptop: Laptop) -> None:
        self.name = f"jobs-{uuid.uuid4().hex[:12]}"
        self._s3 = laptop.client("s3")
        self._s3.create_bucket(Bucket=self.name)

    def uri(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    def put(self, key: str, content: bytes | str) -> str:
        body = content.encode() if isinstance(content, str) else content
        self._s3.put_object(Bucket=self.name, Key=key, Body=body)
        return self.uri(key)

    def put_manifest(self, key: str, prefix: str, *names: str) -> str:
        return self.put(key, json.dumps([{"prefix": prefix}, *names]))

    def get(self, key: str) -> bytes:
        content: bytes = self._s3.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content

    def keys(self, prefix: str = "") -> list[str]:
        found = self._s3.list_objects_v2(Bucket=self.name, Prefix=prefix).get("Contents", [])
        return [item["Key"] for item in found]


def end_of(jobs: Lifecycle, name: str, seconds: float = 300) -> Document:
    """A job's record when it has ended."""

    def ended() -> Document | None:
        record = jobs.describe({f"{jobs.kind}Name": name})
        return record if record[f"{jobs.kind}Status"] in ENDED else None

    record: Document = wait_until(ended, seconds)
    render_response(f"Describe{jobs.kind}", record)
    return record


def ended(jobs: Lifecycle, request: Document) -> Document:
    """The record of a new job when it has ended."""
    jobs.create(request)
    return end_of(jobs, request[f"{jobs.kind}Name"])


def logged(laptop: Laptop, group: str, job_name: str) -> list[str]:
    """What stands in a job's log streams."""
    logs = laptop.client("logs")
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job_name}/")["logStreams"]
    return [
        event["message"]
        for stream in streams
        for event in logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
    ]
