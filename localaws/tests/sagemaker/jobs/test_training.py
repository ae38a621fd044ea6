import io
import json
import math
import os
import re
import signal
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localaws.sagemaker.api.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.api.shapes import Document, parse_request
from localaws.sagemaker.jobs.training import TrainingJobs
from localaws.sagemaker.platform.platform import Platform
from localaws.testing import Laptop, free_port, wait_until
from localaws_tests.jobs import IMAGE, Bucket, end_of, ended, logged

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


def test_the_configuration_is_like_on_sagemaker(
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
    written = {
        name: json.loads(text)
        for name, text in unpacked(bucket.get(f"models/{job_name}/output/output.tar.gz")).items()
    }
    assert written["hyperparameters.json"] == {"epochs": "3"}
    assert written["inputdataconfig.json"] == {
        "train": {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
            "ContentType": "application/jsonlines",
        }
    }
    assert written["resourceconfig.json"]["hosts"] == ["algo-1"]
    assert {"TRAINING_JOB_ARN", "TRAINING_JOB_NAME", "MINE", "AWS_SESSION_TOKEN"} <= set(written["env.json"])
    assert not [name for name in written["env.json"] if name.startswith("SM_")]


# The first instance listens and the second connects to it; the model records the channel's files of both.
DISTRIBUTED = """
import socket
c = json.loads((base / "input/config/resourceconfig.json").read_text())
rank = c["hosts"].index(c["current_host"])
received = names = "".join(os.listdir(base / "input/data/train"))
at = c["hosts"][0], {port}
if rank == 0:
    with socket.create_server(at) as s:
        received = s.accept()[0].recv(9).decode()
else:
    s = socket.socket()
    while s.connect_ex(at): time.sleep(0.1)
    s.send(names.encode())
print("rank=%s;" % rank)
(base / f"model/{rank}").write_text(received + " " + names)
"""


def test_several_instances_train_together(
    jobs: TrainingJobs, request_of: Request, bucket: Bucket, laptop: Laptop, job_name: str
) -> None:
    for name in ("a", "b", "c"):
        bucket.put(f"parts/{name}", name)
    source = {"S3DataType": "S3Prefix", "S3Uri": bucket.uri("parts/")}
    sharded = channel("", DataSource={"S3DataSource": source | {"S3DataDistributionType": "ShardedByS3Key"}})
    record = ended(
        jobs,
        request_of(
            DISTRIBUTED.replace("{port}", str(free_port())),
            InputDataConfig=[sharded],
            ResourceConfig={"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
            AlgorithmSpecification=algorithm(MetricDefinitions=[{"Name": "rank", "Regex": "rank=(.)"}]),
            CheckpointConfig={"S3Uri": bucket.uri("checkpoints")},
        ),
    )
    assert record.get("FailureReason") is None
    model = unpacked(bucket.get(f"models/{job_name}/output/model.tar.gz"))
    assert model.keys() == {"0", "1"}
    received, names = model["0"].decode().split()
    assert sorted(received + names) == ["a", "b", "c"]
    assert model["1"].decode().split() == [received, received]
    streams = laptop.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{job_name}/"
    )["logStreams"]
    assert [item["logStreamName"].rpartition("-")[0] for item in streams] == [
        f"{job_name}/algo-{number}" for number in (1, 2)
    ]
    assert sorted(logged(laptop, "/aws/sagemaker/TrainingJobs", job_name)) == ["rank=0;", "rank=1;"]


def test_an_instance_that_fails_stops_the_others_and_is_the_reason(
    jobs: TrainingJobs, request_of: Request
) -> None:
    code = (
        "me = json.loads((base / 'input/config/resourceconfig.json').read_text())['current_host']\n"
        "if me == '127.0.0.1': time.sleep(600)\n"
        "(base / 'output/failure').write_text('the second one'); sys.exit(7)"
    )
    cluster = {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    record = ended(jobs, request_of(code, ResourceConfig=cluster))
    assert record["FailureReason"] == "AlgorithmError: the second one, exit code: 7"


def test_the_failure_file_is_the_failure_reason(
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


def test_a_stopped_job_uploads_its_model(
    jobs: TrainingJobs, request_of: Request, bucket: Bucket, job_name: str
) -> None:
    code = (
        "signal.signal(signal.SIGTERM, lambda *_: ((base / 'model/x').write_text('saved'), sys.exit(0)))\n"
        "(base / 'model/ready').write_text(''); time.sleep(600)"
    )
    jobs.create(request_of(code))
    folder = jobs.platform.workdir / "training-job"
    wait_until(lambda: list(folder.glob(f"{job_name}-*/algo-1/model/ready")))
    jobs.stop({"TrainingJobName": job_name})
    record = end_of(jobs, job_name)
    assert record["TrainingJobStatus"] == record["SecondaryStatus"] == "Stopped"
    assert unpacked(bucket.get(f"models/{job_name}/output/model.tar.gz"))["x"] == b"saved"
    statuses = [item["Status"] for item in record["SecondaryStatusTransitions"]]
    assert statuses[2:] == ["Training", "Stopping", "Uploading", "Stopped"]


def test_max_runtime_stops_the_job(jobs: TrainingJobs, request_of: Request) -> None:
    record = ended(jobs, request_of("time.sleep(600)", StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert record["TrainingJobStatus"] == "Stopped"
    assert record["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_checkpoints_are_downloaded_and_uploaded(
    jobs: TrainingJobs, request_of: Request, bucket: Bucket
) -> None:
    bucket.put("checkpoints/run/step-1", "1")
    bucket.put("checkpoints/run-2/step-1", "not mine")
    code = (
        "folder = base / 'checkpoints'; names = sorted(path.name for path in folder.iterdir())\n"
        "(folder / 'step-2').write_text(str(names)); sys.exit(1)"
    )
    ended(jobs, request_of(code, CheckpointConfig={"S3Uri": bucket.uri("checkpoints/run")}))
    assert bucket.get("checkpoints/run/step-2") == b"['step-1']"


def test_the_checkpoint_folder_is_configurable(
    jobs: TrainingJobs, request_of: Request, bucket: Bucket, job_name: str
) -> None:
    uri = bucket.uri("checkpoints")
    code = (
        "import shutil; shutil.copy(base / 'input/config/checkpointconfig.json', base / 'output/data')\n"
        "(base / 'mine/step-1').write_text('1')"
    )
    config = {"S3Uri": uri, "LocalPath": "/opt/ml/mine"}
    record = ended(jobs, request_of(code, CheckpointConfig=config))
    assert record["TrainingJobStatus"] == "Completed"
    written = unpacked(bucket.get(f"models/{job_name}/output/output.tar.gz"))["checkpointconfig.json"]
    assert json.loads(written) == config
    assert bucket.get("checkpoints/step-1") == b"1"


# Count to five and continue from the checkpoint; assert that nothing else remains of an earlier run. The
# first run waits at three to be interrupted.
COUNTING = """
path, mark = base / "checkpoints/count", Path(os.environ["MARK"])
assert not [*base.glob("model/*"), *base.glob("output/data/*")]
(base / "output/data/left").touch()
def save(*_):
    path.write_text(str(n))
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
n = int(path.read_text()) if path.exists() else 0
print("starts at", n)
while n < 5:
    n += 1
    print(f"count={n};")
    if n == 3 and not mark.exists():
        mark.touch()
        time.sleep(600)
(base / "model/count").write_text(str(n))
"""
SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
}


@pytest.fixture
def spot_jobs(platform: Platform) -> Iterator[TrainingJobs]:
    jobs = TrainingJobs(platform, interruption=0.4)
    yield jobs
    jobs.close()


@pytest.fixture
def interrupted(platform: Platform, tmp_path: Path) -> Iterator[Callable[[Document], Document]]:
    """Run a job of COUNTING, interrupt it where it waits, and return its record when it has ended."""
    jobs = TrainingJobs(platform, interruption=math.inf)

    def run(request: Document) -> Document:
        mark = tmp_path / "waiting"
        request["Environment"]["MARK"] = str(mark)
        jobs.create(request)
        wait_until(mark.exists)
        jobs._running[request["TrainingJobName"]].interruption = 0.0
        return end_of(jobs, request["TrainingJobName"])

    yield run
    jobs.close()


def test_an_interrupted_job_continues_from_its_checkpoint_on_new_instances(
    interrupted: Callable[[Document], Document],
    request_of: Request,
    bucket: Bucket,
    laptop: Laptop,
    job_name: str,
) -> None:
    definitions = [{"Name": "count", "Regex": "count=([0-9]+)"}]
    record = interrupted(
        request_of(
            COUNTING,
            **SPOT,
            CheckpointConfig={"S3Uri": bucket.uri("checkpoints")},
            AlgorithmSpecification=algorithm(MetricDefinitions=definitions),
        ),
    )
    assert record.get("FailureReason") is None
    assert [item["Status"] for item in record["SecondaryStatusTransitions"]] == [
        "Starting", "Downloading", "Training",
        "Interrupted", "Starting", "Downloading", "Training", "Uploading", "Completed",
    ]  # fmt: skip
    lines = logged(laptop, "/aws/sagemaker/TrainingJobs", job_name)
    starts = [int(line.split()[-1]) for line in lines if line.startswith("starts at")]
    assert starts == [0, 3]
    assert [line for line in lines if line.startswith("count=")] == [f"count={n};" for n in range(1, 6)]
    assert record["FinalMetricDataList"][0]["Value"] == 5
    assert unpacked(bucket.get(f"models/{job_name}/output/model.tar.gz")) == {"count": b"5"}
    assert record["BillableTimeInSeconds"] == record["TrainingTimeInSeconds"] >= 1


def test_without_checkpoints_an_interrupted_job_starts_from_the_beginning(
    interrupted: Callable[[Document], Document], request_of: Request, laptop: Laptop, job_name: str
) -> None:
    record = interrupted(request_of(COUNTING, **SPOT))
    assert record["TrainingJobStatus"] == "Completed"
    lines = logged(laptop, "/aws/sagemaker/TrainingJobs", job_name)
    assert [line for line in lines if line.startswith("starts at")] == ["starts at 0"] * 2


def test_only_spot_instances_are_interrupted(
    spot_jobs: TrainingJobs, request_of: Request, bucket: Bucket
) -> None:
    record = ended(
        spot_jobs, request_of("time.sleep(1)", CheckpointConfig={"S3Uri": bucket.uri("checkpoints")})
    )
    statuses = [item["Status"] for item in record["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]


def test_max_wait_time_stops_the_job(spot_jobs: TrainingJobs, request_of: Request) -> None:
    code = "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1.5), sys.exit(0))); time.sleep(600)"
    condition = {"MaxRuntimeInSeconds": 2, "MaxWaitTimeInSeconds": 2}
    record = ended(spot_jobs, request_of(code, **SPOT | {"StoppingCondition": condition}))
    assert (record["TrainingJobStatus"], record["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")


@pytest.mark.parametrize(
    ("spot", "condition", "message"),
    [
        (
            False,
            {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
            "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to",
        ),
        (True, {"MaxRuntimeInSeconds": 60}, "It must be present and be greater than or equal to"),
        (True, {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}, "It must be present and be greater"),
        (True, {"MaxWaitTimeInSeconds": 86_399}, "It must be present and be greater than or equal to"),
    ],
)
def test_an_invalid_max_wait_time_is_rejected(
    jobs: TrainingJobs, request_of: Request, spot: bool, condition: Document, message: str
) -> None:
    request = request_of("", EnableManagedSpotTraining=spot, StoppingCondition=condition)
    with pytest.raises(ValidationException, match=re.escape(message)):
        jobs.create(request)


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
def test_an_unsupported_member_is_rejected_by_name(
    jobs: TrainingJobs, request_of: Request, members: Document, named: str
) -> None:
    with pytest.raises(NotSupportedLocally, match=named):
        jobs.create(request_of("", **members))


@pytest.mark.parametrize("name", [".", ".."])
def test_a_channel_name_that_is_no_folder_name_is_rejected(
    jobs: TrainingJobs, request_of: Request, name: str
) -> None:
    request = request_of("", InputDataConfig=[channel("s3://b/k", ChannelName=name)])
    with pytest.raises(ValidationException, match="A channel name must"):
        jobs.create(request)


@pytest.mark.parametrize("pattern", ["(", "no group"])
def test_a_metric_without_a_group_is_rejected(jobs: TrainingJobs, request_of: Request, pattern: str) -> None:
    definitions = [{"Name": "m", "Regex": pattern}]
    with pytest.raises(ValidationException, match="Invalid metric regex"):
        jobs.create(request_of("", AlgorithmSpecification=algorithm(MetricDefinitions=definitions)))


def test_members_that_the_sdk_sends_are_accepted(
    jobs: TrainingJobs, request_of: Request, bucket: Bucket
) -> None:
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
