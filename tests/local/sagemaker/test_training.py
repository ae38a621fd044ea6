import io
import json
import os
import signal
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from localaws.sagemaker.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.platform import Platform
from localaws.sagemaker.shapes import Document, parse_request
from localaws.sagemaker.training import TrainingJobs
from tests.local.conftest import Laptop, wait_until
from tests.local.sagemaker.conftest import IMAGE, Bucket, end_of, ended, logged

Request = Callable[..., Document]


@pytest.fixture
def jobs(platform: Platform) -> Iterator[TrainingJobs]:
    jobs = TrainingJobs(platform)
    yield jobs
    jobs.close()


@pytest.fixture
def request_of(bucket: Bucket, role_arn: str, job_name: str) -> Request:
    def make(code: str, **members: Any) -> Document:
        return parse_request(
            "CreateTrainingJob",
            {
                "TrainingJobName": job_name,
                "RoleArn": role_arn,
                "AlgorithmSpecification": algorithm(),
                "HyperParameters": {"epochs": "3"},
                "InputDataConfig": [channel(bucket.put("in/train.jsonl", "{}\n"))],
                "OutputDataConfig": {"S3OutputPath": bucket.uri("models")},
                "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
                **members,
                "Environment": {"CODE": code, **members.get("Environment", {})},
            },
        )

    return make


def algorithm(**members: Any) -> Document:
    return {"TrainingImage": IMAGE, "TrainingInputMode": "File", **members}


def channel(uri: str, **members: Any) -> Document:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri}
    return {
        "ChannelName": "train",
        "ContentType": "application/jsonlines",
        "DataSource": {"S3DataSource": source},
        **members,
    }


def unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = [(member.name, tar.extractfile(member)) for member in tar]
        return {name: file.read() for name, file in members if file}


def test_a_model_is_trained(
    jobs: TrainingJobs, request_of: Request, bucket: Bucket, laptop: Laptop, job_name: str, platform: Platform
) -> None:
    code = (
        "(base / 'model/weights').write_bytes((base / 'input/data/train/train.jsonl').read_bytes())\n"
        "(base / 'output/data/report.txt').write_text(os.environ['TRAINING_JOB_NAME'])\n"
        "print('validation:accuracy=0.5;'); print('validation:accuracy=0.89; loss: nan')"
    )
    definitions = [
        {"Name": "validation:accuracy", "Regex": "validation:accuracy=([0-9.]+)"},
        {"Name": "loss", "Regex": "loss: (.*)"},
        {"Name": "never", "Regex": "never=(.*)"},
    ]
    record = ended(jobs, request_of(code, AlgorithmSpecification=algorithm(MetricDefinitions=definitions)))
    assert record.get("FailureReason") is None
    assert record["TrainingJobStatus"] == record["SecondaryStatus"] == "Completed"
    artifact = record["ModelArtifacts"]["S3ModelArtifacts"]
    assert artifact == bucket.uri(f"models/{job_name}/output/model.tar.gz")
    assert unpacked(bucket.get(f"models/{job_name}/output/model.tar.gz")) == {"weights": b"{}\n"}
    assert unpacked(bucket.get(f"models/{job_name}/output/output.tar.gz")) == {
        "report.txt": job_name.encode()
    }
    (metric,) = record["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("validation:accuracy", 0.89)
    assert record["TrainingStartTime"] <= metric["Timestamp"] <= record["TrainingEndTime"]
    transitions = record["SecondaryStatusTransitions"]
    assert [item["Status"] for item in transitions] == [
        "Starting", "Downloading", "Training", "Uploading", "Completed",
    ]  # fmt: skip
    assert all(item["StartTime"] <= item["EndTime"] for item in transitions)
    assert record["BillableTimeInSeconds"] >= 1
    assert record["OutputDataConfig"]["KmsKeyId"] == ""  # the SDK's Estimator.attach reads it
    assert "validation:accuracy=0.5;" in logged(laptop, "/aws/sagemaker/TrainingJobs", job_name)
    assert not list((platform.workdir / "training-job").iterdir())


def test_the_configuration_is_sagemakers(
    jobs: TrainingJobs, request_of: Request, bucket: Bucket, job_name: str
) -> None:
    code = (
        "import shutil\n"
        "for path in (base / 'input/config').iterdir(): shutil.copy(path, base / 'output/data')\n"
        "names = sorted(os.environ); (base / 'output/data/env.json').write_text(json.dumps(names))"
    )
    record = ended(jobs, request_of(code, Environment={"MINE": "1"}))
    assert record["TrainingJobStatus"] == "Completed"
    assert "ModelArtifacts" not in record
    told = {
        name: json.loads(text)
        for name, text in unpacked(bucket.get(f"models/{job_name}/output/output.tar.gz")).items()
    }
    assert told["hyperparameters.json"] == {"epochs": "3"}
    assert told["inputdataconfig.json"] == {
        "train": {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
            "ContentType": "application/jsonlines",
        }
    }
    assert told["resourceconfig.json"]["hosts"] == ["algo-1"]
    assert {"TRAINING_JOB_ARN", "TRAINING_JOB_NAME", "MINE", "AWS_SESSION_TOKEN"} <= set(told["env.json"])
    assert not [name for name in told["env.json"] if name.startswith("SM_")]


def test_a_failure_tells_what_the_container_told(
    jobs: TrainingJobs, request_of: Request, bucket: Bucket
) -> None:
    code = (
        "(base / 'output/failure').write_text('no data ' * 500)\n"
        "(base / 'model/x').write_text('x'); sys.exit(2)"
    )
    record = ended(jobs, request_of(code))
    assert record["TrainingJobStatus"] == record["SecondaryStatus"] == "Failed"
    assert record["FailureReason"].startswith("AlgorithmError: no data no data")
    assert record["FailureReason"].endswith(", exit code: 2")
    assert len(record["FailureReason"]) == 1024
    assert bucket.keys("models") == []


def test_a_killed_process_fails_the_job_with_its_reason(
    jobs: TrainingJobs, request_of: Request, laptop: Laptop, job_name: str
) -> None:
    jobs.create(request_of("print(os.getpid()); time.sleep(600)"))
    group = "/aws/sagemaker/TrainingJobs"
    wait_until(lambda: jobs.describe({"TrainingJobName": job_name})["SecondaryStatus"] == "Training")
    (line,) = wait_until(lambda: logged(laptop, group, job_name))
    os.kill(int(line), signal.SIGKILL)
    record = end_of(jobs, job_name)
    assert record["TrainingJobStatus"] == "Failed"
    assert record["FailureReason"] == (
        "AlgorithmError: , exit code: 137. The process was killed (SIGKILL), "
        "which is what happens when memory runs out"
    )


def test_a_stopped_job_leaves_its_model(
    jobs: TrainingJobs, request_of: Request, bucket: Bucket, job_name: str
) -> None:
    code = (
        "signal.signal(signal.SIGTERM, lambda *_: ((base / 'model/x').write_text('saved'), sys.exit(0)))\n"
        "(base / 'model/ready').write_text(''); time.sleep(600)"
    )
    jobs.create(request_of(code))
    folder = jobs.platform.workdir / "training-job"
    wait_until(lambda: list(folder.glob(f"{job_name}-*/model/ready")))
    jobs.stop({"TrainingJobName": job_name})
    record = end_of(jobs, job_name)
    assert record["TrainingJobStatus"] == record["SecondaryStatus"] == "Stopped"
    assert unpacked(bucket.get(f"models/{job_name}/output/model.tar.gz"))["x"] == b"saved"
    statuses = [item["Status"] for item in record["SecondaryStatusTransitions"]]
    assert statuses[2:] == ["Training", "Stopping", "Uploading", "Stopped"]


def test_time_runs_out(jobs: TrainingJobs, request_of: Request) -> None:
    record = ended(jobs, request_of("time.sleep(600)", StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert record["TrainingJobStatus"] == "Stopped"
    assert record["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_checkpoints_come_and_go(jobs: TrainingJobs, request_of: Request, bucket: Bucket) -> None:
    bucket.put("checkpoints/run/step-1", "1")
    bucket.put("checkpoints/run-2/step-1", "not mine")
    code = (
        "folder = base / 'checkpoints'; names = sorted(path.name for path in folder.iterdir())\n"
        "(folder / 'step-2').write_text(str(names)); sys.exit(1)"
    )
    ended(jobs, request_of(code, CheckpointConfig={"S3Uri": bucket.uri("checkpoints/run")}))
    assert bucket.get("checkpoints/run/step-2") == b"['step-1']"


def test_an_uncompressed_model(
    jobs: TrainingJobs, request_of: Request, bucket: Bucket, job_name: str
) -> None:
    output = {"S3OutputPath": bucket.uri("models/"), "CompressionType": "NONE"}
    record = ended(jobs, request_of("(base / 'model/x').write_text('x')", OutputDataConfig=output))
    assert record["ModelArtifacts"]["S3ModelArtifacts"] == bucket.uri(f"models/{job_name}/output/model/")
    assert bucket.get(f"models/{job_name}/output/model/x") == b"x"


def test_a_channel_without_data_fails_the_job(
    jobs: TrainingJobs, request_of: Request, bucket: Bucket
) -> None:
    record = ended(jobs, request_of("", InputDataConfig=[channel(bucket.uri("none/"))]))
    assert record["TrainingJobStatus"] == "Failed"
    assert record["FailureReason"].startswith("ClientError: No S3 objects found under S3 URL")


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"AlgorithmSpecification": algorithm(TrainingInputMode="Pipe")}, "TrainingInputMode"),
        (
            {"ResourceConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
            "InstanceCount",
        ),
        (
            {
                "InputDataConfig": [
                    channel(
                        "s3://b/k",
                        DataSource={
                            "S3DataSource": {"S3DataType": "AugmentedManifestFile", "S3Uri": "s3://b/k"}
                        },
                    )
                ]
            },
            "AugmentedManifestFile",
        ),
        ({"TensorBoardOutputConfig": {"S3OutputPath": "s3://b/k"}}, "TensorBoardOutputConfig"),
    ],
)
def test_what_is_not_done_is_refused_by_name(
    jobs: TrainingJobs, request_of: Request, members: Document, named: str
) -> None:
    with pytest.raises(NotSupportedLocally, match=named):
        jobs.create(request_of("", **members))


@pytest.mark.parametrize("name", [".", ".."])
def test_a_channel_that_has_no_folder_of_its_own_is_refused(
    jobs: TrainingJobs, request_of: Request, name: str
) -> None:
    request = request_of("", InputDataConfig=[channel("s3://b/k", ChannelName=name)])
    with pytest.raises(ValidationException, match="A channel's name"):
        jobs.create(request)


@pytest.mark.parametrize("pattern", ["(", "no group"])
def test_a_metric_without_a_value_is_refused(jobs: TrainingJobs, request_of: Request, pattern: str) -> None:
    definitions = [{"Name": "m", "Regex": pattern}]
    with pytest.raises(ValidationException, match="Invalid metric regex"):
        jobs.create(request_of("", AlgorithmSpecification=algorithm(MetricDefinitions=definitions)))


def test_the_sdks_usual_extras_are_accepted(jobs: TrainingJobs, request_of: Request, bucket: Bucket) -> None:
    record = ended(
        jobs,
        request_of(
            "pass",
            DebugHookConfig={"S3OutputPath": bucket.uri("debug"), "CollectionConfigurations": []},
            ProfilerConfig={"DisableProfiler": True},
            EnableManagedSpotTraining=False,
            VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
            Tags=[{"Key": "a", "Value": "b"}],
        ),
    )
    assert record["TrainingJobStatus"] == "Completed"
