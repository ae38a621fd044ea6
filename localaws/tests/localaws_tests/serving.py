"""An in-process SageMaker account on moto whose model servers are real processes."""

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import boto3
from moto import mock_aws

from localaws.runtimes.container import ContainerSpec, ImageError
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.hosting.endpoint_configs import EndpointConfigs
from localaws.sagemaker.hosting.endpoints import Endpoints
from localaws.sagemaker.hosting.invocations import Invocations
from localaws.sagemaker.hosting.models import Models
from localaws.sagemaker.platform.logs import Logs
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.sessions import Sessions
from localaws.sagemaker.registry.model_packages import ModelRegistry
from localaws.testing import wait_until

ACCOUNT = "123456789012"
REGION = "us-east-1"
BUCKET = "models"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/small:latest"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/serving"

# A model is a JSON file: {"version": …} and optionally {"exit": code} or {"ping": status}. A request is a
# JSON object with optional members: "sleep" (seconds), "file" (wait until it exists), "status" (return
# this error), "crash" (exit) and "length" (padding of the response).
SERVE = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

model = json.loads(Path(os.environ["SAGEMAKER_BASE_DIR"], "model", "model.json").read_text())
print(f"version {model['version']} starts", flush=True)
if "exit" in model:
    sys.exit(model["exit"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    timeout = float(os.environ.get("KEEP_ALIVE", "60"))
    requests = 0

    def do_GET(self):
        self.answer(model.get("ping", 200), {})

    def do_POST(self):
        self.requests += 1
        length = int(self.headers["Content-Length"])
        if length > 10_000_000:
            self.close_connection = True
            return self.answer(413, {"error": "too large"})
        body = self.rfile.read(length)
        request = json.loads(body) if body.startswith(b"{") else {}
        time.sleep(request.get("sleep", 0))
        if "file" in request:
            Path(request["file"] + ".awaited").touch()
            while not Path(request["file"]).exists():
                time.sleep(0.02)
        if request.get("crash"):
            os._exit(3)
        if "status" in request:
            return self.answer(request["status"], {"error": "as requested"})
        answer = {
            "version": model["version"],
            "pid": os.getpid(),
            "headers": dict(self.headers),
            "environment": dict(os.environ),
            "on_connection": self.requests,
            "padding": "x" * request.get("length", 0),
        }
        self.answer(200, answer)

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "from the model")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


host, port = os.environ["SAGEMAKER_BIND_TO_HOST"], int(os.environ["SAGEMAKER_BIND_TO_PORT"])
ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer((host, port), Handler).serve_forever()
"""


class ProcessContainer:
    """A container that is a Python process."""

    def __init__(self, process: "subprocess.Popen[str]", spec: ContainerSpec) -> None:
        self.process = process
        self._reader = threading.Thread(target=self._read, args=(spec,), daemon=True)
        self._reader.start()

    def wait(self, timeout: float | None = None) -> int | None:
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        return code if code >= 0 else 128 - code

    def stop(self, grace: float) -> int:
        self.process.terminate()
        if self.wait(grace) is None:
            self.process.kill()
        return self.wait() or 0

    def _read(self, spec: ContainerSpec) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                spec.on_line(line.rstrip("\n"))


@dataclass
class FolderRuntime:
    """A runtime with a single image, whose executables are the scripts of a folder."""

    folder: Path
    started: list[ProcessContainer] = field(default_factory=list)

    def prepare(self, image: str) -> None:
        if image != IMAGE:
            raise ImageError(f"there is no image {image}")

    def digest(self, image: str) -> str:
        return image

    def start(self, spec: ContainerSpec) -> ProcessContainer:
        environment = {
            "PATH": os.environ["PATH"],
            "SAGEMAKER_BASE_DIR": str(spec.base_dir),
            **spec.environment,
        }
        process = subprocess.Popen(
            [sys.executable, str(self.folder / spec.command[0])],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        container = ProcessContainer(process, spec)
        self.started.append(container)
        return container


class MotoSessions:
    """Create moto clients and record the service and role of each."""

    region = REGION

    def __init__(self) -> None:
        self.clients: dict[str, Any] = {}
        self.roles: list[tuple[str, str | None]] = []

    def client(self, service: str, role_arn: str | None = None) -> Any:
        self.roles.append((service, role_arn))
        if service not in self.clients:
            make: Any = boto3.client
            self.clients[service] = make(service, region_name=REGION)
        return self.clients[service]

    def environment(self, role_arn: str) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": f"key of {role_arn}"}

    def check_role(self, role_arn: str) -> None:
        pass


class HeldRequest:
    """A request in progress that the server does not complete before `release` is called."""

    def __init__(self, account: "Account", endpoint: str, file: Path) -> None:
        self.versions: list[str] = []
        self._file = file
        self._thread = threading.Thread(
            target=lambda: self.versions.append(account.invoke(endpoint, file=str(file))["version"])
        )
        self._thread.start()
        wait_until(Path(f"{file}.awaited").exists)

    def release(self) -> list[str]:
        self._file.touch()
        self._thread.join()
        return self.versions


@dataclass
class Account:
    """The SageMaker hosting resources on top of moto."""

    platform: Platform
    runtime: FolderRuntime
    sessions: MotoSessions
    registry: ModelRegistry
    models: Models
    configs: EndpointConfigs
    endpoints: Endpoints
    invocations: Invocations

    def put_model_data(self, key: str, **model: Any) -> str:
        content = json.dumps(model).encode()
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            member = tarfile.TarInfo("model.json")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        self.sessions.client("s3").put_object(Bucket=BUCKET, Key=key, Body=archive.getvalue())
        return f"s3://{BUCKET}/{key}"

    def create_model(self, name: str, image: str = IMAGE, **model: Any) -> None:
        uri = self.put_model_data(f"{name}/model.tar.gz", **{"version": name, **model})
        container = {"Image": image, "ModelDataUrl": uri, "Environment": {"COLOUR": "blue"}}
        self.models.create({"ModelName": name, "ExecutionRoleArn": ROLE, "PrimaryContainer": container})

    def create_config(self, name: str, *models: str, **members: Any) -> None:
        variants = [
            {
                "VariantName": f"Variant{index}" if index else "AllTraffic",
                "ModelName": model,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 2,
            }
            for index, model in enumerate(models)
        ]
        self.configs.create({"EndpointConfigName": name, "ProductionVariants": variants, **members})

    def deploy(self, name: str, **model: Any) -> None:
        """Create a model and an endpoint configuration of the same name."""
        self.create_model(name, **model)
        self.create_config(name, name)

    def create_endpoint(self, name: str, config: str) -> Document:
        self.endpoints.create({"EndpointName": name, "EndpointConfigName": config})
        return self.settled(name)

    def update_endpoint(self, name: str, config: str) -> Document:
        self.endpoints.update({"EndpointName": name, "EndpointConfigName": config})
        return self.settled(name)

    def describe(self, name: str) -> Document:
        return self.endpoints.describe({"EndpointName": name})

    def settled(self, name: str) -> Document:
        wait_until(lambda: self.describe(name)["EndpointStatus"] not in ("Creating", "Updating"))
        return self.describe(name)

    def invoke(self, endpoint: str, headers: dict[str, str] | None = None, **request: Any) -> Document:
        status, _, body = self.invocations.invoke(endpoint, headers or {}, json.dumps(request).encode())
        assert status == 200
        answer: Document = json.loads(body)
        return answer

    def log(self, endpoint: str) -> str:
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        events = self.sessions.client("logs").filter_log_events(logGroupName=group)["events"]
        return "\n".join(event["message"] for event in events)


def small_account(tmp_path: Path) -> Iterator[Account]:
    """Yield an account on moto whose containers are real processes, for use as a fixture."""
    image = tmp_path / "image"
    image.mkdir()
    (image / "serve").write_text(SERVE)
    with mock_aws():
        sessions = MotoSessions()
        sessions.client("s3").create_bucket(Bucket=BUCKET)
        runtime = FolderRuntime(image)
        platform = Platform(
            ACCOUNT,
            REGION,
            tmp_path / "work",
            runtime,
            cast(Sessions, sessions),
            Logs(sessions.client("logs")),
        )
        registry = ModelRegistry(platform)
        models = Models(platform, registry)
        configs = EndpointConfigs(platform, models)
        endpoints = Endpoints(platform, models, configs)
        try:
            yield Account(
                platform, runtime, sessions, registry, models, configs, endpoints, Invocations(endpoints)
            )
        finally:
            endpoints.close()
            for container in runtime.started:
                container.stop(0)
