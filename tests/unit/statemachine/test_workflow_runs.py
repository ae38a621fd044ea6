"""The rendered workflow, run by moto's interpreter against an AWS made of a few dictionaries.

moto is stricter than a look at the file: a path that is not there fails the execution, as it does on AWS.
"""

import functools
import io
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.model import ServiceModel, StringShape, StructureShape
from botocore.validate import ParamValidator
from moto import mock_aws
from mypy_boto3_stepfunctions import SFNClient

RENDERED = Path(__file__).parents[3] / "statemachine" / "rendered" / "retrain.asl.json"
REALTIME, ASYNC = "retrain-realtime", "retrain-async"
PLAN = "s3://data/plans/abc/plan.json"
REPORT = "s3://data/runs/one/quality/report.html"
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/retrain-models/7"
PIPELINE = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/retrain-pipeline/execution/abc"
LEFT_PIPELINE = PIPELINE.replace("abc", "old")
ROLE = "arn:aws:iam::123456789012:role/retrain-Role"
OTHER = "arn:aws:states:us-east-1:123456789012:execution:retrain:other"
SUBSTITUTIONS = {
    "Partition": "aws",
    "StackName": "retrain",
    "SettleSeconds": "2",
    "TableName": "table",
    "ModelPackageGroupName": "retrain-models",
    "DataBucketName": "data",
    "NotificationTopicArn": "arn:aws:sns:us-east-1:123456789012:topic",
    "RealTimeEndpointName": REALTIME,
    "AsyncEndpointName": ASYNC,
    "EndpointInstanceType": "ml.t2.medium",
}

Call = tuple[str, dict[str, Any]]


def explanation(error: str, cause: str, status: str = "FAILED", *, retriable: bool = False) -> dict[str, Any]:
    """What ExplainFailure answers."""
    return {"status": status, "error": error, "cause": cause, "retriable": retriable}


class Endpoint:
    """Takes a describe to change, and keeps the old configuration until then."""

    def __init__(self, config: str, status: str = "InService", then: str = "InService") -> None:
        self.config, self.status, self.then = config, status, then
        self.next_config, self.reason = config, ""

    def describe(self, name: str) -> dict[str, Any]:
        answer = {"EndpointName": name, "EndpointConfigName": self.config, "EndpointStatus": self.status}
        if self.status not in ("InService", "Failed"):
            self.config, self.status = self.next_config, self.then
        elif self.reason:
            answer["FailureReason"] = self.reason
        return answer


class Aws:
    """What the workflow sees of AWS: a lock, a pipeline, functions, endpoints; and all that it asked."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.pauses: list[int] = []
        self.me = ""
        self.lock: str | None = None
        self.lock_pipeline: str | None = None
        self.lock_requests: list[dict[str, str]] = []
        self.stopped: list[str] = []
        self.executions: dict[str, str] = {}
        self.pipeline = ["Executing", "Executing", "Succeeded"]
        self.endpoints: dict[str, Endpoint] = {}
        self.broken: dict[str, str] = {}  # endpoints that will not take a new configuration, and why
        self.errors: dict[str, list[Exception]] = {}
        self.functions: dict[str, Any] = {
            "PlanRun": {
                "run": True,
                "forced": False,
                "newObjects": 1,
                "objects": 2,
                "remaining": 0,
                "setAside": 0,
                "newSetAside": 0,
                "ignored": 0,
                "goneObjects": 1,
                "goneNote": "1 ingested file is no longer under raw/.",
                "planUri": PLAN,
                "asOf": "2026-11-23T03:07:15.001Z",
                "outputUri": "s3://data/runs/one",
                "quarantineUri": "s3://data/quarantine/one",
                "championModelName": "none",
                "championModelPackageArn": None,
                "championNote": "no model was deployed before",
                "firstModel": True,
                "offlineStoreDatabase": "sagemaker_featurestore",
                "offlineStoreTable": "retrain_records_1763867235",
                "pipelineName": "retrain-tuning",
                "maxTuningJobs": "4",
                "maxParallelTuningJobs": "2",
                "ingestVolumeSizeInGB": "31",
                "datasetVolumeSizeInGB": "32",
            },
            "LookAgain": {"run": False},
            "JudgeModel": {
                "approved": True,
                "verdict": "model approved",
                "modelPackageArn": PACKAGE,
                "table": [{"metric": "accuracy", "value": 0.9, "bound": 0.8, "verdict": "pass"}],
                "summary": "Approved: accuracy 0.9000 is at least 0.8.",
                "statisticsUri": "s3://data/runs/one/quality/statistics.json",
                "samplesUri": "s3://data/runs/one/quality/samples.jsonl",
                "reportUri": REPORT,
            },
            "EstimateCost": {
                "total": 0.4,
                "text": "0.40 USD on AWS",
                "costUri": "s3://data/runs/one/cost.json",
            },
            "SmokeTest": {"answers": []},
            "ExplainFailure": explanation("It.Failed", "the reason"),
            "UpdateLedger": {
                "records": 50,
                "deletedRecords": 0,
                "quarantinedRows": 1,
                "quarantinedFiles": [],
                "newLabels": [],
                "heldLabels": [],
                "omittedLabels": [],
                "setAside": [],
                "summary": "50 records, 1 bad row",
            },
        }

    def call(self, service: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if service == "stepfunctions":  # moto leaves the translation of these names to the caller
            request = {key[0].lower() + key[1:]: value for key, value in request.items()}
        validate(service, operation, request)
        self.calls.append((operation, request))
        if self.errors.get(operation):
            raise self.errors[operation].pop(0)
        answer: dict[str, Any] = getattr(self, operation)(**request)
        return {**answer, "ResponseMetadata": {}}

    def asked(self, operation: str) -> list[dict[str, Any]]:
        return [request for name, request in self.calls if name == operation]

    def invoked(self, function: str) -> list[dict[str, Any]]:
        arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function}"
        return [json.loads(call["Payload"]) for call in self.asked("Invoke") if call["FunctionName"] == arn]

    def Invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        name, payload = FunctionName.rpartition(":")[2], json.loads(Payload)
        answer = self.functions["LookAgain" if "lookAgain" in payload else name]
        if isinstance(answer, list):
            answer = answer.pop(0)
        failed = {"FunctionError": "Unhandled"} if "errorType" in answer else {}
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer).encode()), **failed}

    def PutItem(self, Item: dict[str, Any], ExpressionAttributeValues: Any, **_: Any) -> dict[str, Any]:
        if self.lock is not None and self.lock not in [
            value["S"] for value in ExpressionAttributeValues.values()
        ]:
            raise error("ConditionalCheckFailedException", "The conditional request failed")
        self.lock, self.lock_pipeline, self.lock_requests = Item["execution"]["S"], None, []
        return {}

    def GetItem(self, **_: Any) -> dict[str, Any]:
        pipeline = {"pipelineExecution": {"S": self.lock_pipeline}} if self.lock_pipeline else {}
        return {"Item": {"execution": {"S": self.lock}, **pipeline}} if self.lock else {}

    def UpdateItem(
        self, UpdateExpression: str, ConditionExpression: str, ExpressionAttributeValues: Any, **_: Any
    ) -> dict[str, Any]:
        names = re.findall(r"execution = (:\w+)", ConditionExpression)
        if self.lock not in [ExpressionAttributeValues[name]["S"] for name in names]:
            raise error("ConditionalCheckFailedException", "The conditional request failed")
        if UpdateExpression == "SET pipelineExecution = :pipeline":
            self.lock_pipeline = ExpressionAttributeValues[":pipeline"]["S"]
        elif UpdateExpression.startswith("SET requests = list_append("):
            assert ExpressionAttributeValues[":none"] == {"L": []}
            self.lock_requests += ExpressionAttributeValues[":mine"]["L"]
        else:
            assert UpdateExpression.endswith(" REMOVE pipelineExecution")
            self.lock, self.lock_pipeline = ExpressionAttributeValues[":mine"]["S"], None
        return {}

    def DeleteItem(self, ExpressionAttributeValues: Any, ReturnValues: str, **_: Any) -> dict[str, Any]:
        if self.lock != ExpressionAttributeValues[":mine"]["S"]:
            raise error("ConditionalCheckFailedException", "The conditional request failed")
        assert ReturnValues == "ALL_OLD"
        requests = {"requests": {"L": self.lock_requests}} if self.lock_requests else {}
        old = {"execution": {"S": self.lock}, **requests}
        self.lock, self.lock_requests = None, []
        return {"Attributes": old}

    def DescribeExecution(self, executionArn: str) -> dict[str, Any]:
        if executionArn not in self.executions:
            raise error("ExecutionDoesNotExist", f"Execution Does Not Exist: '{executionArn}'")
        return {"ExecutionArn": executionArn, "Status": self.executions[executionArn]}

    def StartExecution(self, **_: Any) -> dict[str, Any]:
        return {"ExecutionArn": OTHER}

    def Publish(self, **_: Any) -> dict[str, Any]:
        return {"MessageId": "1"}

    def StartPipelineExecution(self, **_: Any) -> dict[str, Any]:
        return {"PipelineExecutionArn": PIPELINE}

    def DescribePipelineExecution(self, **_: Any) -> dict[str, Any]:
        return {"PipelineExecutionArn": PIPELINE, "PipelineExecutionStatus": self.pipeline.pop(0)}

    def RetryPipelineExecution(self, PipelineExecutionArn: str, **_: Any) -> dict[str, Any]:
        return {"PipelineExecutionArn": PipelineExecutionArn}

    def StopPipelineExecution(self, PipelineExecutionArn: str, **_: Any) -> dict[str, Any]:
        self.stopped.append(PipelineExecutionArn)
        return {"PipelineExecutionArn": PipelineExecutionArn}

    def UpdateModelPackage(self, **_: Any) -> dict[str, Any]:
        return {"ModelPackageArn": PACKAGE}

    def CreateModel(self, **_: Any) -> dict[str, Any]:
        return {"ModelArn": "arn"}

    def CreateEndpointConfig(self, **_: Any) -> dict[str, Any]:
        return {"EndpointConfigArn": "arn"}

    def DescribeEndpoint(self, EndpointName: str) -> dict[str, Any]:
        if EndpointName not in self.endpoints:
            raise error("", f'Could not find endpoint "{EndpointName}".')
        answer = self.endpoints[EndpointName].describe(EndpointName)
        if self.endpoints[EndpointName].status == "Gone":
            del self.endpoints[EndpointName]
        return answer

    def CreateEndpoint(self, EndpointName: str, EndpointConfigName: str) -> dict[str, Any]:
        assert EndpointName not in self.endpoints
        broken = EndpointName in self.broken
        endpoint = Endpoint(EndpointConfigName, "Creating", "Failed" if broken else "InService")
        endpoint.reason = self.broken.get(EndpointName, "")
        self.endpoints[EndpointName] = endpoint
        return {"EndpointArn": "arn"}

    def UpdateEndpoint(self, EndpointName: str, EndpointConfigName: str) -> dict[str, Any]:
        endpoint = self.endpoints[EndpointName]
        assert endpoint.status == "InService", "SageMaker updates no endpoint that is changing"
        endpoint.status, endpoint.then = "Updating", "InService"
        if EndpointName in self.broken:
            endpoint.reason = self.broken[EndpointName]
        else:
            endpoint.next_config = EndpointConfigName
        return {"EndpointArn": "arn"}

    def DeleteEndpoint(self, EndpointName: str) -> dict[str, Any]:
        endpoint = self.endpoints[EndpointName]
        endpoint.status, endpoint.then = "Deleting", "Gone"
        return {}


def error(code: str, message: str, status: int = 400) -> Exception:
    """As boto3 raises it: of the modelled error's class, or a plain ClientError for any other."""
    kind = type(code, (ClientError,), {}) if code else ClientError
    metadata = {
        "HTTPStatusCode": status,
        "RequestId": "1",
        "HTTPHeaders": {},
        "HostId": "",
        "RetryAttempts": 0,
    }
    response = {
        "Error": {"Code": code or "ValidationException", "Message": message},
        "ResponseMetadata": metadata,
    }
    raised: Exception = kind(response, "Operation")
    return raised


@functools.cache
def service_model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def validate(service: str, operation: str, request: dict[str, Any]) -> None:
    """Holds a request against botocore's model, lengths and patterns of its strings included."""
    shape = service_model(service).operation_model(operation).input_shape
    assert isinstance(shape, StructureShape)
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), f"{operation}: {report.generate_report()}"
    for name, value in request.items():
        rules = shape.members[name].metadata
        if isinstance(shape.members[name], StringShape):
            assert len(value) <= rules.get("max", len(value)), f"{operation}.{name} is too long: {value}"
            pattern = rules.get("pattern")
            assert not pattern or re.fullmatch(pattern, value), f"{operation}.{name}: {value!r}"


class Client:
    """The boto3 client that the interpreter asks."""

    def __init__(self, aws: Aws, service: str) -> None:
        self._aws, self._service = aws, service

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        operation = "".join(word.capitalize() for word in method.split("_"))
        return lambda **request: self._aws.call(self._service, operation, request)


@functools.cache
def parse_once(parse: Callable[..., Any]) -> Callable[..., Any]:
    """Return a parser that remembers its answers: it takes most of a test's time."""
    return functools.cache(parse)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    # Imported here: moto's interpreter takes seconds to import, and every worker imports every test module.
    from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
    from moto.stepfunctions.parser.asl.component.component import Component
    from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
        state_task_service_aws_sdk,
    )
    from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

    aws = Aws()
    for module in (state_task_service_aws_sdk, lambda_eval_utils):
        monkeypatch.setattr(module, "boto_client_for", lambda service, **_: Client(aws, service))
    monkeypatch.setattr(
        WaitFunction, "_wait_interval", lambda self, env, wait_seconds: aws.pauses.append(wait_seconds)
    )
    monkeypatch.setattr(retrier_decl, "time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(AmazonStateLanguageParser, "parse", parse_once(AmazonStateLanguageParser.parse))
    monkeypatch.setattr(Component, "__str__", lambda self: type(self).__name__)  # else it logs the whole tree
    names = {"sagemaker": "SageMaker", "sns": "Sns"}
    monkeypatch.setattr(
        state_task_service_aws_sdk,
        "_SERVICE_ERROR_NAMES",
        {**state_task_service_aws_sdk._SERVICE_ERROR_NAMES, **names},
    )
    return aws


@pytest.fixture(scope="module")
def machine() -> Iterator[tuple[SFNClient, str]]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
            client = boto3.client("stepfunctions", region_name="us-east-1")
            created = client.create_state_machine(name="retrain", definition=definition(), roleArn=ROLE)
            yield client, created["stateMachineArn"]


@pytest.fixture
def run(aws: Aws, machine: tuple[SFNClient, str]) -> Callable[..., dict[str, Any]]:
    """Runs the workflow to its end and answers what DescribeExecution does."""
    client, machine_arn = machine
    name = uuid4().hex
    arn = f"arn:aws:states:us-east-1:123456789012:execution:retrain:{name}"
    aws.me = arn

    def execute(given: dict[str, Any] | None = None) -> Any:
        client.start_execution(stateMachineArn=machine_arn, name=name, input=json.dumps(given or {}))
        deadline = time.monotonic() + 300
        # Not by its status: moto ends an execution before it has what came of it.
        while not {"output", "cause"} & (answer := client.describe_execution(executionArn=arn)).keys():
            assert time.monotonic() < deadline, aws.calls[-3:]
            time.sleep(0.05)
        return answer

    return execute


def definition() -> str:
    """The rendered file as it is deployed."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name.endswith("Arn") and name not in SUBSTITUTIONS:
            function = f"arn:aws:lambda:us-east-1:123456789012:function:{name.removesuffix('Arn')}"
            return ROLE if name.endswith("RoleArn") else function
        return SUBSTITUTIONS.get(name, name)

    return re.sub(r"\$\{(\w+)\}", value, RENDERED.read_text())


Run = Callable[..., dict[str, Any]]


def live(aws: Aws) -> dict[str, str]:
    """The configuration that each endpoint answers with."""
    return {
        name: endpoint.config for name, endpoint in aws.endpoints.items() if endpoint.status == "InService"
    }


def test_deploys_a_good_model_to_two_new_endpoints(aws: Aws, run: Run) -> None:
    answer = run({"force": True})
    output = json.loads(answer["output"])
    configs = [endpoint["config"] for endpoint in output["deployment"]["endpoints"]]
    assert answer["status"] == "SUCCEEDED"
    assert output["outcome"]["status"] == "DEPLOYED"
    assert live(aws) == dict(zip([REALTIME, ASYNC], configs, strict=True))
    assert aws.lock is None
    assert aws.invoked("PlanRun")[0]["execution"]["Input"] == {"force": True}
    assert aws.invoked("UpdateLedger") == [
        {
            "planUri": PLAN,
            "execution": aws.me.rpartition(":")[2],
            "outcome": {"status": "DEPLOYED"},
            "pipelineExecutionArn": PIPELINE,
            "goneNote": "1 ingested file is no longer under raw/.",
        }
    ]
    [asynchronous] = [call for call in aws.asked("CreateEndpointConfig") if "AsyncInferenceConfig" in call]
    assert asynchronous["AsyncInferenceConfig"]["OutputConfig"] == {
        "S3OutputPath": "s3://data/async/output",
        "S3FailurePath": "s3://data/async/failure",
    }
    [message] = aws.asked("Publish")
    assert message["Subject"] == "retrain: model deployed"
    assert message["Message"].split("\n\n") == [
        "Approved: accuracy 0.9000 is at least 0.8.",
        "50 records, 1 bad row",
        '[{"metric":"accuracy","value":0.9,"bound":0.8,"verdict":"pass"}]',
        PACKAGE,
        REPORT,
        "0.40 USD on AWS",
        aws.me,
    ]
    assert aws.pauses[:4] == [2, 5, 10, 15]
    assert not aws.asked("StartExecution")


def test_an_s3_event_starts_a_run_too(aws: Aws, run: Run) -> None:
    event = {"source": "aws.s3", "detail": {"bucket": {"name": "data"}, "object": {"key": "raw/a.csv"}}}
    assert run(event)["status"] == "SUCCEEDED"


def test_updates_endpoints_in_place(aws: Aws, run: Run) -> None:
    aws.endpoints = {REALTIME: Endpoint("old"), ASYNC: Endpoint("old", "Updating")}
    output = json.loads(run()["output"])
    assert set(live(aws).values()) == {endpoint["config"] for endpoint in output["deployment"]["endpoints"]}
    assert len(aws.asked("UpdateEndpoint")) == 2
    assert not aws.asked("CreateEndpoint")


def test_replaces_an_endpoint_that_failed(aws: Aws, run: Run) -> None:
    aws.endpoints = {REALTIME: Endpoint("old", "Failed"), ASYNC: Endpoint("old")}
    assert run()["status"] == "SUCCEEDED"
    assert aws.asked("DeleteEndpoint") == [{"EndpointName": REALTIME}]
    assert len(live(aws)) == 2
    assert "old" not in live(aws).values()


@pytest.mark.parametrize("verdict", ["model rejected", "not enough test rows"])
def test_rejects_a_model_that_is_not_good_enough(aws: Aws, run: Run, verdict: str) -> None:
    rejected = {"approved": False, "verdict": verdict, "summary": "Rejected: accuracy 0.5 is below 0.8."}
    aws.functions["JudgeModel"] |= rejected
    aws.endpoints = {REALTIME: Endpoint("old"), ASYNC: Endpoint("old")}
    answer = run()
    assert answer["status"] == "SUCCEEDED"
    assert json.loads(answer["output"])["outcome"]["status"] == "REJECTED"
    assert aws.asked("UpdateModelPackage") == [
        {
            "ModelPackageArn": PACKAGE,
            "ModelApprovalStatus": "Rejected",
            "ApprovalDescription": "Rejected: accuracy 0.5 is below 0.8.",
        }
    ]
    assert aws.asked("Publish")[0]["Subject"] == f"retrain: {verdict}"
    assert live(aws) == {REALTIME: "old", ASYNC: "old"}
    assert aws.lock is None


def test_nothing_new_ends_quietly(aws: Aws, run: Run) -> None:
    nothing = dict.fromkeys(aws.functions["PlanRun"])
    aws.functions["PlanRun"] = nothing | counts(objects=2, setAside=1, newSetAside=0, ignored=3)
    answer = run()
    outcome = json.loads(answer["output"])["outcome"]
    assert outcome["status"] == "NOTHING_NEW"
    assert outcome["cause"] == "All of 2 files are in the ledger; set aside: 1; no data: 3"
    assert not aws.asked("StartPipelineExecution")
    assert not aws.asked("Publish")
    assert aws.lock is None


def counts(**counts: int) -> dict[str, Any]:
    """The part of PlanRun's answer that is there without anything to run."""
    return {"run": False, "forced": False, "newObjects": 0, "remaining": 0, **counts}


def test_files_that_no_job_can_take_are_recorded_and_notified_without_a_pipeline(aws: Aws, run: Run) -> None:
    nothing = dict.fromkeys(aws.functions["PlanRun"])
    found = counts(objects=2, setAside=2, newSetAside=1, ignored=0)
    aws.functions["PlanRun"] = nothing | found | {"planUri": PLAN}
    aws.functions["UpdateLedger"]["summary"] = "Set aside: raw/a//b.csv"
    answer = run()
    assert answer["status"] == "SUCCEEDED"
    assert json.loads(answer["output"])["outcome"]["status"] == "SET_ASIDE"
    assert not aws.asked("StartPipelineExecution")
    [recorded] = aws.invoked("UpdateLedger")
    assert (recorded["planUri"], recorded["outcome"]) == (PLAN, {"status": "SET_ASIDE"})
    [message] = aws.asked("Publish")
    assert message["Subject"] == "retrain: files set aside"
    assert "set aside: 1" in message["Message"]
    assert "raw/a//b.csv" in message["Message"]
    assert aws.lock is None


def test_data_that_arrived_meanwhile_starts_the_next_run_after_the_release(aws: Aws, run: Run) -> None:
    aws.functions["LookAgain"] = {"run": True}
    run()
    names = [name for name, _ in aws.calls]
    assert names[-3:] == ["DeleteItem", "Invoke", "StartExecution"]
    assert aws.asked("StartExecution")[0]["input"] == "{}"


def test_a_failed_pipeline_ends_in_the_steps_cause(aws: Aws, run: Run) -> None:
    aws.pipeline = ["Executing", "Failed"]
    cause = "Pipeline step IngestRecords failed: raw/noise.csv: not UTF-8 text"
    aws.functions["ExplainFailure"] = explanation("IngestRecords.Failed", cause)
    answer = run()
    assert (answer["status"], answer["error"], answer["cause"]) == ("FAILED", "IngestRecords.Failed", cause)
    assert aws.invoked("ExplainFailure")[0]["pipelineExecutionArn"] == PIPELINE
    assert aws.invoked("UpdateLedger")[0]["outcome"] == {"status": "FAILED"}
    [message] = aws.asked("Publish")
    assert message["Subject"] == "retrain: IngestRecords.Failed"
    assert cause in message["Message"]
    assert not aws.asked("RetryPipelineExecution")
    assert aws.lock is None


def test_a_fault_of_the_platform_is_tried_once_more(aws: Aws, run: Run) -> None:
    aws.pipeline = ["Executing", "Failed", "Executing", "Succeeded"]
    fault = explanation("TrainModel.Failed", "InternalServerError", retriable=True)
    aws.functions["ExplainFailure"] = fault
    answer = run()
    assert json.loads(answer["output"])["outcome"]["status"] == "DEPLOYED"
    [retried] = aws.asked("RetryPipelineExecution")
    assert retried["PipelineExecutionArn"] == PIPELINE
    assert len(aws.asked("StartPipelineExecution")) == 1


def test_a_fault_that_stays_is_not_tried_for_ever(aws: Aws, run: Run) -> None:
    aws.pipeline = ["Failed", "Failed"]
    aws.functions["ExplainFailure"] = explanation("TrainModel.Failed", "CapacityError", retriable=True)
    answer = run()
    assert (answer["status"], answer["cause"]) == ("FAILED", "CapacityError")
    assert len(aws.asked("RetryPipelineExecution")) == 1
    assert aws.lock is None


def test_a_retry_that_is_refused_is_told(aws: Aws, run: Run) -> None:
    aws.pipeline = ["Failed"]
    aws.functions["ExplainFailure"] = explanation("TrainModel.Failed", "CapacityError", retriable=True)
    aws.errors["RetryPipelineExecution"] = [error("", "not authorized")] * 4
    answer = run()
    assert answer["cause"].startswith("CapacityError Then RetryPipeline failed: not authorized")
    assert aws.lock is None


def test_a_model_below_the_floor_is_rejected_without_being_registered(aws: Aws, run: Run) -> None:
    aws.pipeline = ["Failed"]
    aws.functions["ExplainFailure"] = explanation("BelowFloor", "below the floor of 0.6", "REJECTED")
    aws.endpoints = {REALTIME: Endpoint("old"), ASYNC: Endpoint("old")}
    answer = run()
    assert answer["status"] == "SUCCEEDED"
    assert json.loads(answer["output"])["outcome"]["status"] == "REJECTED"
    assert aws.invoked("UpdateLedger")[0]["outcome"] == {"status": "REJECTED"}
    assert aws.asked("Publish")[0]["Subject"] == "retrain: BelowFloor"
    assert not aws.asked("UpdateModelPackage")
    assert live(aws) == {REALTIME: "old", ASYNC: "old"}


def test_the_champion_is_named_to_the_pipeline_and_to_the_judge(aws: Aws, run: Run) -> None:
    champion = PACKAGE.replace("/7", "/3")
    aws.functions["PlanRun"] |= {
        "championModelName": "retrain-3",
        "championModelPackageArn": champion,
        "championNote": "live on retrain-realtime",
        "firstModel": False,
    }
    run()
    [started] = aws.asked("StartPipelineExecution")
    given = {item["Name"]: item["Value"] for item in started["PipelineParameters"]}
    assert started["PipelineName"] == "retrain-tuning"
    assert (given["ChampionModelName"], given["MaxTuningJobs"]) == ("retrain-3", "4")
    assert given["ChampionNote"] == "live on retrain-realtime"
    assert aws.invoked("JudgeModel") == [
        {
            "pipelineExecutionArn": PIPELINE,
            "championModelPackageArn": champion,
            "championNote": "live on retrain-realtime",
            "firstModel": False,
        }
    ]


def test_a_deployment_that_ended_is_recorded_with_the_model(aws: Aws, run: Run) -> None:
    run()
    approved, recorded = aws.asked("UpdateModelPackage")
    assert approved["ModelApprovalStatus"] == "Approved"
    assert recorded == {"ModelPackageArn": PACKAGE, "CustomerMetadataProperties": {"Deployed": aws.me}}
    names = [name for name, _ in aws.calls if name in ("UpdateModelPackage", "CreateEndpoint")]
    assert names == ["UpdateModelPackage", "CreateEndpoint", "CreateEndpoint", "UpdateModelPackage"]


def test_a_deployment_that_cannot_be_recorded_is_undone(aws: Aws, run: Run) -> None:
    """Otherwise the endpoints could serve a model that is no champion once they are deleted."""
    aws.endpoints = {REALTIME: Endpoint("old"), ASYNC: Endpoint("older")}
    update = aws.UpdateModelPackage

    def refuse(**request: Any) -> dict[str, Any]:
        if "CustomerMetadataProperties" in request:
            raise error("ConflictExceptionOfNoKind", "not authorized")
        return update(**request)

    aws.UpdateModelPackage = refuse  # type: ignore[method-assign]
    assert run()["status"] == "FAILED"
    assert live(aws) == {REALTIME: "old", ASYNC: "older"}
    assert aws.asked("UpdateModelPackage")[-1]["ModelApprovalStatus"] == "Rejected"


def test_a_cost_that_cannot_be_estimated_keeps_no_model_back(aws: Aws, run: Run) -> None:
    aws.functions["EstimateCost"] = {"errorType": "KeyError", "errorMessage": "ml.new.large"}
    answer = run()
    assert json.loads(answer["output"])["outcome"]["status"] == "DEPLOYED"
    assert re.search("could not be estimated: .*ml.new.large", aws.asked("Publish")[0]["Message"])


def test_a_failure_that_cannot_be_explained_keeps_its_own_cause(aws: Aws, run: Run) -> None:
    aws.functions["JudgeModel"] = {"errorType": "NoModelPackageError", "errorMessage": "no model"}
    aws.functions["ExplainFailure"] = {"errorType": "AccessDenied", "errorMessage": "not you"}
    answer = run()
    assert (answer["status"], answer["error"]) == ("FAILED", "NoModelPackageError")
    assert re.search("no model.* Then ExplainFailure failed: .*not you", answer["cause"])
    assert "not you" in aws.asked("Publish")[0]["Message"]
    assert aws.lock is None


@pytest.mark.parametrize("before", [{}, {REALTIME: "old", ASYNC: "older"}])
def test_a_smoke_test_that_fails_restores_what_was_live(aws: Aws, run: Run, before: dict[str, str]) -> None:
    aws.endpoints = {name: Endpoint(config) for name, config in before.items()}
    aws.functions["SmokeTest"] = {"errorType": "SmokeTestFailed", "errorMessage": "pos instead of neg"}
    answer = run()
    assert (answer["status"], answer["cause"]) == ("FAILED", "the reason")
    assert live(aws) == before
    assert len(aws.endpoints) == len(before)
    verdicts = [call["ModelApprovalStatus"] for call in aws.asked("UpdateModelPackage")]
    assert verdicts == ["Approved", "Rejected"]
    assert aws.lock is None


@pytest.mark.parametrize("before", [{}, {REALTIME: "old", ASYNC: "older"}])
def test_an_endpoint_that_does_not_come_up_restores_the_other(
    aws: Aws, run: Run, before: dict[str, str]
) -> None:
    aws.endpoints = {name: Endpoint(config) for name, config in before.items()}
    aws.broken = {ASYNC: "The container did not answer /ping"}
    answer = run()
    assert answer["status"] == "FAILED"
    assert live(aws) == before
    [explained] = aws.invoked("ExplainFailure")
    assert explained["failure"]["Error"] == "DeploymentFailed"
    assert "retrain-async" in explained["failure"]["Cause"]
    assert "The container did not answer /ping" in explained["failure"]["Cause"]
    assert aws.lock is None


def test_a_model_that_cannot_be_created_is_not_left_approved(aws: Aws, run: Run) -> None:
    aws.endpoints = {REALTIME: Endpoint("old"), ASYNC: Endpoint("old")}
    denied = error("", "User: x is not authorized to perform: sagemaker:CreateModel")
    aws.errors["CreateModel"] = [denied] * 9
    assert run()["status"] == "FAILED"
    assert len(aws.asked("CreateModel")) == 4
    assert aws.asked("UpdateModelPackage")[-1]["ModelApprovalStatus"] == "Rejected"
    assert live(aws) == {REALTIME: "old", ASYNC: "old"}
    assert not aws.asked("UpdateEndpoint")


def test_a_running_holder_keeps_the_lock(aws: Aws, run: Run) -> None:
    aws.lock, aws.executions = OTHER, {OTHER: "RUNNING"}
    answer = run()
    assert answer["status"] == "SUCCEEDED"
    assert json.loads(answer["output"]) == {"execution": OTHER, "status": "RUNNING"}
    assert aws.lock == OTHER
    assert not aws.asked("Invoke")


@pytest.mark.parametrize("executions", [{OTHER: "ABORTED"}, {}])
def test_a_holder_that_no_longer_runs_is_superseded(aws: Aws, run: Run, executions: dict[str, str]) -> None:
    aws.lock, aws.executions = OTHER, executions
    assert run()["status"] == "SUCCEEDED"
    assert aws.lock is None


def test_a_holder_that_has_just_started_is_not_superseded(aws: Aws, run: Run) -> None:
    """DescribeExecution is eventually consistent: a holder milliseconds old may not exist yet."""
    aws.lock, aws.executions = OTHER, {OTHER: "RUNNING"}
    aws.errors["DescribeExecution"] = [error("ExecutionDoesNotExist", "Execution Does Not Exist")]
    assert json.loads(run()["output"]) == {"execution": OTHER, "status": "RUNNING"}
    assert aws.lock == OTHER
    assert aws.pauses == [15]


def test_a_holder_is_doubted_twice_before_another_is_superseded(aws: Aws, run: Run) -> None:
    aws.lock, aws.executions = OTHER, {"second": "RUNNING"}
    unknown = error("ExecutionDoesNotExist", "Execution Does Not Exist")
    describe = aws.DescribeExecution

    def hand_over(executionArn: str) -> dict[str, Any]:
        if executionArn == OTHER:
            aws.lock, aws.errors["DescribeExecution"] = "second", [unknown]
        return describe(executionArn)

    aws.DescribeExecution = hand_over  # type: ignore[method-assign]
    assert json.loads(run()["output"])["execution"] == "second"
    assert aws.pauses == [15, 15]


@pytest.mark.parametrize("ended", [False, True])
def test_the_pipeline_of_a_stopped_holder_is_stopped(aws: Aws, run: Run, ended: bool) -> None:
    aws.lock, aws.lock_pipeline, aws.executions = OTHER, LEFT_PIPELINE, {OTHER: "ABORTED"}
    if ended:
        aws.errors["StopPipelineExecution"] = [error("", "Pipeline execution has ended")] * 4
    answer = run()
    assert answer["status"] == "SUCCEEDED"
    assert aws.stopped == ([] if ended else [LEFT_PIPELINE])
    assert LEFT_PIPELINE not in answer["output"]


def test_a_stopped_owner_leaves_its_pipelines_name_in_the_lock(aws: Aws, run: Run) -> None:
    left: list[str | None] = []
    describe = aws.DescribePipelineExecution

    def look(**request: Any) -> dict[str, Any]:
        left.append(aws.lock_pipeline)
        return describe(**request)

    aws.DescribePipelineExecution = look  # type: ignore[method-assign]
    assert run()["status"] == "SUCCEEDED"
    assert set(left) == {PIPELINE}
    assert aws.stopped == []


@pytest.mark.parametrize("operation", ["PutItem", "GetItem", "DescribeExecution"])
def test_a_failure_before_the_lock_is_owned_fails_and_touches_nothing(
    aws: Aws, run: Run, operation: str
) -> None:
    aws.lock, aws.executions = OTHER, {OTHER: "RUNNING"}
    denied = {"DescribeExecution": "KmsAccessDeniedException"}.get(operation, "ResourceNotFoundException")
    aws.errors[operation] = [error(denied, "no such thing")]
    answer = run()
    assert answer["status"] == "FAILED"
    assert answer["cause"].startswith("no such thing")
    assert denied in answer["error"]
    assert aws.lock == OTHER
    assert {name for name, _ in aws.calls} <= {"PutItem", "GetItem", "DescribeExecution"}


def test_throttled_descriptions_of_the_holder_are_waited_out(aws: Aws, run: Run) -> None:
    aws.lock, aws.executions = OTHER, {OTHER: "RUNNING"}
    aws.errors["DescribeExecution"] = [error("", "Rate exceeded")] * 20
    assert json.loads(run()["output"]) == {"execution": OTHER, "status": "RUNNING"}


def test_a_race_for_a_stale_lock_is_lost_to_the_quicker(aws: Aws, run: Run) -> None:
    aws.lock, aws.executions = OTHER, {OTHER: "ABORTED", "quicker": "RUNNING"}
    describe = aws.DescribeExecution

    def overtake(executionArn: str) -> dict[str, Any]:
        answer = describe(executionArn)
        aws.lock = "quicker"
        return answer

    aws.DescribeExecution = overtake  # type: ignore[method-assign]
    assert json.loads(run()["output"])["execution"] == "quicker"
    assert aws.lock == "quicker"


def test_a_lock_claimed_by_a_request_that_was_sent_twice_is_its_own(aws: Aws, run: Run) -> None:
    aws.lock = aws.me
    assert run()["status"] == "SUCCEEDED"
    assert aws.lock is None


def test_throttled_polls_go_on(aws: Aws, run: Run) -> None:
    throttled, broken = error("", "Rate exceeded"), error("", "Internal failure", 500)
    errors = [throttled, broken, error("", "Service unavailable", 503)]
    aws.errors = {"DescribePipelineExecution": [*errors], "DescribeEndpoint": [*errors]}
    assert run()["status"] == "SUCCEEDED"
    assert Counter(name for name, _ in aws.calls)["StartPipelineExecution"] == 1


@pytest.mark.parametrize("before", [{}, {REALTIME: "old", ASYNC: "older"}])
def test_throttled_changes_are_made_later(aws: Aws, run: Run, before: dict[str, str]) -> None:
    aws.endpoints = {name: Endpoint(config) for name, config in before.items()}
    changes = ["StartPipelineExecution", "UpdateModelPackage", "CreateModel", "CreateEndpointConfig"]
    changes += ["UpdateEndpoint" if before else "CreateEndpoint", "Publish"]
    throttled = [error("", "Rate exceeded"), error("", "Internal failure", 500)]
    aws.errors = {operation: [*throttled] for operation in changes}
    assert run()["status"] == "SUCCEEDED"
    assert not any(aws.errors.values())


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("CreateModel", 'Cannot create already existing model "arn".'),
        ("CreateEndpointConfig", 'Cannot create already existing endpoint configuration "arn".'),
        ("CreateEndpoint", 'Cannot create already existing endpoint "arn".'),
        ("UpdateEndpoint", 'Cannot update in-progress endpoint "arn".'),
    ],
)
def test_a_change_whose_answer_was_lost_is_not_a_failure(
    aws: Aws, run: Run, operation: str, answer: str
) -> None:
    if operation == "UpdateEndpoint":
        aws.endpoints = {REALTIME: Endpoint("old"), ASYNC: Endpoint("older")}
    change, sent = getattr(aws, operation), []

    def change_once(**request: Any) -> dict[str, Any]:
        if request in sent:
            raise error("", answer)
        sent.append(request)
        change(**request)
        raise error("", "Internal failure", 500)

    setattr(aws, operation, change_once)
    assert run()["status"] == "SUCCEEDED"
    assert len(live(aws)) == 2
    assert not {"old", "older"} & set(live(aws).values())
    assert not aws.invoked("ExplainFailure")


def test_a_denied_poll_fails_at_once(aws: Aws, run: Run) -> None:
    denied = error("", "User: x is not authorized to perform: sagemaker:DescribePipelineExecution")
    aws.errors["DescribePipelineExecution"] = [denied]
    assert run()["status"] == "FAILED"
    assert len(aws.asked("DescribePipelineExecution")) == 1
    assert "is not authorized" in aws.invoked("ExplainFailure")[0]["failure"]["Cause"]


def test_a_pipeline_that_nobody_waits_for_is_stopped_after_the_explanation(aws: Aws, run: Run) -> None:
    aws.errors["DescribePipelineExecution"] = [error("", "not authorized")]
    assert run()["cause"] == "the reason"
    assert aws.stopped == [PIPELINE]
    names = [name for name, _ in aws.calls]
    assert names.index("Invoke", names.index("UpdateItem")) < names.index("StopPipelineExecution")


def test_a_pipeline_that_cannot_be_stopped_is_told(aws: Aws, run: Run) -> None:
    aws.errors["UpdateItem"] = [error("ConditionalCheckFailedException", "superseded")]
    aws.errors["StopPipelineExecution"] = [error("", "not authorized")] * 4
    answer = run()
    assert re.match("the reason Then StopPipeline failed: not authorized", answer["cause"])
    assert aws.invoked("UpdateLedger")


@pytest.mark.parametrize("status", ["Failed", "Stopped", "Succeeded"])
def test_a_pipeline_that_has_finished_is_not_stopped(aws: Aws, run: Run, status: str) -> None:
    aws.pipeline = [status]
    aws.functions["JudgeModel"] = {"errorType": "NoModelPackageError", "errorMessage": "no model"}
    assert run()["status"] == "FAILED"
    assert not aws.asked("StopPipelineExecution")


@pytest.mark.parametrize("status", ["DEPLOYED", "FAILED"])
@pytest.mark.parametrize(
    ("operation", "state"),
    [("Publish", "Notify"), ("DeleteItem", "ReleaseLock"), ("StartExecution", "StartNextRun")],
)
def test_a_last_step_that_fails_stops_no_other_and_is_told(
    aws: Aws, run: Run, operation: str, state: str, status: str
) -> None:
    aws.functions["LookAgain"] = {"run": True}
    if status == "FAILED":
        aws.pipeline = ["Failed"]
    aws.errors[operation] = [error("NotRetriedException", "not authorized")]
    answer = run()
    first = "Approved: accuracy" if status == "DEPLOYED" else "the reason"
    assert answer["status"] == "FAILED"
    assert answer["cause"].startswith(first)
    assert f"Then {state} failed: not authorized" in answer["cause"]
    assert len(aws.asked("Publish")) == len(aws.asked("DeleteItem")) == len(aws.asked("StartExecution")) == 1


def test_files_that_the_ledger_does_not_list_start_no_further_run(aws: Aws, run: Run) -> None:
    aws.pipeline = ["Failed"]
    aws.functions["UpdateLedger"] = {"errorType": "LedgerWriteError", "errorMessage": "throttled"}
    answer = run()
    assert answer["cause"].startswith("the reason Then UpdateLedger failed: ")
    assert aws.invoked("PlanRun")[-1]["lookAgain"]["outcome"] == {"status": "FAILED"}


def test_a_run_that_failed_before_its_plan_does_not_look_again(aws: Aws, run: Run) -> None:
    aws.functions["PlanRun"] = {"errorType": "NoDataError", "errorMessage": "no data"}
    assert run()["status"] == "FAILED"
    assert len(aws.invoked("PlanRun")) == 1
    assert aws.invoked("ExplainFailure")[0]["pipelineExecutionArn"] is None
    assert aws.invoked("UpdateLedger")[0]["planUri"] is None
    assert aws.lock is None


FORCED = '{"force":true}'


def test_a_forced_start_that_meets_a_run_is_left_with_its_lock(aws: Aws, run: Run) -> None:
    aws.lock, aws.executions = OTHER, {OTHER: "RUNNING"}
    answer = run({"force": True})
    assert json.loads(answer["output"]) == {
        "execution": OTHER,
        "status": "RUNNING",
        "request": {"startsAfterwards": True},
    }
    assert [json.loads(request["S"]) for request in aws.lock_requests] == [{"force": True}]
    assert aws.lock == OTHER


@pytest.mark.parametrize(
    "content", [{}, {"source": "aws.s3", "detail": {"force": True}}, {"Records": [{"eventSource": "aws:s3"}]}]
)
def test_an_event_that_meets_a_run_is_not(aws: Aws, run: Run, content: dict[str, Any]) -> None:
    aws.lock, aws.executions = OTHER, {OTHER: "RUNNING"}
    assert json.loads(run(content)["output"]) == {"execution": OTHER, "status": "RUNNING"}
    assert not aws.asked("UpdateItem")


def test_a_forced_start_runs_itself_if_the_holder_has_just_released(aws: Aws, run: Run) -> None:
    aws.lock, aws.executions = OTHER, {OTHER: "RUNNING"}
    describe = aws.DescribeExecution

    def release(executionArn: str) -> dict[str, Any]:
        answer = describe(executionArn)
        aws.lock = None
        return answer

    aws.DescribeExecution = release  # type: ignore[method-assign]
    assert json.loads(run({"force": True})["output"])["outcome"]["status"] == "DEPLOYED"
    assert aws.lock is None


@pytest.mark.parametrize("status", ["DEPLOYED", "FAILED", "NOTHING_NEW"])
def test_the_requests_that_met_a_run_start_after_its_release(aws: Aws, run: Run, status: str) -> None:
    """Whatever came of it, and also when new data starts a further run."""
    claim = aws.PutItem

    def meet(**request: Any) -> dict[str, Any]:
        answer = claim(**request)
        aws.lock_requests = [{"S": FORCED}, {"S": '{"asOf":"2026-01-01T00:00:00Z"}'}]
        return answer

    aws.PutItem = meet  # type: ignore[assignment, method-assign]
    aws.functions["LookAgain"] = {"run": True}
    if status == "FAILED":
        aws.pipeline = ["Failed"]
    if status == "NOTHING_NEW":
        aws.functions["PlanRun"] |= {"run": False}
    run()
    names = [name for name, _ in aws.calls]
    assert names.index("DeleteItem") < names.index("StartExecution")
    started = sorted(call["input"] for call in aws.asked("StartExecution"))
    assert started == ['{"asOf":"2026-01-01T00:00:00Z"}', FORCED, "{}"]
    assert aws.lock is None


def test_requests_that_met_a_stopped_run_start_after_the_one_that_supersedes_it(aws: Aws, run: Run) -> None:
    aws.lock, aws.executions, aws.lock_requests = OTHER, {OTHER: "ABORTED"}, [{"S": FORCED}]
    assert run()["status"] == "SUCCEEDED"
    assert [call["input"] for call in aws.asked("StartExecution")] == [FORCED]


def test_a_request_that_cannot_be_started_is_reported(aws: Aws, run: Run) -> None:
    aws.lock, aws.executions, aws.lock_requests = OTHER, {OTHER: "ABORTED"}, [{"S": FORCED}]
    aws.errors["StartExecution"] = [error("NotRetriedException", "not authorized")]
    answer = run()
    assert answer["status"] == "FAILED"
    assert "Then StartRequests failed: not authorized" in answer["cause"]
    assert aws.lock is None


CHAMPION = {
    "forced": True,
    "championModelName": "retrain-champion-3",
    "championModelPackageArn": PACKAGE.replace("/7", "/3"),
    "championNote": "last deployed model of retrain-models",
    "firstModel": False,
}
REJECTED = {"approved": False, "verdict": "model rejected", "summary": "Rejected: no better."}


@pytest.mark.parametrize("floor", [False, True])
@pytest.mark.parametrize(
    "before",
    [{}, {REALTIME: Endpoint("old")}, {ASYNC: Endpoint("old")}, {REALTIME: Endpoint("old", "Failed")}],
)
def test_a_forced_run_that_rejects_makes_missing_endpoints_again(
    aws: Aws, run: Run, before: dict[str, Endpoint], floor: bool
) -> None:
    aws.functions["PlanRun"] |= CHAMPION
    aws.functions["JudgeModel"] |= REJECTED
    if floor:  # the pipeline registers no model
        aws.pipeline = ["Failed"]
        aws.functions["ExplainFailure"] = explanation("BelowFloor", "below the floor", "REJECTED")
    kept = {name for name, endpoint in before.items() if endpoint.status == "InService"}
    aws.endpoints = {name: Endpoint(it.config, it.status) for name, it in before.items()}
    answer = run({"force": True})
    output = json.loads(answer["output"])
    assert output["outcome"]["status"] == "REJECTED"
    assert live(aws).keys() == {REALTIME, ASYNC}
    assert {name for name, config in live(aws).items() if config == "old"} == kept
    restored = {item["name"]: item["restored"] for item in output["restoration"]}
    assert restored == {name: name not in kept for name in (REALTIME, ASYNC)}
    configs = {call["EndpointConfigName"]: call for call in aws.asked("CreateEndpointConfig")}
    for name in {REALTIME, ASYNC} - kept:
        config = configs[live(aws)[name]]
        assert config["ProductionVariants"][0]["ModelName"] == "retrain-champion-3"
        assert ("AsyncInferenceConfig" in config) == (name == ASYNC)
    assert len(configs) == 2 - len(kept)


def test_a_run_that_is_not_forced_makes_no_endpoint_again(aws: Aws, run: Run) -> None:
    """The endpoints may have been deleted to save money."""
    aws.functions["PlanRun"] |= CHAMPION | {"forced": False}
    aws.functions["JudgeModel"] |= REJECTED
    assert json.loads(run()["output"])["outcome"]["status"] == "REJECTED"
    assert not aws.endpoints


def test_without_a_champion_nothing_is_made_again(aws: Aws, run: Run) -> None:
    aws.functions["PlanRun"] |= {"forced": True}
    aws.functions["JudgeModel"] |= REJECTED
    assert json.loads(run()["output"])["outcome"]["status"] == "REJECTED"
    assert not aws.endpoints


def test_a_champion_that_does_not_come_back_fails_the_run(aws: Aws, run: Run) -> None:
    aws.functions["PlanRun"] |= CHAMPION
    aws.functions["JudgeModel"] |= REJECTED
    aws.broken = {ASYNC: "The container did not answer /ping"}
    answer = run({"force": True})
    assert answer["status"] == "FAILED"
    assert "Then RestoreChampion failed: " in answer["cause"]
    assert "did not answer /ping" in answer["cause"]
    assert aws.invoked("UpdateLedger")[0]["outcome"] == {"status": "FAILED"}
    assert aws.lock is None
