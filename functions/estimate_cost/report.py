"""The sections of the report that can be filled only after the run's jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from shared import uris

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from estimate_cost.costs import Costs, StepCost
    from estimate_cost.latency import Speed

HTML = "text/html; charset=utf-8"


def complete_report(s3: S3Client, uri: str, sections: Mapping[str, str]) -> None:
    """Insert each section at the report's comment of its name; a later call replaces it."""
    bucket, key = uris.split(uri)
    before = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    after = before
    for name, section in sections.items():
        after = insert(after, name, section)
    if after != before:
        s3.put_object(Bucket=bucket, Key=key, Body=after.encode(), ContentType=HTML)


def insert(page: str, name: str, section: str) -> str:
    """Return the page with the section between `<!-- name -->` and `<!-- /name -->`."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    place = re.compile(f"{re.escape(start)}(.*?{re.escape(end)})?", re.DOTALL)
    return place.sub(lambda _: f"{start}{section}{end}", page, count=1)


def cost_section(costs: Costs) -> str:
    """Return the section with the cost of each step."""
    rows = "".join(cost_row(row, costs) for row in costs.rows)
    total = f"<tr><th>Instances</th><td></td><td></td><td></td><td>{costs.money(costs.compute)}</td></tr>"
    volumes = f"<tr><th>Volumes</th><td></td><td></td><td></td><td>{costs.money(costs.volumes)}</td></tr>"
    head = "<tr><th>step</th><th>on</th><th>time</th><th>per hour</th><th>cost</th></tr>"
    paragraphs = "".join(f"<p>{linked(line)}</p>" for line in costs.lines())
    table = f"<table><thead>{head}</thead><tbody>{rows}{total}{volumes}</tbody></table>"
    return f'<section id="cost"><h2>What it would cost on AWS</h2>{paragraphs}{table}</section>'


def cost_row(row: StepCost, costs: Costs) -> str:
    """Return a step's row of the table."""
    jobs = len(row.step.jobs)
    time = "from the cache" if row.step.cached else f"{row.seconds:,.1f} s"
    cells = [
        row.instances + (", Spot" if row.spot else "") + (f", {jobs} jobs" if jobs > 1 else ""),
        time,
        "unknown" if row.price is None else f"{row.price:g}",
        "unknown" if row.cost is None else costs.money(row.cost),
    ]
    return f"<tr><td>{escape(row.step.name)}</td>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def latency_section(speeds: list[Speed]) -> str:
    """Return the section with the speed of each scoring, or nothing if there was none."""
    if not speeds:
        return ""
    rows = "".join(
        f"<tr><td>{escape(speed.who)}</td><td>{escape(speed.instances)}</td><td>{speed.rows:,}</td>"
        f"<td>{speed.seconds:,.1f} s</td><td>{speed.rows_a_second:,.0f}</td></tr>"
        for speed in speeds
    )
    head = "<tr><th>scored by</th><th>on</th><th>rows</th><th>time</th><th>rows per second</th></tr>"
    paragraph = "<p>Batch Transform over the test split, from the job's start to its end, where it ran.</p>"
    table = f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
    return f'<section id="latency"><h2>How fast it scores</h2>{paragraph}{table}</section>'


def linked(line: str) -> str:
    """Return the line with its URLs as links."""
    return re.sub(r"https://\S+", lambda found: f'<a href="{found[0]}">{found[0]}</a>', escape(line))
