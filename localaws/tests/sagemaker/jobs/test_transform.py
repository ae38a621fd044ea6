import gzip
import io
import json
import os
import re
import signal
import tarfile
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from localaws.sagemaker.api.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.api.shapes import Document, parse_request
from localaws.sagemaker.hosting.models import Models
from localaws.sagemaker.jobs.transform import TransformJobs
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.registry.model_packages import ModelRegistry
from localaws.testing import Laptop, wait_until
from localaws_tests.jobs import IMAGE, Bucket, end_of, ended, logged

GROUP = "/aws/sagemaker/TransformJobs"
Request = Callable[..., Document]


@pytest.fixture
def models(platform: Platform) -> Models:
    return Models(platform, ModelRegistry(platform))


@pytest.fixture
def jobs(platform: Platform, models: Models) -> Iterator[TransformJobs]:
    jobs = TransformJobs(platform, models)
    yield jobs
    jobs.close()


@pytest.fixture
def model_name(models: Models, bucket: Bucket, role_arn: str) -> str:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    uri = bucket.put("model.tar.gz", archive.getvalue())
    name = f"model-{uuid.uuid4().hex[:12]}"
    container = {"Image": IMAGE, "ModelDataUrl": uri}
    models.create({"ModelName": name, "ExecutionRoleArn": role_arn, "PrimaryContainer": container})
    return name


@pytest.fixture
def request_of(bucket: Bucket, model_name: str, job_name: str) -> Request:
    def make(
        code: str = "answer = body.upper()",
        source: Document | None = None,
        into: Document | None = None,
        environment: Document | None = None,
        **members: Any,
    ) -> Document:
        data = {"S3DataType": "S3Prefix", "S3Uri": bucket.uri("in/")}
        return parse_request(
            "CreateTransformJob",
            {
                "TransformJobName": job_name,
                "ModelName": model_name,
                "Environment": {"CODE": code, **(environment or {})},
                "TransformInput": {
                    "DataSource": {"S3DataSource": data},
                    "ContentType": "application/jsonlines",
                    "SplitType": "Line",
                    **(source or {}),
                },
                "TransformOutput": {
                    "S3OutputPath": bucket.uri("out"),
                    "AssembleWith": "Line",
                    **(into or {}),
                },
                "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.large"},
                **members,
            },
        )

    return make


def test_every_object_has_its_predictions_in_order(
    jobs: TransformJobs, request_of: Request, bucket: Bucket, laptop: Laptop, job_name: str
) -> None:
    lines = [f'{{"id":"row-{number}"}}' for number in range(3000)]
    bucket.put("in/a.jsonl", "\n".join(lines) + "\n")
    bucket.put("in/sub/b.jsonl", '{"id":"x"}')
    record = ended(jobs, request_of(into={"Accept": "application/jsonlines"}))
    assert record.get("FailureReason") is None
    assert record["TransformJobStatus"] == "Completed"
    assert bucket.keys("out") == ["out/a.jsonl.out", "out/sub/b.jsonl.out"]
    assert bucket.get("out/a.jsonl.out").decode() == "\n".join(lines).upper() + "\n"
    assert bucket.get("out/sub/b.jsonl.out") == b'{"ID":"X"}\n'
    lines_logged = logged(laptop, GROUP, job_name)
    assert "asked 3000 application/jsonlines application/jsonlines" in lines_logged
    settings = "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"
    assert f"[sagemaker logs]: {settings}" in lines_logged


def test_concurrent_single_records_stay_in_order(
    jobs: TransformJobs, request_of: Request, bucket: Bucket
) -> None:
    bucket.put("in/a.jsonl", "".join(f"{number}\n" for number in range(40)))
    code = "time.sleep(int(body) % 5 / 50); answer = body"
    record = ended(jobs, request_of(code, BatchStrategy="SingleRecord", MaxConcurrentTransforms=8))
    assert record["TransformJobStatus"] == "Completed"
    assert bucket.get("out/a.jsonl.out").split() == [str(number).encode() for number in range(40)]


def test_batches_respect_the_maximum_payload(
    jobs: TransformJobs, request_of: Request, bucket: Bucket, laptop: Laptop, job_name: str
) -> None:
    bucket.put("in/a.jsonl", b"\n".join([b"x" * 400_000] * 5))
    record = ended(jobs, request_of("answer = str(len(body)).encode()", MaxPayloadInMB=1))
    assert record["TransformJobStatus"] == "Completed"
    assert bucket.get("out/a.jsonl.out").split() == [b"800001", b"800001", b"400000"]


def test_execution_parameters_of_the_container_apply(
    jobs: TransformJobs, request_of: Request, bucket: Bucket, laptop: Laptop, job_name: str
) -> None:
    bucket.put("in/a.jsonl", "a\nb")
    parameters = {"MaxConcurrentTransforms": 3, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2}
    assert (
        ended(jobs, request_of(environment={"PARAMETERS": json.dumps(parameters)}))["TransformJobStatus"]
        == "Completed"
    )
    lines = logged(laptop, GROUP, job_name)
    assert (
        "[sagemaker logs]: MaxConcurrentTransforms=3, MaxPayloadInMB=2, BatchStrategy=SINGLE_RECORD" in lines
    )
    assert lines.count("asked 1 application/jsonlines None") == 2


def test_whole_objects_gzip_and_manifests(jobs: TransformJobs, request_of: Request, bucket: Bucket) -> None:
    bucket.put("raw/a.bin.gz", gzip.compress(b"one\ntwo"))
    bucket.put("raw/b.bin.gz", gzip.compress(b"not in the manifest"))
    manifest = bucket.put_manifest("plan.json", bucket.uri("raw/"), "a.bin.gz")
    source = {
        "DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": manifest}},
        "SplitType": "None",
        "CompressionType": "Gzip",
    }
    record = ended(jobs, request_of(source=source, into={"AssembleWith": "None"}))
    assert record["TransformJobStatus"] == "Completed"
    assert bucket.keys("out") == ["out/a.bin.gz.out"]
    assert bucket.get("out/a.bin.gz.out") == b"ONE\nTWO"


def test_records_are_filtered_and_joined(jobs: TransformJobs, request_of: Request, bucket: Bucket) -> None:
    bucket.put("in/a.jsonl", '{"id":1,"text":"a"}\n{"id":2,"text":"b"}\n')
    processing = {"InputFilter": "$.text", "JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"}
    ended(jobs, request_of(DataProcessing=processing))
    answers = [json.loads(line) for line in bucket.get("out/a.jsonl.out").splitlines()]
    assert answers == [{"id": 1, "SageMakerOutput": "A"}, {"id": 2, "SageMakerOutput": "B"}]


def test_responses_are_concatenated_unless_assembled_by_line(
    jobs: TransformJobs, request_of: Request, bucket: Bucket
) -> None:
    bucket.put("in/a.jsonl", "a\nb")
    ended(jobs, request_of(into={"AssembleWith": "None"}, BatchStrategy="SingleRecord"))
    assert bucket.get("out/a.jsonl.out") == b"AB"


def test_requests_are_concurrent(jobs: TransformJobs, request_of: Request, bucket: Bucket) -> None:
    bucket.put("in/a.jsonl", "1\n2\n3")
    # Each request waits until all three have arrived.
    code = (
        "here = base / 'here'; here.mkdir(exist_ok=True); (here / body.decode()).touch()\n"
        "while len(list(here.iterdir())) < 3: time.sleep(0.05)\n"
        "answer = body"
    )
    members = {"BatchStrategy": "SingleRecord", "MaxConcurrentTransforms": 3}
    config = {"InvocationsMaxRetries": 0, "InvocationsTimeoutInSeconds": 10}
    assert ended(jobs, request_of(code, ModelClientConfig=config, **members)).get("FailureReason") is None
    assert bucket.get("out/a.jsonl.out") == b"1\n2\n3\n"


INSTANCE = "ml.m5.large"


def test_objects_are_spread_over_instances(
    jobs: TransformJobs, request_of: Request, bucket: Bucket, laptop: Laptop, job_name: str
) -> None:
    for name in ("a", "b", "c", "d", "e"):
        bucket.put(f"in/{name}.txt", name)
    request = request_of(
        "answer = body + str(os.getpid()).encode()",
        TransformResources={"InstanceCount": 2, "InstanceType": INSTANCE},
    )
    record = ended(jobs, request)
    assert record.get("FailureReason") is None
    answers = [bucket.get(f"out/{name}.txt.out").decode().strip() for name in ("a", "b", "c", "d", "e")]
    first, second = answers[0][1:], answers[1][1:]
    assert first != second
    assert answers == [f"a{first}", f"b{second}", f"c{first}", f"d{second}", f"e{first}"]
    streams = laptop.client("logs").describe_log_streams(
        logGroupName=GROUP, logStreamNamePrefix=f"{job_name}/"
    )["logStreams"]
    names = [stream["logStreamName"].removeprefix(f"{job_name}/") for stream in streams]
    assert sorted(re.sub(r"-\d+", "", name, count=2) for name in names) == [
        *("algo", "algo", "algo/data-log", "algo/data-log"),
    ]


def test_more_instances_than_objects_are_not_started(
    jobs: TransformJobs, request_of: Request, bucket: Bucket, laptop: Laptop, job_name: str
) -> None:
    bucket.put("in/a.txt", "a")
    request = request_of(TransformResources={"InstanceCount": 3, "InstanceType": INSTANCE})
    assert ended(jobs, request)["TransformJobStatus"] == "Completed"
    assert logged(laptop, GROUP, job_name).count("asked 1 application/jsonlines None") == 1
    assert bucket.get("out/a.txt.out") == b"A\n"


def test_a_failed_object_does_not_stop_the_other_instances(
    jobs: TransformJobs, request_of: Request, bucket: Bucket
) -> None:
    for name in ("a", "b", "c", "d"):
        bucket.put(f"in/{name}.txt", name)
    code = "status, answer = (400, b'no') if body == b'a' else (200, body)"
    request = request_of(code, TransformResources={"InstanceCount": 2, "InstanceType": INSTANCE})
    record = ended(jobs, request)
    assert record["FailureReason"].startswith(f"ClientError: {bucket.uri('in/a.txt')}: Bad HTTP status")
    assert bucket.keys("out") == ["out/b.txt.out", "out/c.txt.out", "out/d.txt.out"]


def test_an_instance_that_fails_stops_the_others(
    jobs: TransformJobs, request_of: Request, bucket: Bucket, platform: Platform
) -> None:
    bucket.put("in/a.txt", "a")
    bucket.put("in/b.txt", "b")
    code = "os._exit(3) if body == b'a' else time.sleep(600)"
    config = {"InvocationsMaxRetries": 0}
    resources = {"InstanceCount": 2, "InstanceType": INSTANCE}
    record = ended(jobs, request_of(code, ModelClientConfig=config, TransformResources=resources))
    assert record["TransformJobStatus"] == "Failed"
    assert "exited during a request, exit code: 3" in record["FailureReason"]
    assert bucket.keys("out") == []
    assert not list((platform.workdir / "transform-job").iterdir())


def test_an_object_of_blank_lines_has_an_empty_output(
    jobs: TransformJobs, request_of: Request, bucket: Bucket
) -> None:
    bucket.put("in/a.csv", "\n\n")
    bucket.put("in/b.csv", "x,y")
    source = {"SplitType": "None", "ContentType": "text/csv"}
    record = ended(jobs, request_of(source=source, DataProcessing={"OutputFilter": "$[0]"}))
    assert record.get("FailureReason") is None
    assert bucket.get("out/a.csv.out") == b""
    assert bucket.get("out/b.csv.out") == b"X\n"


def test_an_unreadable_object_fails_the_job_and_the_others_are_uploaded(
    jobs: TransformJobs, request_of: Request, bucket: Bucket
) -> None:
    bucket.put("in/a.gz", b"no gzip")
    bucket.put("in/b.gz", gzip.compress(b"fine"))
    record = ended(jobs, request_of(source={"CompressionType": "Gzip"}))
    assert record["FailureReason"].startswith(
        f"ClientError: {bucket.uri('in/a.gz')}: The object cannot be read: Not a gzipped file"
    )
    assert bucket.keys("out") == ["out/b.gz.out"]


def test_a_failed_object_fails_the_job_and_the_others_are_uploaded(
    jobs: TransformJobs, request_of: Request, bucket: Bucket
) -> None:
    bucket.put("in/a.jsonl", "good")
    bucket.put("in/b.jsonl", "bad")
    bucket.put("in/c.jsonl", "good")
    code = "status, answer = (400, b'line 1 is bad') if b'bad' in body else (200, body)"
    record = ended(jobs, request_of(code))
    assert record["TransformJobStatus"] == "Failed"
    assert record["FailureReason"] == (
        f"ClientError: {bucket.uri('in/b.jsonl')}: Bad HTTP status received from algorithm: 400. "
        "Message: line 1 is bad"
    )
    assert bucket.keys("out") == ["out/a.jsonl.out", "out/c.jsonl.out"]


def test_server_errors_are_retried(jobs: TransformJobs, request_of: Request, bucket: Bucket) -> None:
    bucket.put("in/a.jsonl", "a")
    code = (
        "file = base / 'count'; count = int(file.read_text()) + 1 if file.exists() else 1\n"
        "file.write_text(str(count)); status = 200 if count == 3 else 503; answer = str(count).encode()"
    )
    assert ended(jobs, request_of(code))["TransformJobStatus"] == "Completed"
    assert bucket.get("out/a.jsonl.out") == b"3\n"


def test_a_server_that_fails_every_retry_fails_the_job(
    jobs: TransformJobs, request_of: Request, bucket: Bucket
) -> None:
    bucket.put("in/a.jsonl", "a")
    config = {"InvocationsMaxRetries": 1}
    record = ended(jobs, request_of("status, answer = 500, b'broken'", ModelClientConfig=config))
    assert record["TransformJobStatus"] == "Failed"
    assert record["FailureReason"].startswith("AlgorithmError: s3://")
    assert record["FailureReason"].endswith("Bad HTTP status received from algorithm: 500. Message: broken")


def test_a_server_that_is_too_slow_fails_the_job(
    jobs: TransformJobs, request_of: Request, bucket: Bucket
) -> None:
    bucket.put("in/a.jsonl", "a")
    config = {"InvocationsMaxRetries": 0, "InvocationsTimeoutInSeconds": 1}
    record = ended(jobs, request_of("time.sleep(60)", ModelClientConfig=config))
    assert record["FailureReason"].endswith("did not respond to /invocations request within 1 seconds")


def test_a_killed_server_fails_the_job(
    jobs: TransformJobs, request_of: Request, bucket: Bucket, laptop: Laptop, job_name: str
) -> None:
    bucket.put("in/a.jsonl", "a")
    jobs.create(request_of("print('pid', os.getpid(), flush=True); time.sleep(600)"))
    lines = wait_until(lambda: [line for line in _logged(laptop, job_name) if line.startswith("pid ")])
    os.kill(int(lines[0].removeprefix("pid ")), signal.SIGKILL)
    record = end_of(jobs, job_name)
    assert record["TransformJobStatus"] == "Failed"
    assert record["FailureReason"].startswith(
        "AlgorithmError: The model's container exited during a request, exit code: 137. "
        "The process was killed"
    )


def test_stop_does_not_wait_for_responses(
    jobs: TransformJobs,
    request_of: Request,
    bucket: Bucket,
    laptop: Laptop,
    job_name: str,
    platform: Platform,
) -> None:
    bucket.put("in/a.jsonl", "a")
    jobs.create(request_of("print('pid', os.getpid(), flush=True); time.sleep(600)"))
    wait_until(lambda: [line for line in _logged(laptop, job_name) if line.startswith("pid ")])
    jobs.stop({"TransformJobName": job_name})
    record = end_of(jobs, job_name)
    assert record["TransformJobStatus"] == "Stopped"
    assert bucket.keys("out") == []
    assert not list((platform.workdir / "transform-job").iterdir())


def _logged(laptop: Laptop, job_name: str) -> list[str]:
    logs = laptop.client("logs")
    try:
        return logged(laptop, GROUP, job_name)
    except logs.exceptions.ResourceNotFoundException:
        return []


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"source": {"SplitType": "RecordIO"}}, "RecordIO"),
        ({"source": {"SplitType": "TFRecord"}}, "TFRecord"),
        ({"MaxPayloadInMB": 0}, "MaxPayloadInMB of 0"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://b/k"}}, "DataCaptureConfig"),
    ],
)
def test_an_unsupported_member_is_rejected_by_name(
    jobs: TransformJobs, request_of: Request, members: Document, named: str
) -> None:
    with pytest.raises(NotSupportedLocally, match=named):
        jobs.create(request_of(**members))


def test_invalid_requests_are_rejected(jobs: TransformJobs, request_of: Request) -> None:
    with pytest.raises(ValidationException, match="at most 100 MB"):
        jobs.create(request_of(MaxConcurrentTransforms=20, MaxPayloadInMB=6))
    with pytest.raises(ValidationException, match="Could not find model"):
        jobs.create(request_of(ModelName="none"))
