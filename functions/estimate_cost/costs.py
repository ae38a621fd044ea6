"""The costs of a run: the time of each job times the price of its instances."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from estimate_cost.jobs import Job, StepJobs
from shared.documents import Document

TABLE = Path(__file__).with_name("prices.json")
HOUR = 3600  # seconds
MONTH = 30 * 24 * HOUR  # seconds, as volumes are billed
ENDPOINTS = 2


class Sample(BaseModel):
    """A published pipeline of the same kind, and its authors' figure for the cost of one run."""

    name: str
    workload: str
    run: float
    source: str


class Prices(Document):
    """A dated price table: one hour of an instance per kind of job, one month of a gigabyte of volume."""

    as_of: str
    region: str
    currency: str
    source: str
    volume_gigabyte_month: float
    sample: Sample
    instances: dict[str, dict[str, float]]

    def hour(self, kind: str, instance_type: str) -> float | None:
        """Return the price of one hour, or None if the table has none."""
        return self.instances[kind].get(instance_type)


def read_prices(path: Path = TABLE) -> Prices:
    """Read the price table."""
    return Prices.model_validate(json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class StepCost:
    """The cost of a step's jobs; `cost` is None if a price is unknown, and 0 for a cached step."""

    step: StepJobs
    price: float | None  # an hour of one instance
    cost: float | None
    volumes: float

    @property
    def seconds(self) -> float:
        """The billed time of all jobs."""
        return 0.0 if self.step.cached else sum(job.seconds for job in self.step.jobs)

    @property
    def instances(self) -> str:
        """The instances of the jobs, such as `2 × ml.m5.large`."""
        kinds = dict.fromkeys(f"{job.instances} × {job.instance_type}" for job in self.step.jobs)
        return ", ".join(kinds)

    @property
    def spot(self) -> bool:
        """Whether any job ran on Spot capacity."""
        return any(job.spot for job in self.step.jobs)

    @property
    def unbilled(self) -> float:
        """Seconds that the jobs ran without being billed, which is how SageMaker discounts Spot capacity."""
        return 0.0 if self.step.cached else sum(job.unbilled for job in self.step.jobs)

    @property
    def spot_line(self) -> str:
        """A sentence on what Spot capacity saved."""
        name, billed, ran = self.step.name, self.seconds, self.seconds + self.unbilled
        if not self.unbilled:
            return f"{name} requested Spot capacity; all {ran:,.0f} s count as billed, nothing was saved."
        saved = f"{self.unbilled / ran:.0%} saved"
        return f"{name} ran {ran:,.0f} s on Spot capacity and was billed {billed:,.0f} s: {saved}."

    def document(self) -> dict[str, Any]:
        """Return the step's row of cost.json."""
        return {
            "step": self.step.name,
            "kind": self.step.kind,
            "instances": self.instances,
            "jobs": len(self.step.jobs),
            "cached": self.step.cached,
            "seconds": round(self.seconds, 3),
            "spot": self.spot,
            "unbilledSeconds": round(self.unbilled, 3),
            "hourlyPrice": self.price,
            "cost": None if self.cost is None else round(self.cost, 6),
        }


@dataclass(frozen=True)
class Costs:
    """The costs of a pipeline execution, and of the endpoints that serve its model."""

    steps: list[StepJobs]
    prices: Prices
    endpoint_type: str

    @cached_property
    def rows(self) -> list[StepCost]:
        """One row per step that ran jobs."""
        return [self._of(step) for step in self.steps if step.jobs]

    @property
    def compute(self) -> float:
        """The cost of all instances whose price is known."""
        return sum(row.cost or 0.0 for row in self.rows)

    @property
    def volumes(self) -> float:
        """The cost of the instances' volumes."""
        return sum(row.volumes for row in self.rows)

    @property
    def total(self) -> float:
        """The cost of the run."""
        return self.compute + self.volumes

    @property
    def endpoints_a_day(self) -> float | None:
        """The cost per day of both endpoints, one instance each, or None if the price is unknown."""
        price = self.prices.hour("hosting", self.endpoint_type)
        return None if price is None else price * 24 * ENDPOINTS

    @property
    def unknown(self) -> list[str]:
        """The steps whose price is unknown."""
        return [f"{row.step.name} ({row.instances})" for row in self.rows if row.cost is None]

    def document(self) -> dict[str, Any]:
        """Return the content of cost.json, which is the function's answer too."""
        return {
            "total": round(self.total, 6),
            "currency": self.prices.currency,
            "compute": round(self.compute, 6),
            "volumes": round(self.volumes, 6),
            "endpointsADay": self.endpoints_a_day,
            "endpointInstanceType": self.endpoint_type,
            "unknown": self.unknown,
            "prices": self.prices.model_dump(by_alias=True, include={"as_of", "region", "source"}),
            "steps": [row.document() for row in self.rows],
            "text": "\n".join(self.lines()),
        }

    def lines(self) -> list[str]:
        """Return the costs as sentences."""
        prices, sample, day = self.prices, self.prices.sample, self.endpoints_a_day
        parts = f"instances {self.money(self.compute)}, volumes {self.money(self.volumes)}"
        sentences = [
            f"Cost on AWS: about {self.money(self.total)} for this run ({parts}; prices of {prices.region} "
            f"as of {prices.as_of}), from the time of its jobs. Not included: S3, "
            "Athena, the feature store, requests.",
            f"The {ENDPOINTS} endpoints ({self.endpoint_type}): "
            + ("price unknown." if day is None else f"{self.money(day)} per day until they are deleted."),
            f"For comparison, {sample.name} ({sample.workload}) costs about {sample.run:g} {prices.currency} "
            f"per run: {sample.source}",
        ]
        sentences[1:1] = [row.spot_line for row in self.rows if row.spot and not row.step.cached]
        if self.unknown:
            sentences.insert(
                1, f"Not included either, because the price is unknown: {', '.join(self.unknown)}."
            )
        return sentences

    def money(self, amount: float) -> str:
        """Return an amount with enough digits to show small costs."""
        return f"{amount:.{2 if amount >= 1 else 4}f} {self.prices.currency}"

    def _of(self, step: StepJobs) -> StepCost:
        prices = [self.prices.hour(step.kind, job.instance_type) for job in step.jobs]
        price = prices[0] if len(set(prices)) == 1 else None
        if step.cached:
            return StepCost(step, price, 0.0, 0.0)
        known = [hour for hour in prices if hour is not None]
        cost = None
        if len(known) == len(prices):
            cost = sum(
                hour * job.instances * job.seconds / HOUR for hour, job in zip(known, step.jobs, strict=True)
            )
        return StepCost(step, price, cost, sum(self._volume(job) for job in step.jobs))

    def _volume(self, job: Job) -> float:
        return self.prices.volume_gigabyte_month * job.volume_gb * job.instances * job.seconds / MONTH
