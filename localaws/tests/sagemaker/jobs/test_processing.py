import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.sagemaker.api.errors import (
    NotSupportedLocally,
    ResourceInUse,
    ResourceNotFound,
    ValidationException,
)
from localaws.sagemaker.api.shapes import Document, parse_request
from localaws.sagemaker.jobs.processing import ProcessingJobs
from localaws.sagemaker.platform.platform import Platform
from localaws.testing import ACCOUNT, Laptop, allow, wait_until
from localaws_tests.jobs import IMAGE, Bucket, end_of, ended, logged

TIMEOUT_SECONDS = 300.0
Request = Callable[..., Document]


@pytest.fixture
def jobs(platform: Platform) -> Iterator[ProcessingJobs]:
    jobs = ProcessingJobs(platform)
    yield jobs
    jobs.close()


@pytest.fixture
def request_of(bucket: Bucket, role_arn: str, job_name: str) -> Request:
    def make(code: str, **members: Any) -> Document:
        return parse_request(
            "CreateProcessingJob",
            {
                "ProcessingJobName": job_name,
                "RoleArn": role_arn,
                "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["work"]},
                "Environment": {"CODE": code},
                "ProcessingResources": {
                    "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
                },
                "ProcessingInputs": [input_of(bucket.put("in/a.csv", "a"), "/opt/ml/processing/input/raw")],
                "ProcessingOutputConfig": {"Outputs": [output_of(bucket.uri("out/"))]},
                **members,
            },
        )

    return make


def input_of(uri: str, path: str, **members: str) -> Document:
    source = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File", **members}
    return {"InputName": "raw", "S3Input": source}


def output_of(uri: str, path: str = "/opt/ml/processing/output", mode: str = "EndOfJob") -> Document:
    return {"OutputName": "out", "S3Output": {"S3Uri": uri, "LocalPath": path, "S3UploadMode": mode}}


def test_inputs_are_downloaded_and_outputs_uploaded(
    jobs: ProcessingJobs,
    request_of: Request,
    bucket: Bucket,
    platform: Platform,
    laptop: Laptop,
    job_name: str,
) -> None:
    code = (
        "print('working on', sys.argv[1:]); inside = base / 'processing'\n"
        "(inside / 'output/deep').mkdir(); text = (inside / 'input/raw/a.csv').read_text()\n"
        "(inside / 'output/deep/b.csv').write_text(text.upper())\n"
        "(base / 'output/message').write_text('fine')"
    )
    application = {
        "ImageUri": IMAGE,
        "ContainerEntrypoint": ["work"],
        "ContainerArguments": ["--to", "/opt/ml/processing/output"],
    }
    record = ended(jobs, request_of(code, AppSpecification=application))
    assert record.get("FailureReason") is None
    assert record["ProcessingJobStatus"] == "Completed"
    assert record["ExitMessage"] == "fine"
    assert record["CreationTime"] <= record["ProcessingStartTime"] <= record["ProcessingEndTime"]
    assert bucket.keys("out") == ["out/deep/b.csv"]
    assert bucket.get("out/deep/b.csv") == b"A"
    (line,) = logged(laptop, "/aws/sagemaker/ProcessingJobs", job_name)
    assert line.startswith("working on ['--to', '")
    assert not list((platform.workdir / "processing-job").iterdir())


def test_arguments_without_an_entry_point_go_to_that_of_the_image(
    jobs: ProcessingJobs, request_of: Request, bucket: Bucket, laptop: Laptop, job_name: str
) -> None:
    code = (
        "import shutil; print(sys.argv[1:])\n"
        "shutil.copy(base / 'config/processingjobconfig.json', base / 'processing/output')"
    )
    application = {"ImageUri": IMAGE, "ContainerArguments": ["work", "now"]}
    record = ended(jobs, request_of(code, AppSpecification=application))
    assert record["ProcessingJobStatus"] == "Completed", record
    assert logged(laptop, "/aws/sagemaker/ProcessingJobs", job_name) == ["['now']"]
    config = json.loads(bucket.get("out/processingjobconfig.json"))
    assert config["AppSpecification"] == {**application, "ContainerEntrypoint": None}


def test_the_configuration_is_like_on_sagemaker(
    jobs: ProcessingJobs, request_of: Request, bucket: Bucket
) -> None:
    code = (
        "import shutil\n"
        "for path in (base / 'config').iterdir(): shutil.copy(path, base / 'processing/output')\n"
        "names = sorted(os.environ); (base / 'processing/output/env.json').write_text(json.dumps(names))"
    )
    record = ended(jobs, request_of(code))
    assert record["ProcessingJobStatus"] == "Completed"
    assert json.loads(bucket.get("out/resourceconfig.json")) == {
        "current_host": "algo-1",
        "hosts": ["algo-1"],
    }
    config = json.loads(bucket.get("out/processingjobconfig.json"))
    assert config["ProcessingJobArn"] == record["ProcessingJobArn"]
    assert config["ProcessingInputs"][0]["S3Input"]["LocalPath"] == "/opt/ml/processing/input/raw"
    assert config["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] == bucket.uri("out/")
    variables = set(json.loads(bucket.get("out/env.json")))
    assert {"AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION"} <= variables
    assert "AWS_DEFAULT_REGION" not in variables


def test_an_isolated_job_gets_no_credentials(
    jobs: ProcessingJobs, request_of: Request, bucket: Bucket
) -> None:
    code = "(base / 'processing/output/env.json').write_text(json.dumps(sorted(os.environ)))"
    ended(jobs, request_of(code, NetworkConfig={"EnableNetworkIsolation": True}))
    names = set(json.loads(bucket.get("out/env.json")))
    assert "CODE" in names
    assert not names & {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"}


def test_a_failure_records_the_exit_code_and_message_and_uploads_nothing(
    jobs: ProcessingJobs, request_of: Request, bucket: Bucket
) -> None:
    code = (
        "(base / 'processing/output/half.csv').write_text('half')\n"
        "(base / 'output/message').write_text('ä' * 2000); sys.exit(3)"
    )
    record = ended(jobs, request_of(code))
    assert record["ProcessingJobStatus"] == "Failed"
    assert record["FailureReason"] == "AlgorithmError: , exit code: 3"
    assert record["ExitMessage"] == "ä" * 512
    assert bucket.keys("out") == []


def test_continuous_outputs_of_a_failed_job_are_uploaded(
    jobs: ProcessingJobs, request_of: Request, bucket: Bucket
) -> None:
    code = "(base / 'processing/output/half.csv').write_text('half'); sys.exit(3)"
    outputs = {"Outputs": [output_of(bucket.uri("out"), mode="Continuous")]}
    assert ended(jobs, request_of(code, ProcessingOutputConfig=outputs))["ProcessingJobStatus"] == "Failed"
    assert bucket.get("out/half.csv") == b"half"


def test_a_message_that_is_not_text_fails_the_job(jobs: ProcessingJobs, request_of: Request) -> None:
    record = ended(jobs, request_of("(base / 'output/message').write_bytes(b'\\xff')"))
    assert record["ProcessingJobStatus"] == "Failed"
    assert record["FailureReason"].startswith("ClientError: The file /opt/ml/output/message is not UTF-8")


def test_an_unknown_image_fails_the_job(jobs: ProcessingJobs, request_of: Request) -> None:
    application = {"ImageUri": "acct/none:1", "ContainerEntrypoint": ["work"]}
    record = ended(jobs, request_of("", AppSpecification=application))
    assert record["ProcessingJobStatus"] == "Failed"
    assert record["FailureReason"].startswith("ClientError: The image acct/none:1 cannot be pulled")
    assert "It has: obedient" in record["FailureReason"]


def test_the_job_uses_its_role(
    jobs: ProcessingJobs, request_of: Request, laptop: Laptop, bucket: Bucket
) -> None:
    resource = f"arn:aws:s3:::{bucket.name}*"
    reader = laptop.role(f"reader-{bucket.name}", allow("s3:GetObject", "s3:ListBucket", resource=resource))
    code = "(base / 'processing/output/a').write_text('a')"
    record = ended(jobs, request_of(code, RoleArn=reader))
    assert record["ProcessingJobStatus"] == "Failed"
    assert record["FailureReason"].startswith(
        f"ClientError: Artifact upload failed: Unable to upload object {bucket.uri('out/a')}"
    )
    assert "s3:PutObject" in record["FailureReason"]


def test_stop_ends_the_container_and_uploads_nothing(
    jobs: ProcessingJobs, request_of: Request, bucket: Bucket, laptop: Laptop, job_name: str
) -> None:
    code = "(base / 'processing/output/a').write_text('a'); print('up'); time.sleep(600)"
    jobs.create(request_of(code))
    wait_until(lambda: "ProcessingStartTime" in jobs.describe({"ProcessingJobName": job_name}))
    with jobs.records.lock:  # keeps the job from ending meanwhile
        jobs.stop({"ProcessingJobName": job_name})
        assert jobs.describe({"ProcessingJobName": job_name})["ProcessingJobStatus"] == "Stopping"
    record = end_of(jobs, job_name)
    assert record["ProcessingJobStatus"] == "Stopped"
    assert "FailureReason" not in record
    assert bucket.keys("out") == []
    with pytest.raises(ValidationException, match="the processing job is in status Stopped"):
        jobs.stop({"ProcessingJobName": job_name})


def test_max_runtime_stops_the_job(jobs: ProcessingJobs, request_of: Request) -> None:
    started = time.monotonic()
    record = ended(jobs, request_of("time.sleep(600)", StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert record["ProcessingJobStatus"] == "Stopped"
    assert time.monotonic() - started < TIMEOUT_SECONDS


def test_names_are_unique_and_jobs_can_be_listed_and_deleted(
    jobs: ProcessingJobs, request_of: Request, job_name: str
) -> None:
    request = request_of("time.sleep(600)")
    jobs.create(request)
    with pytest.raises(ResourceInUse, match=job_name):
        jobs.create(request)
    with pytest.raises(ResourceInUse, match="has not ended"):
        jobs.delete({"ProcessingJobName": job_name})
    (summary,) = jobs.list({"StatusEquals": "InProgress"})["ProcessingJobSummaries"]
    assert summary["ProcessingJobName"] == job_name
    jobs.stop({"ProcessingJobName": job_name})
    end_of(jobs, job_name)
    jobs.delete({"ProcessingJobName": job_name})
    with pytest.raises(ResourceNotFound, match=job_name):
        jobs.describe({"ProcessingJobName": job_name})


def test_a_role_that_sagemaker_cannot_assume_is_rejected_by_create(
    request_of: Request, laptop: Laptop, job_name: str
) -> None:
    other = laptop.role(f"lambda-{job_name}", principal="lambda.amazonaws.com")
    sagemaker = laptop.client("sagemaker")
    with pytest.raises(ClientError, match="Could not assume role"):
        sagemaker.create_processing_job(**request_of("", RoleArn=other))
    with pytest.raises(ClientError, match="Requested resource not found"):
        sagemaker.describe_processing_job(ProcessingJobName=job_name)


def cluster_of(instances: int) -> Document:
    cluster = {"InstanceCount": instances, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    return {"ClusterConfig": cluster}


COPY_INPUTS = (
    "host = json.loads((base / 'config/resourceconfig.json').read_text())['current_host']\n"
    "print('on', host); (base / 'output/message').write_text('from ' + host); import shutil\n"
    "shutil.copytree(base / 'processing/input', base / 'processing/output' / host)"
)


def copying(then: str = "") -> Document:
    """Return an environment: a container copies its inputs to a folder named like its host and runs THEN."""
    return {
        "CODE": "exec(os.environ['COPY_INPUTS']); exec(os.environ['THEN'])",
        "COPY_INPUTS": COPY_INPUTS,
        "THEN": then,
    }


def test_instances_share_the_sharded_inputs_and_the_output(
    jobs: ProcessingJobs, request_of: Request, bucket: Bucket, laptop: Laptop, job_name: str
) -> None:
    for name in ("a", "b", "c", "d"):
        bucket.put(f"raw/{name}.csv", name)
    manifest = bucket.put_manifest("plan.json", bucket.uri("raw/"), "a.csv", "b.csv", "d.csv")
    sharded = {"S3DataDistributionType": "ShardedByS3Key"}
    inputs = [
        input_of(bucket.uri("raw/"), "/opt/ml/processing/input/prefix", **sharded),
        input_of(manifest, "/opt/ml/processing/input/listed", S3DataType="ManifestFile", **sharded),
        input_of(bucket.uri("raw/c"), "/opt/ml/processing/input/all"),
        input_of(bucket.uri("raw/d"), "/opt/ml/processing/input/one", **sharded),
    ]
    environment = copying("shutil.copytree(base / 'config', base / 'processing/output' / host / 'config')")
    request = request_of(
        "", Environment=environment, ProcessingResources=cluster_of(3), ProcessingInputs=inputs
    )
    record = ended(jobs, request)
    assert record.get("FailureReason") is None
    assert record["ProcessingJobStatus"] == "Completed"
    assert record["ExitMessage"] == "from algo-1"
    assert [key.removeprefix("out/") for key in bucket.keys("out") if key.endswith(".csv")] == [
        *("algo-1/all/c.csv", "algo-1/listed/a.csv", "algo-1/one/d.csv"),
        *("algo-1/prefix/a.csv", "algo-1/prefix/d.csv"),
        *("algo-2/all/c.csv", "algo-2/listed/b.csv", "algo-2/prefix/b.csv"),
        *("algo-3/all/c.csv", "algo-3/listed/d.csv", "algo-3/prefix/c.csv"),
    ]
    assert json.loads(bucket.get("out/algo-2/config/resourceconfig.json")) == {
        "current_host": "algo-2",
        "hosts": ["algo-1", "algo-2", "algo-3"],
    }
    streams = laptop.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=f"{job_name}/"
    )["logStreams"]
    hosts = [stream["logStreamName"].removeprefix(f"{job_name}/").rpartition("-")[0] for stream in streams]
    assert sorted(hosts) == ["algo-1", "algo-2", "algo-3"]
    lines = logged(laptop, "/aws/sagemaker/ProcessingJobs", job_name)
    assert sorted(lines) == ["on algo-1", "on algo-2", "on algo-3"]


def test_an_instance_that_fails_stops_the_others(
    jobs: ProcessingJobs, request_of: Request, bucket: Bucket
) -> None:
    environment = copying("sys.exit(5) if host == 'algo-2' else time.sleep(600)")
    outputs = {"Outputs": [output_of(bucket.uri("out"), mode="Continuous")]}
    started = time.monotonic()
    request = request_of(
        "", Environment=environment, ProcessingResources=cluster_of(3), ProcessingOutputConfig=outputs
    )
    record = ended(jobs, request)
    assert time.monotonic() - started < TIMEOUT_SECONDS
    assert record["ProcessingJobStatus"] == "Failed"
    assert record["FailureReason"] == "AlgorithmError: , exit code: 5"
    assert record["ExitMessage"] == "from algo-2"
    assert "out/algo-2/raw/a.csv" in bucket.keys("out")


def test_a_failed_instance_prevents_end_of_job_outputs(
    jobs: ProcessingJobs, request_of: Request, bucket: Bucket
) -> None:
    record = ended(
        jobs,
        request_of("", Environment=copying("sys.exit(host == 'algo-2')"), ProcessingResources=cluster_of(2)),
    )
    assert record["FailureReason"] == "AlgorithmError: , exit code: 1"
    assert bucket.keys("out") == []


def test_stop_ends_all_instances(
    jobs: ProcessingJobs, request_of: Request, bucket: Bucket, job_name: str
) -> None:
    outputs = {"Outputs": [output_of(bucket.uri("out"), mode="Continuous")]}
    sleepers = {"Environment": copying("time.sleep(600)"), "ProcessingResources": cluster_of(2)}
    jobs.create(request_of("", ProcessingOutputConfig=outputs, **sleepers))
    wait_until(lambda: len(bucket.keys("out/algo-2")) and len(bucket.keys("out/algo-1")))
    jobs.stop({"ProcessingJobName": job_name})
    assert end_of(jobs, job_name)["ProcessingJobStatus"] == "Stopped"


REDSHIFT = {
    "ClusterId": "c",
    "Database": "d",
    "DbUser": "u",
    "QueryString": "SELECT 1",
    "ClusterRoleArn": f"arn:aws:iam::{ACCOUNT}:role/cluster",
    "OutputS3Uri": "s3://b/k",
    "OutputFormat": "PARQUET",
}


@pytest.mark.parametrize(
    ("members", "named"),
    [
        (
            {"ProcessingInputs": [input_of("s3://b/k", "/opt/ml/processing/in", S3InputMode="Pipe")]},
            "The value Pipe of ProcessingInputs.S3Input.S3InputMode",
        ),
        (
            {
                "ProcessingInputs": [
                    {
                        "InputName": "x",
                        "DatasetDefinition": {
                            "LocalPath": "/opt/ml/processing/x",
                            "RedshiftDatasetDefinition": REDSHIFT,
                        },
                    }
                ]
            },
            "ProcessingInputs.DatasetDefinition.RedshiftDatasetDefinition",
        ),
        ({"AppSpecification": {"ImageUri": IMAGE}}, "ContainerEntrypoint"),
        (
            {
                "ProcessingOutputConfig": {
                    "Outputs": [{"OutputName": "o", "FeatureStoreOutput": {"FeatureGroupName": "g"}}]
                }
            },
            "FeatureStoreOutput",
        ),
    ],
)
def test_an_unsupported_member_is_rejected_by_name(
    jobs: ProcessingJobs, request_of: Request, members: Document, named: str
) -> None:
    with pytest.raises(NotSupportedLocally) as caught:
        jobs.create(request_of("", **members))
    assert named in caught.value.message


@pytest.mark.parametrize("path", ["/tmp/x", "/opt/ml/processing", "/opt/ml/processing/../x", "processing/x"])
def test_a_local_path_elsewhere_is_rejected(jobs: ProcessingJobs, request_of: Request, path: str) -> None:
    with pytest.raises(ValidationException, match="LocalPath"):
        jobs.create(request_of("", ProcessingInputs=[input_of("s3://b/k", path)]))


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({}, "requires either an S3Input or a DatasetDefinition"),
        ({"DatasetDefinition": {"LocalPath": "/opt/ml/processing/x"}}, "requires an AthenaDatasetDefinition"),
    ],
)
def test_an_input_needs_a_source(
    jobs: ProcessingJobs, request_of: Request, sources: Document, message: str
) -> None:
    with pytest.raises(ValidationException, match=message):
        jobs.create(request_of("", ProcessingInputs=[{"InputName": "x", **sources}]))
