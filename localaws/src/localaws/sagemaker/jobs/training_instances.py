"""The instances of a training job: their /opt/ml folders and how their results are merged."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localaws.sagemaker.api.errors import FAILURE_REASON_CHARACTERS
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.jobs import checkpoints
from localaws.sagemaker.jobs.job import Job

INSTANCE_GROUP = "homogeneousCluster"
INTERFACE = "lo"  # all hosts are on this machine and communicate over loopback
SHARDED = "ShardedByS3Key"


@dataclass(frozen=True)
class Instance:
    """One instance of a training job.

    Attributes:
        host: the instance's name in resourceconfig.json.
        base_dir: the folder that is /opt/ml in the container.
    """

    host: str
    base_dir: Path

    @property
    def failure(self) -> str:
        """The start of the container's output/failure file, at most FAILURE_REASON_CHARACTERS; "" without."""
        path = self.base_dir / "output" / "failure"
        if not path.is_file():
            return ""
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(FAILURE_REASON_CHARACTERS)


def instance_names(job: Job) -> list[str]:
    """Return the instances' names in log streams: algo-1, algo-2, …"""
    count = job.request.get("ResourceConfig", {}).get("InstanceCount", 1)
    return [f"algo-{number}" for number in range(1, count + 1)]


def create_instances(job: Job) -> list[Instance]:
    """Create the instances' /opt/ml folders with configuration and channels."""
    names = instance_names(job)
    count = len(names)
    # Addresses instead of names: no DNS resolves algo-2 here, and all of 127.0.0.0/8 is this machine.
    hosts = names if count == 1 else [f"127.0.0.{number}" for number in range(1, count + 1)]
    instances = [Instance(host, job.base_dir / name) for host, name in zip(hosts, names, strict=True)]
    for index, instance in enumerate(instances):
        for folder in ("input/config", "input/data", "model", "output/data", "checkpoints"):
            (instance.base_dir / folder).mkdir(parents=True)
        for name, document in _config(job.request, instance, hosts).items():
            (instance.base_dir / "input" / "config" / f"{name}.json").write_text(json.dumps(document))
        _download(job, instance, index, count)
    return instances


def merge_folders(job: Job, instances: Sequence[Instance], folder: str) -> Path:
    """Merge a folder of all instances and return the result; for equal file names, the last instance wins."""
    if len(instances) == 1:
        return instances[0].base_dir / folder
    target = job.base_dir / "merged" / folder
    for instance in instances:
        shutil.copytree(instance.base_dir / folder, target, symlinks=True, dirs_exist_ok=True)
    return target


def _config(request: Document, instance: Instance, hosts: Sequence[str]) -> dict[str, Document]:
    mode = request["AlgorithmSpecification"]["TrainingInputMode"]
    instance_type = request.get("ResourceConfig", {}).get("InstanceType")
    group = {"instance_group_name": INSTANCE_GROUP, "instance_type": instance_type, "hosts": hosts}
    return {
        "hyperparameters": request.get("HyperParameters", {}),
        "inputdataconfig": {
            channel["ChannelName"]: {
                "TrainingInputMode": channel.get("InputMode", mode),
                "S3DistributionType": _distribution(channel),
                "RecordWrapperType": "None",
                **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
            }
            for channel in request.get("InputDataConfig", [])
        },
        "resourceconfig": {
            "current_host": instance.host,
            "current_instance_type": instance_type,
            "current_group_name": INSTANCE_GROUP,
            "hosts": hosts,
            "instance_groups": [group],
            "network_interface_name": INTERFACE,
        },
        **checkpoints.container_config(request),
    }


def _download(job: Job, instance: Instance, index: int, count: int) -> None:
    for channel in job.request.get("InputDataConfig", []):
        job.raise_if_stopped()
        folder = instance.base_dir / "input" / "data" / channel["ChannelName"]
        folder.mkdir()
        source = channel["DataSource"]["S3DataSource"]
        objects = job.storage.objects(source["S3DataType"], source["S3Uri"])
        job.storage.download(objects[index::count] if _distribution(channel) == SHARDED else objects, folder)


def _distribution(channel: Document) -> str:
    source: Document = channel["DataSource"]["S3DataSource"]
    return str(source.get("S3DataDistributionType", "FullyReplicated"))
