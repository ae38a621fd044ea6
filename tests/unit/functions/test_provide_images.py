import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore.validate import ParamValidator
from moto import mock_aws

from containers.tooling.image_sources import content_hash
from provide_images import app

ROOT = Path(__file__).parents[3]
TABLE, PROJECT = "table", "retrain-images"
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
REPOSITORIES = {name: f"{REGISTRY}/retrain-{name.lower()}repository-1a2b" for name in ("Processing", "Model")}
LAYER = "arn:aws:lambda:us-east-1:123456789012:layer:retrain-containers:7"
STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/retrain/1"
CONTEXT: Any = SimpleNamespace(
    function_name="provide_images",
    memory_limit_in_mb=128,
    invoked_function_arn="arn:fn",
    aws_request_id="1",
)
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")
COMMAND = "Error while executing command: set -euo pipefail\n" + "docker buildx build …\n" * 100
LOG = "https://console.aws.amazon.com/cloudwatch/home#logsV2:log-groups/log-group/1"


class CodeBuild:
    """CodeBuild's two calls behind botocore's own client: requests and answers have to fit its model."""

    def __init__(self) -> None:
        self.builds: dict[str, dict[str, Any]] = {}
        self.client = boto3.Session().client("codebuild")
        for name in ("StartBuild", "BatchGetBuilds"):
            self.client.meta.events.register(f"before-call.codebuild.{name}", self._answer)

    def variables(self, number: int = 0) -> dict[str, str]:
        request = list(self.builds.values())[number]
        return {item["name"]: item["value"] for item in request["environmentVariablesOverride"]}

    def words(self, number: int = 0) -> list[str]:
        """The images that a build was started for."""
        return self.variables(number)["IMAGES"].split()

    def _answer(self, model: Any, params: dict[str, Any], **_: Any) -> Any:
        request = json.loads(params["body"])
        answer = self._start(request) if model.name == "StartBuild" else self._get(request)
        report = ParamValidator().validate(answer, model.output_shape)
        assert not report.has_errors(), report.generate_report()
        return SimpleNamespace(status_code=200), answer

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        same = [
            key
            for key, build in self.builds.items()
            if build["idempotencyToken"] == request["idempotencyToken"]
        ]
        build_id = same[0] if same else f"{request['projectName']}:{len(self.builds)}"
        self.builds.setdefault(build_id, request)
        return {"build": {"id": build_id, "buildStatus": "IN_PROGRESS"}}

    def _get(self, request: dict[str, Any]) -> dict[str, Any]:
        phases = [
            {"phaseType": "PROVISIONING", "phaseStatus": "SUCCEEDED", "contexts": [{"message": ""}]},
            {
                "phaseType": "BUILD",
                "phaseStatus": "FAILED",
                "contexts": [
                    {"statusCode": "COMMAND_EXECUTION_ERROR", "message": COMMAND + "Reason: exit status 17"}
                ],
            },
            {"phaseType": "COMPLETED"},
        ]
        [build_id] = request["ids"]
        assert build_id in self.builds
        return {
            "builds": [{"id": build_id, "buildStatus": "FAILED", "phases": phases, "logs": {"deepLink": LOG}}]
        }


class Stack:
    """CloudFormation, as far as a custom resource sees it: it asks, and hears by HTTP."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, dict[str, Any]]] = []
        self.status = 200
        stack = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                assert self.headers["Content-Type"] == ""
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if stack.status == 200:
                    stack.answers.append((self.path, body))
                self.send_response(stack.status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def ask(self, kind: str, folder: str = "linear", number: int = 1, **images: str) -> dict[str, Any]:
        """A request for containers/processing and a folder, or for what is given."""
        wanted = images or {"Processing": "processing", "Model": folder}
        return {
            "RequestType": kind,
            "ResponseURL": f"http://127.0.0.1:{self.server.server_port}/{number}?X-Amz-Signature=secret",
            "StackId": STACK,
            "RequestId": f"request-{number}",
            "LogicalResourceId": "Images",
            "PhysicalResourceId": "Images",
            "ResourceType": "Custom::Images",
            "ResourceProperties": {
                "ServiceToken": "arn:fn",
                "ServiceTimeout": "3600",
                "Source": LAYER,
                "Images": [
                    {"Name": name, "Folder": folder, "RepositoryUri": REPOSITORIES[name]}
                    for name, folder in wanted.items()
                ],
            },
        }

    @property
    def heard(self) -> dict[str, Any]:
        """The only answer so far."""
        [(_, answer)] = self.answers
        return answer


@pytest.fixture
def containers(tmp_path: Path) -> Path:
    """As in a layer: the module that says what an image is made of is the real one."""
    folder = tmp_path / "opt"
    for image in ("linear", "processing", "other"):
        (folder / image).mkdir(parents=True)
        (folder / image / "Dockerfile").write_text(f"FROM scratch\nCOPY {image} /opt/program\n")
        (folder / image / "requirements.txt").write_text("../toolkit\nnumpy==2.0\n")
    (folder / "toolkit").mkdir()
    (folder / "toolkit" / "training.py").write_text("one = 1\n")
    (folder / "tooling").mkdir()
    for shared in ("tooling/image_sources.py", "entrypoint", ".dockerignore"):
        shutil.copy(ROOT / "containers" / shared, folder / shared)
    return folder


@pytest.fixture(autouse=True)
def aws(containers: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("TABLE_NAME", TABLE)
    monkeypatch.setenv("PROJECT_NAME", PROJECT)
    monkeypatch.setenv("CONTAINERS", str(containers))
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        for uri in REPOSITORIES.values():
            boto3.client("ecr").create_repository(
                repositoryName=uri.partition("/")[2], imageTagMutability="IMMUTABLE"
            )
        yield


@pytest.fixture
def codebuild(monkeypatch: pytest.MonkeyPatch) -> CodeBuild:
    fake, connect = CodeBuild(), boto3.client
    monkeypatch.setattr(boto3, "client", lambda name: fake.client if name == "codebuild" else connect(name))
    return fake


@pytest.fixture
def stack() -> Iterator[Stack]:
    it = Stack()
    threading.Thread(target=it.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield it
    it.server.shutdown()
    it.server.server_close()


def handle(event: dict[str, Any]) -> None:
    assert app.lambda_handler(event, CONTEXT) is None


def end(number: int = 0, project: str = PROJECT) -> None:
    """EventBridge's event, as far as the rule and the function look at it."""
    build = f"arn:aws:codebuild:us-east-1:123456789012:build/{project}:{number}"
    detail = {"build-status": "SUCCEEDED", "project-name": project, "build-id": build}
    handle({"source": "aws.codebuild", "detail-type": "CodeBuild Build State Change", "detail": detail})


def push(word: str) -> str:
    """What a build does with an image; answers the image's URI by digest."""
    uri, _, tag = word.partition("=")[0].rpartition(":")
    image = boto3.client("ecr").put_image(
        repositoryName=uri.partition("/")[2],
        imageTag=tag,
        imageManifest=json.dumps({"schemaVersion": 2, "config": {"digest": tag}, "layers": []}),
        imageManifestMediaType="application/vnd.docker.distribution.manifest.v2+json",
        imageDigest=f"sha256:{hashlib.sha256(tag.encode()).hexdigest()}",
    )["image"]
    return f"{uri}@{image['imageId']['imageDigest']}"


def pending() -> list[str]:
    items = boto3.client("dynamodb").scan(TableName=TABLE)["Items"]
    assert {item["pk"]["S"] for item in items} <= {"BUILD"}
    return [item["sk"]["S"] for item in items]


def build(codebuild: CodeBuild, stack: Stack) -> list[str]:
    """The stack as it was created: its images, built and told."""
    handle(stack.ask("Create"))
    uris = [push(word) for word in codebuild.words()]
    end()
    assert stack.answers.pop()[1]["Status"] == "SUCCESS"
    return uris


def test_images_that_are_missing_are_built_and_then_told(codebuild: CodeBuild, stack: Stack) -> None:
    handle(stack.ask("Create"))
    assert stack.answers == []
    processing, linear = codebuild.words()
    assert codebuild.variables() == {"SOURCE": LAYER, "IMAGES": f"{processing} {linear}"}
    assert processing.endswith("=processing,.dockerignore,entrypoint,toolkit")
    assert linear.startswith(f"{REPOSITORIES['Model']}:linear-")
    uris = {"ProcessingUri": push(processing), "ModelUri": push(linear)}
    end()
    assert stack.answers == [
        (
            "/1?X-Amz-Signature=secret",
            {
                "Status": "SUCCESS",
                "Data": uris,
                "PhysicalResourceId": "Images",
                "StackId": STACK,
                "RequestId": "request-1",
                "LogicalResourceId": "Images",
            },
        )
    ]
    assert "@sha256:" in uris["ModelUri"]
    assert pending() == []


def test_the_tag_is_the_hash_that_make_images_comes_to(
    codebuild: CodeBuild,
    stack: Stack,
    containers: Path,
) -> None:
    handle(stack.ask("Create"))
    content = content_hash(containers, "linear")
    assert codebuild.words()[1].partition("=")[0] == f"{REPOSITORIES['Model']}:linear-{content}"


def test_the_same_content_is_not_built_again(codebuild: CodeBuild, stack: Stack) -> None:
    uris = build(codebuild, stack)
    handle(stack.ask("Update", number=2))
    assert list(stack.heard["Data"].values()) == uris
    assert len(codebuild.builds) == 1


def test_what_images_share_rebuilds_all_of_them(codebuild: CodeBuild, stack: Stack, containers: Path) -> None:
    build(codebuild, stack)
    (containers / "toolkit" / "training.py").write_text("two = 2\n")
    handle(stack.ask("Update", number=2))
    assert len(codebuild.words(1)) == 2
    assert not set(codebuild.words(1)) & set(codebuild.words(0))


def test_one_changed_folder_rebuilds_one_image(codebuild: CodeBuild, stack: Stack, containers: Path) -> None:
    processing, linear = build(codebuild, stack)
    (containers / "linear" / "train").write_text("#!/usr/bin/env python3\n")
    handle(stack.ask("Update", number=2))
    [word] = codebuild.words(1)
    assert word.startswith(f"{REPOSITORIES['Model']}:linear-")
    changed = push(word)
    end(1)
    assert stack.heard["Data"] == {"ProcessingUri": processing, "ModelUri": changed}
    assert changed != linear


def test_another_container_is_built_into_the_same_repository(codebuild: CodeBuild, stack: Stack) -> None:
    build(codebuild, stack)
    handle(stack.ask("Update", folder="other", number=2))
    [word] = codebuild.words(1)
    assert word.startswith(f"{REPOSITORIES['Model']}:other-")
    handle(stack.ask("Update", folder="linear", number=3))  # and back, without a build
    assert stack.heard["Status"] == "SUCCESS"
    assert len(codebuild.builds) == 2


def test_a_build_that_fails_is_told_with_its_reason_and_its_log(codebuild: CodeBuild, stack: Stack) -> None:
    handle(stack.ask("Create"))
    processing, linear = codebuild.words()
    push(processing)
    end()
    tag = linear.partition("=")[0].rpartition(":")[2]
    assert stack.heard["Status"] == "FAILED"
    reason = stack.heard["Reason"]
    assert reason.startswith(f"BuildFailedError: There is no {tag}. Build {PROJECT}:0 ended as FAILED (")
    assert reason.endswith(f"Reason: exit status 17). Its log: {LOG}")
    assert len(reason) < 700
    assert pending() == []
    handle(stack.ask("Update", number=2))  # the next try builds only what is missing
    assert codebuild.words(1) == [linear]


def test_a_build_that_fails_as_another_was_first_has_its_images(codebuild: CodeBuild, stack: Stack) -> None:
    """Two deployments of one content: the second finds the tag taken, which never moves."""
    handle(stack.ask("Create"))
    handle(stack.ask("Update", number=2))
    assert codebuild.words(0) == codebuild.words(1)
    uris = [push(word) for word in codebuild.words()]
    end(0)
    end(1)
    assert [path for path, _ in stack.answers] == [f"/{number}?X-Amz-Signature=secret" for number in (1, 2)]
    assert all(list(answer["Data"].values()) == uris for _, answer in stack.answers)


def test_a_rollback_does_not_wait_for_the_build_that_it_leaves(codebuild: CodeBuild, stack: Stack) -> None:
    uris = build(codebuild, stack)
    handle(stack.ask("Update", folder="other", number=2))
    handle(stack.ask("Update", folder="linear", number=3))
    assert list(stack.heard["Data"].values()) == uris
    assert stack.heard["RequestId"] == "request-3"


def test_a_request_that_comes_twice_is_built_once(codebuild: CodeBuild, stack: Stack) -> None:
    for _ in range(2):
        handle(stack.ask("Create"))
    assert list(codebuild.builds) == pending() == [f"{PROJECT}:0"]


def test_an_end_that_is_told_twice_is_answered_once(codebuild: CodeBuild, stack: Stack) -> None:
    build(codebuild, stack)
    end()
    assert stack.answers == []


def test_an_answer_that_does_not_arrive_is_given_again(codebuild: CodeBuild, stack: Stack) -> None:
    handle(stack.ask("Create"))
    for word in codebuild.words():
        push(word)
    stack.status = 503
    with pytest.raises(HTTPError, match="503"):  # so Lambda delivers the event again
        end()
    stack.status = 200
    end()
    assert stack.heard["Status"] == "SUCCESS"


def test_a_build_that_nobody_waits_for_is_passed_over(codebuild: CodeBuild, stack: Stack) -> None:
    end(5, project="another")
    assert stack.answers == []


def test_an_unknown_folder_is_refused_with_those_that_there_are(codebuild: CodeBuild, stack: Stack) -> None:
    handle(stack.ask("Update", folder="liner"))
    assert stack.heard["Status"] == "FAILED"
    assert "containers/liner makes no image" in stack.heard["Reason"]
    assert "the images are linear, other, processing" in stack.heard["Reason"]
    assert "ModelContainer" in stack.heard["Reason"]
    assert codebuild.builds == {}


def test_a_requirement_that_is_missing_is_named(codebuild: CodeBuild, stack: Stack, containers: Path) -> None:
    shutil.rmtree(containers / "toolkit")
    handle(stack.ask("Update"))
    assert stack.heard["Status"] == "FAILED"
    assert "../toolkit" in stack.heard["Reason"]


def test_an_image_that_is_given_is_not_asked_for(codebuild: CodeBuild, stack: Stack) -> None:
    handle(stack.ask("Create", Processing="processing"))
    [word] = codebuild.words()
    push(word)
    end()
    assert list(stack.heard["Data"]) == ["ProcessingUri"]


def test_what_goes_wrong_is_told_at_once(codebuild: CodeBuild, stack: Stack) -> None:
    boto3.client("ecr").delete_repository(repositoryName=REPOSITORIES["Model"].partition("/")[2])
    handle(stack.ask("Create"))
    assert stack.heard["Status"] == "FAILED"
    assert stack.heard["Reason"].startswith("RepositoryNotFoundException: ")


def test_properties_that_are_missing_are_told(codebuild: CodeBuild, stack: Stack) -> None:
    request = stack.ask("Create")
    del request["ResourceProperties"]["Source"]
    handle(request)
    assert stack.heard["Status"] == "FAILED"
    assert "Source" in stack.heard["Reason"]


def test_deleting_touches_nothing(codebuild: CodeBuild, stack: Stack, containers: Path) -> None:
    shutil.rmtree(containers)
    handle(stack.ask("Delete", folder="gone"))
    assert (stack.heard["Status"], stack.heard["Data"]) == ("SUCCESS", {})


def test_a_long_reason_fits_in_an_answer(codebuild: CodeBuild, stack: Stack) -> None:
    handle(stack.ask("Create", folder="x" * 5000))
    assert len(json.dumps(stack.heard)) < 4096


def test_the_url_to_answer_to_is_kept_out_of_logs_and_builds(
    codebuild: CodeBuild, stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    handle(stack.ask("Create"))
    end()  # failed
    request = stack.ask("Create")
    del request["StackId"]
    with pytest.raises(Exception, match="StackId") as refusal:
        handle(request)
    told = "".join(capsys.readouterr()) + str(refusal.value) + json.dumps(codebuild.builds)
    assert "StackId" in told
    assert "secret" not in told
