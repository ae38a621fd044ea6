"""How fast Batch Transform scored the test rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.documents import read_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from estimate_cost.jobs import StepJobs

SCORING = {"ScoreTestSplit": "new model", "ScoreChampion": "live model"}  # step: who scored


@dataclass(frozen=True)
class Speed:
    """A model's speed over the test split, from the job's start to its end."""

    who: str
    step: str
    rows: int
    seconds: float
    instances: str

    @property
    def rows_a_second(self) -> float:
        """Rows per second of all instances together."""
        return self.rows / self.seconds

    def document(self) -> dict[str, Any]:
        """Return the row of cost.json."""
        return {
            "step": self.step,
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "rowsASecond": round(self.rows_a_second, 1),
        }


def find_speeds(s3: S3Client, steps: list[StepJobs]) -> list[Speed]:
    """Return the speed of each scoring; none if the dataset's step has no count of its test rows."""
    folders = [step.outputs["report"] for step in steps if step.name == "CreateDataset" and step.outputs]
    if not folders:
        return []
    rows = int(read_json(s3, f"{folders[0]}/dataset.json")["splits"]["test"]["rows"])
    return [
        Speed(SCORING[step.name], step.name, rows, job.seconds, f"{job.instances} × {job.instance_type}")
        for step in steps
        if step.name in SCORING
        for job in step.jobs
        if job.seconds
    ]
