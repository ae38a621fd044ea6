"""The instances of a training job: what each finds under /opt/ml, and what they leave there together."""

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
INTERFACE = "lo"  # the hosts are this machine's, and talk over loopback
SHARDED = "ShardedByS3Key"


@dataclass(frozen=True)
class Instance:
    """One instance of a training job.

    Attributes:
        host: its name among the hosts.
        base_dir: what its container sees as /opt/ml.
    """

    host: str
    base_dir: Path

    @property
    def failure(self) -> str:
        """Why it failed, as far as its container told."""
        path = self.base_dir / "output" / "failure"
        if not path.is_file():
            return ""
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(FAILURE_REASON_CHARACTERS)


def instance_names(job: Job) -> list[str]:
    """The instances' names, as log streams have them."""
    count = job.request.get("ResourceConfig", {}).get("InstanceCount", 1)
    return [f"algo-{number}" for number in range(1, count + 1)]


def lay_out(job: Job) -> list[Instance]:
    """Make the instances' folders as their containers find them, with the channels in them."""
    names = instance_names(job)
    count = len(names)
    # Nothing here resolves algo-2. An address is a name too, and each of 127.0.0.0/8 is this machine's.
    hosts = names if count == 1 else [f"127.0.0.{number}" for number in range(1, count + 1)]
    instances = [Instance(host, job.base_dir / name) for host, name in zip(hosts, names, strict=True)]
    for index, instance in enumerate(instances):
        for folder in ("input/config", "input/data", "model", "output/data", "checkpoints"):
            (instance.base_dir / folder).mkdir(parents=True)
        for name, document in _config(job.request, instance, hosts).items():
            (instance.base_dir / "input" / "config" / f"{name}.json").write_text(json.dumps(document))
        _download(job, instance, index, count)
    return instances


def merged(job: Job, instances: Sequence[Instance], folder: str) -> Path:
    """What all instances left in a folder; it is theirs to use different names."""
    if len(instances) == 1:
        return instances[0].base_dir / folder
    together = job.base_dir / "merged" / folder
    for instance in instances:
        shutil.copytree(instance.base_dir / folder, together, symlinks=True, dirs_exist_ok=True)
    return together


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
        **checkpoints.described(request),
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
