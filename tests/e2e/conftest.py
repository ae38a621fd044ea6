"""The real template, deployed by the real SAM CLI to a laptop's AWS of the tests' own."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localaws.testing import Laptop, running, wait_until

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "demo/sample.csv"
LAYER = "/powertools/python/layer"
RUN_SECONDS = 1800
# A search of two: the laptop's two cores do it side by side.
PARAMETERS = {
    "SettleSeconds": "2",
    "PowertoolsLayerArn": LAYER,
    "BuildImages": "false",
    "MaxTuningJobs": "2",
    # Those that a test changes: what is not said at the next deploy stays as it was.
    "MinImprovement": "0.001",
    "MaxPValue": "0.05",
    "MinTestRows": "0",  # the sample has fewer than the default
    "MinTestRowsPerLabel": "0",
    "AccuracyFloor": "0.6",
    "IngestInstanceCount": "1",
}


def sample_rows() -> list[dict[str, str]]:
    """The rows of the synthetic sample."""
    return list(csv.DictReader(io.StringIO(SAMPLE.read_text())))


def as_csv(rows: list[dict[str, str]]) -> bytes:
    """A file of these rows."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@dataclass
class Stack:
    """A deployed stack, and how a user works with it."""

    name: str
    root: Path
    laptop: Laptop
    environment: dict[str, str]

    def client(self, service: str) -> Any:
        """A client as the account's root."""
        return self.laptop.client(service)

    def deploy(self, template: Path | None = None, **parameters: str) -> None:
        """`sam deploy` the template, or a changed one that lies beside it, with other parameters."""
        sam = str(Path(sys.executable).with_name("sam"))
        command = [sam, "deploy", "--config-env", "local", "--stack-name", self.name, "--parameter-overrides"]
        command += [f"{name}={value}" for name, value in (PARAMETERS | parameters).items()]
        if template is not None:
            command += ["--template-file", str(template)]
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def output(self, key: str) -> str:
        """An output of the stack."""
        stack = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]
        return str({item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}[key])

    def drop(self, key: str, body: bytes) -> None:
        """Put data under raw/."""
        self.client("s3").put_object(Bucket=self.output("DataBucketName"), Key=f"raw/{key}", Body=body)

    def executions(self) -> list[dict[str, Any]]:
        """Every execution, the oldest first."""
        listed = self.client("stepfunctions").list_executions(stateMachineArn=self.output("StateMachineArn"))
        found: list[dict[str, Any]] = sorted(
            listed["executions"], key=lambda execution: execution["startDate"]
        )
        return found

    def start(self, document: dict[str, Any]) -> str:
        """Start an execution, as the console does; its ARN."""
        arn: str = self.client("stepfunctions").start_execution(
            stateMachineArn=self.output("StateMachineArn"), input=json.dumps(document)
        )["executionArn"]
        return arn

    def ended(self, arn: str) -> dict[str, Any]:
        """The execution, when it has ended."""
        states = self.client("stepfunctions")

        def described() -> dict[str, Any] | None:
            found: dict[str, Any] = states.describe_execution(executionArn=arn)
            return found if found["status"] != "RUNNING" else None

        execution: dict[str, Any] = wait_until(described, RUN_SECONDS)
        return execution

    def run(self, document: dict[str, Any]) -> dict[str, Any]:
        """An execution that is started with this input, when it has ended."""
        return self.ended(self.start(document))

    def steps(self, execution: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The steps of the execution's pipeline by name."""
        arn = json.loads(execution["output"])["pipeline"]["executionArn"]
        pages = self.client("sagemaker").get_paginator("list_pipeline_execution_steps")
        listed = [
            step
            for page in pages.paginate(PipelineExecutionArn=arn)
            for step in page["PipelineExecutionSteps"]
        ]
        return {step["StepName"]: step for step in listed}

    def read(self, uri: str) -> bytes:
        """An object in S3."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body: bytes = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def ledger(self) -> dict[str, str]:
        """Each file's status by its name under raw/."""
        pages = self.client("dynamodb").get_paginator("query")
        found = pages.paginate(
            TableName=self.output("TableName"),
            KeyConditionExpression="pk = :ledger",
            ExpressionAttributeValues={":ledger": {"S": "OBJECT"}},
        )
        items = (item for page in found for item in page["Items"])
        return {item["sk"]["S"].removeprefix("raw/"): item["status"]["S"] for item in items}

    def packages(self) -> list[dict[str, Any]]:
        """The registered models, the newest first."""
        group, sagemaker = self.output("ModelPackageGroupName"), self.client("sagemaker")
        listed = sagemaker.list_model_packages(ModelPackageGroupName=group, SortOrder="Descending")
        return [
            sagemaker.describe_model_package(ModelPackageName=item["ModelPackageArn"])
            for item in listed["ModelPackageSummaryList"]
        ]

    def entered(self, arn: str) -> list[str]:
        """The states that an execution entered, in order."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history")
        return [
            event["stateEnteredEventDetails"]["name"]
            for page in pages.paginate(executionArn=arn)
            for event in page["events"]
            if "stateEnteredEventDetails" in event
        ]

    def quiet(self) -> list[dict[str, Any]]:
        """Every execution, once none has been running for a while."""
        states = {execution["executionArn"] for execution in self.executions()}

        def settled() -> bool:
            nonlocal states
            found = self.executions()
            now = {execution["executionArn"] for execution in found}
            same, states = now == states, now
            return same and all(execution["status"] != "RUNNING" for execution in found)

        wait_until(settled, RUN_SECONDS)
        return self.executions()

    def run_after(self, act: Callable[[], Any]) -> list[dict[str, Any]]:
        """The executions that an act starts, ended; those that only found the lock taken are left out."""
        before = {execution["executionArn"] for execution in self.quiet()}
        act()
        wait_until(lambda: len(self.executions()) > len(before))
        arns = [item["executionArn"] for item in self.quiet() if item["executionArn"] not in before]
        return [self.ended(arn) for arn in arns if "AlreadyRunning" not in self.entered(arn)]

    def lock(self) -> dict[str, Any] | None:
        """Who holds the lock."""
        answer = self.client("dynamodb").get_item(
            TableName=self.output("TableName"), Key={"pk": {"S": "LOCK"}, "sk": {"S": "LOCK"}}
        )
        held: dict[str, Any] | None = answer.get("Item")
        return held

    def ask(self, text: str) -> dict[str, Any]:
        """What the real-time endpoint answers."""
        answer = self.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.output("RealTimeEndpointName"),
            ContentType="application/jsonlines",
            Accept="application/jsonlines",
            Body=json.dumps({"text": text}).encode(),
        )
        found: dict[str, Any] = json.loads(answer["Body"].read())
        return found

    def ask_later(self, text: str) -> dict[str, Any]:
        """What the asynchronous endpoint answers."""
        s3, bucket = self.client("s3"), self.output("DataBucketName")
        s3.put_object(Bucket=bucket, Key="async/input/test.jsonl", Body=json.dumps({"text": text}).encode())
        location = self.client("sagemaker-runtime").invoke_endpoint_async(
            EndpointName=self.output("AsyncEndpointName"),
            InputLocation=f"s3://{bucket}/async/input/test.jsonl",
            ContentType="application/jsonlines",
            Accept="application/jsonlines",
        )["OutputLocation"]
        key = location.removeprefix(f"s3://{bucket}/")

        def written() -> dict[str, Any] | None:
            if s3.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount", 0) == 0:
                return None
            found: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            return found

        answer: dict[str, Any] = wait_until(written)
        return answer

    def serving(self) -> dict[str, str]:
        """The configuration that each endpoint serves; only endpoints in service count."""
        sagemaker = self.client("sagemaker")
        return {
            endpoint["EndpointName"]: sagemaker.describe_endpoint(EndpointName=endpoint["EndpointName"])[
                "EndpointConfigName"
            ]
            for endpoint in sagemaker.list_endpoints(StatusEquals="InService")["Endpoints"]
        }


@contextmanager
def deployed(root: Path, **parameters: str) -> Iterator[Stack]:
    """The stack of a repository; its images' environments are kept where `make run` keeps them."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with running(root / "containers", ROOT / ".localaws", "--wait-scale=0.1") as laptop:
        environment = inherited | laptop.environment() | {"SAM_CLI_TELEMETRY": "0"}
        layer = ["layer", "aws-lambda-powertools[tracer,parser]", f"--parameter={LAYER}"]
        command = [sys.executable, "-m", "localaws", *layer]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        stack = Stack("retrain", root, laptop, environment)
        stack.deploy(None, **parameters)
        yield stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack, deployed once."""
    with deployed(ROOT) as found:
        yield found


@pytest.fixture(scope="session")
def first_model(stack: Stack) -> None:
    """Deploy a model of the first file that is dropped."""
    (execution,) = stack.run_after(lambda: stack.drop("sample.csv", SAMPLE.read_bytes()))
    assert execution["status"] == "SUCCEEDED", execution
    assert stack.entered(execution["executionArn"])[-1] == "Deployed"


@pytest.fixture
def live(stack: Stack, first_model: None) -> dict[str, str]:
    """The two live endpoints, which tests of other files may have updated since the first model."""
    serving = stack.serving()
    assert len(serving) == 2
    return serving
