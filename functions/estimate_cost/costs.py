"""The costs: jobs times prices."""

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
    """A known pipeline of the same kind, and what its authors say that a run of it costs."""

    name: str
    run: float
    source: str


class Prices(Document):
    """A dated table: what an hour of an instance costs by what it does, and a month of a gigabyte."""

    as_of: str
    region: str
    currency: str
    source: str
    volume_gigabyte_month: float
    sample: Sample
    instances: dict[str, dict[str, float]]

    def hour(self, kind: str, instance_type: str) -> float | None:
        """What an hour costs; None if the table does not say."""
        return self.instances[kind].get(instance_type)


def read_prices(path: Path = TABLE) -> Prices:
    """Reads the table."""
    return Prices.model_validate(json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class StepCost:
    """What a step's jobs cost; `cost` is None if the price is unknown, and 0 from the cache."""

    step: StepJobs
    price: float | None  # an hour of one instance
    cost: float | None
    volumes: float

    @property
    def seconds(self) -> float:
        """Of all jobs, each as long as it took."""
        return 0.0 if self.step.cached else sum(job.seconds for job in self.step.jobs)

    @property
    def instances(self) -> str:
        """`2 × ml.m5.large`."""
        kinds = dict.fromkeys(f"{job.instances} × {job.instance_type}" for job in self.step.jobs)
        return ", ".join(kinds)

    @property
    def spot(self) -> bool:
        """Whether any of its jobs ran on Spot capacity."""
        return any(job.spot for job in self.step.jobs)

    @property
    def unbilled(self) -> float:
        """Seconds that its jobs ran without being billed, as Spot capacity is cheaper."""
        return 0.0 if self.step.cached else sum(job.unbilled for job in self.step.jobs)

    @property
    def spot_line(self) -> str:
        """What Spot capacity saved; SageMaker bills it as fewer seconds at the full price."""
        name, billed, ran = self.step.name, self.seconds, self.seconds + self.unbilled
        if not self.unbilled:
            return f"{name} asked for Spot capacity; all {ran:,.0f} s count as billed, nothing was saved."
        saved = f"{self.unbilled / ran:.0%} saved"
        return f"{name} ran {ran:,.0f} s on Spot capacity and was billed {billed:,.0f} s: {saved}."

    def document(self) -> dict[str, Any]:
        """The row of cost.json."""
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
    """The costs of a pipeline execution, and of the endpoints that serve what comes of it."""

    steps: list[StepJobs]
    prices: Prices
    endpoint_type: str

    @cached_property
    def rows(self) -> list[StepCost]:
        """A row for each step that has jobs."""
        return [self._of(step) for step in self.steps if step.jobs]

    @property
    def compute(self) -> float:
        """Of all instances whose price is known."""
        return sum(row.cost or 0.0 for row in self.rows)

    @property
    def volumes(self) -> float:
        """Of the instances' disks, for as long as they were there."""
        return sum(row.volumes for row in self.rows)

    @property
    def total(self) -> float:
        """Of the run."""
        return self.compute + self.volumes

    @property
    def endpoints_a_day(self) -> float | None:
        """Of both endpoints, one instance each; None if the price is unknown."""
        price = self.prices.hour("hosting", self.endpoint_type)
        return None if price is None else price * 24 * ENDPOINTS

    @property
    def unknown(self) -> list[str]:
        """Steps whose price is unknown."""
        return [f"{row.step.name} ({row.instances})" for row in self.rows if row.cost is None]

    def document(self) -> dict[str, Any]:
        """What cost.json holds and the function answers."""
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
        """What a person wants to know."""
        prices, sample, day = self.prices, self.prices.sample, self.endpoints_a_day
        parts = f"instances {self.money(self.compute)}, volumes {self.money(self.volumes)}"
        told = [
            f"Cost on AWS: about {self.money(self.total)} for this run ({parts}; prices of {prices.region} "
            f"as of {prices.as_of}), by how long its jobs took. Not in it: S3, "
            "Athena, the feature store, requests.",
            f"The {ENDPOINTS} endpoints ({self.endpoint_type}): "
            + ("price unknown." if day is None else f"{self.money(day)} a day until they are deleted."),
            f"For comparison, {sample.name} is said to cost about {sample.run:g} {prices.currency} a run: "
            f"{sample.source}",
        ]
        told[1:1] = [row.spot_line for row in self.rows if row.spot and not row.step.cached]
        if self.unknown:
            told.insert(1, f"Not in it either, as the price is unknown: {', '.join(self.unknown)}.")
        return told

    def money(self, amount: float) -> str:
        """An amount with enough digits to tell it from nothing."""
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
