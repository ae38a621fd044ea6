"""Draw docs/images/architecture.svg: the path of one file from the bucket to both endpoints.

Run `python docs/images/architecture.py` after a change and commit the picture.
"""

from html import escape
from pathlib import Path
from typing import NamedTuple

WIDTH, LEFT, GAP = 1500, 26, 26  # pixels
BOX_WIDTH, BOX_HEIGHT, LANE_HEIGHT = 342, 108, 178
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"
FAILURE = "On failure"
CODE = "font-family='DejaVu Sans Mono, Menlo, monospace'"


class Box(NamedTuple):
    """A point of the journey: the name in the console, what happens, the files that act."""

    name: str
    text: str
    files: tuple[str, ...]


class Lane(NamedTuple):
    """A row of the picture: where its boxes run."""

    title: str
    color: str
    boxes: tuple[Box, ...]


LANES = (
    Lane(
        "S3, EventBridge and Step Functions: start",
        "#dbeafe",
        (
            Box("File under raw/", "S3 event starts an execution", ("template.yaml",)),
            Box("ClaimLock", "one run at a time", ("statemachine/lock.py",)),
            Box("PlanRun", "which files are new", ("functions/plan_run/",)),
            Box("StartPipeline", "starts and polls the pipeline", ("statemachine/pipeline_execution.py",)),
        ),
    ),
    Lane(
        "SageMaker Pipeline: data and model",
        "#dcfce7",
        (
            Box(
                "IngestRecords", "rows to Feature Store", ("pipeline/data.py", "containers/processing/ingest")
            ),
            Box(
                "CreateDataset",
                "query and splits",
                ("pipeline/data.py", "containers/processing/create_dataset"),
            ),
            Box(
                "TuneModel or TrainModel",
                "your container trains",
                ("pipeline/model.py", "containers/linear/train"),
            ),
            Box("ScoreTestSplit", "Batch Transform", ("pipeline/quality.py", "containers/linear/serve")),
        ),
    ),
    Lane(
        "SageMaker Pipeline: quality",
        "#dcfce7",
        (
            Box(
                "EvaluateQuality",
                "metrics and report",
                ("pipeline/quality.py", "containers/processing/evaluate"),
            ),
            Box(
                "CompareModels",
                "against the live model",
                ("pipeline/quality.py", "containers/processing/compare"),
            ),
            Box("AboveFloor", "stop below the floor", ("pipeline/quality.py",)),
            Box("RegisterModel", "pending approval", ("pipeline/model.py",)),
        ),
    ),
    Lane(
        "Step Functions: judging and deployment",
        "#dbeafe",
        (
            Box("JudgeModel", "thresholds, paired test", ("functions/judge_model/",)),
            Box("EstimateCost", "cost of the run on AWS", ("functions/estimate_cost/",)),
            Box("DeployEndpoints", "real-time and asynchronous", ("statemachine/endpoints.py",)),
            Box("SmokeTest", "same answers as Batch Transform", ("functions/smoke_test/",)),
        ),
    ),
    Lane(
        "Step Functions: end of every run",
        "#fef3c7",
        (
            Box("UpdateLedger", "which files were used", ("functions/update_ledger/",)),
            Box("Notify", "result to the SNS topic", ("statemachine/conclusion.py",)),
            Box("LookOnceMore", "after ReleaseLock: new files?", ("statemachine/conclusion.py",)),
            Box(
                FAILURE,
                "explain, retry once, restore",
                ("statemachine/failure.py", "functions/explain_failure/"),
            ),
        ),
    ),
)


def draw() -> str:
    """Return the picture as SVG."""
    height = LANE_HEIGHT * len(LANES) + 20
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' role='img'>",
        "<title>The path of one file from the bucket to both endpoints</title>",
        "<defs><marker id='head' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='9' markerHeight='9' "
        "orient='auto'><path d='M0 0 L10 5 L0 10 z' fill='#475569'/></marker></defs>",
        f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>",
    ]
    number = 0
    for row, lane in enumerate(LANES):
        top = 10 + row * LANE_HEIGHT
        parts.append(rectangle(8, top, WIDTH - 16, LANE_HEIGHT - 12, f"fill='{lane.color}'"))
        parts.append(text(LEFT, top + 26, 17, "#334155", lane.title))
        for column, box in enumerate(lane.boxes):
            number += 1
            left = LEFT + column * (BOX_WIDTH + GAP)
            parts += draw_box(number, box, left, top + 40)
            if column and box.name != FAILURE:
                parts.append(arrow(left - GAP, left, top + 40 + BOX_HEIGHT // 2))
    return "\n".join([*parts, "</svg>"]) + "\n"


def draw_box(number: int, box: Box, x: int, y: int) -> list[str]:
    """Return one numbered box."""
    files = [
        text(x + 14, y + 76 + 20 * place, 14, "#1d4ed8", file, CODE) for place, file in enumerate(box.files)
    ]
    return [
        rectangle(x, y, BOX_WIDTH, BOX_HEIGHT, "fill='#ffffff' stroke='#64748b'"),
        text(x + 14, y + 28, 18, "#0f172a", f"{number}. {box.name}", f"{FONT} font-weight='bold'"),
        text(x + 14, y + 52, 16, "#334155", box.text),
        *files,
    ]


def rectangle(x: int, y: int, width: int, height: int, style: str) -> str:
    """Return a rectangle with rounded corners."""
    return f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='8' {style}/>"


def text(x: int, y: int, size: int, color: str, content: str, font: str = FONT) -> str:
    """Return a line of text; `y` is its base line."""
    return f"<text x='{x}' y='{y}' {font} font-size='{size}' fill='{color}'>{escape(content)}</text>"


def arrow(start: int, end: int, y: int) -> str:
    """Return a horizontal arrow."""
    style = "stroke='#475569' stroke-width='2' marker-end='url(#head)'"
    return f"<line x1='{start}' y1='{y}' x2='{end}' y2='{y}' {style}/>"


if __name__ == "__main__":
    Path(__file__).with_name("architecture.svg").write_text(draw(), "utf-8")
