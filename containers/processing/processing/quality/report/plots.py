"""Draw the report's plots: inline SVG in the page's colours, without untrusted text."""

import io
import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from processing.quality.calibration import Calibration
from processing.quality.curves import Curve, thin
from processing.quality.predictions import Matrix

# Placeholder colours, which the page's variables replace, so that a plot fits light and dark mode.
COLOURS = {
    "#010101": "var(--ink)",
    "#020202": "var(--line)",
    "#030303": "var(--accent)",
    "#040404": "var(--other)",
}
INK, LINE, ACCENT, OTHER = COLOURS
SERIES = ("#2f6fde", "#e07b2e", "#2f9e63", "#c2417c", "#8a63d2", "#b08900", "#1aa0b3", "#d1495b")
POINTS = 120  # per line, so that 100 labels fit into one report
TICKS = 30  # labels on a heat map's axis
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,  # a label may hold a dollar sign
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "figure.constrained_layout.use": True,
    "savefig.transparent": True,
}
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


class Line(NamedTuple):
    """A curve and its colour; the legend is HTML."""

    curve: Curve
    colour: str
    width: float = 1.5


def roc(lines: Sequence[Line]) -> str:
    """Plot true over false positive rates, with the diagonal of guessing."""
    with mpl.rc_context(STYLE):
        figure, axes = square("False positive rate", "True positive rate")
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        draw(axes, lines)
        return to_svg(figure, "ROC curve")


def precision_recall(lines: Sequence[Line]) -> str:
    """Plot precision over recall."""
    with mpl.rc_context(STYLE):
        figure, axes = square("Recall", "Precision")
        draw(axes, lines)
        return to_svg(figure, "Precision-recall curve")


def reliability(calibrations: Sequence[tuple[Calibration, str]]) -> str:
    """Plot accuracy over confidence, and the number of rows."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 3.8))
        axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        lowest = min(float(calibration.confidence.min()) for calibration, _ in calibrations)
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        for calibration, colour in calibrations:
            axes.plot(calibration.confidence, calibration.accuracy, color=colour, marker="o", markersize=3.5)
        first, colour = calibrations[0]
        counts.bar(first.confidence, first.rows / first.rows.sum(), width=0.03, color=colour)
        axes.set(ylabel="Share answered rightly", ylim=(-0.02, 1.02))
        counts.set(
            xlabel="Probability of the answer", ylabel="Rows", xlim=(0.48 if lowest >= 0.5 else 0, 1.01)
        )
        percent(axes.yaxis, counts.yaxis, counts.xaxis)
        return to_svg(figure, "Reliability curve")


def heat_map(confusion: Matrix, names: Sequence[str]) -> str:
    """Plot the share of each actual label's rows per predicted label; of many labels, only some are named."""
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    step = -(-len(names) // TICKS)
    with mpl.rc_context(STYLE | {"axes.grid": False, "font.size": 7}):
        figure = Figure(figsize=(6, 6))
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.set(xlabel="Predicted", ylabel="Actual")
        axes.set_xticks(range(0, len(names), step), names[::step], rotation=90)
        axes.set_yticks(range(0, len(names), step), names[::step])
        return to_svg(figure, "Confusion matrix")


def differences(
    names: Sequence[str], middles: Sequence[float], lows: Sequence[float], highs: Sequence[float]
) -> str:
    """Plot differences in percentage points with their intervals, around zero."""
    places = range(len(names))
    with mpl.rc_context(STYLE | {"axes.grid.axis": "x", "axes.spines.left": False, "ytick.major.size": 0}):
        figure = Figure(figsize=(8.6, 0.5 + 0.3 * len(names)))
        axes = figure.subplots()
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.hlines(places, lows, highs, color=ACCENT, linewidth=2)
        axes.plot(middles, places, "o", color=ACCENT, markersize=5)
        axes.set_yticks(places, names)
        axes.set(xlabel="champion better  ←   points   →  challenger better", ylim=(len(names) - 0.5, -0.5))
        reach = 1.1 * max([abs(edge) for edge in (*lows, *highs)] + [0.1])
        axes.set_xlim(-reach, reach)
        return to_svg(figure, "Differences between challenger and champion")


def square(x: str, y: str) -> tuple[Figure, Axes]:
    """Create axes from 0 to 1."""
    figure = Figure(figsize=(4.2, 3.8))
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    percent(axes.xaxis, axes.yaxis)
    return figure, axes


def draw(axes: Axes, lines: Sequence[Line]) -> None:
    """Draw lines, the last one on top."""
    for line in lines:
        curve = thin(line.curve, POINTS)
        axes.plot(curve.x, curve.y, color=line.colour, linewidth=line.width)


def percent(*scales: Any) -> None:
    """Format axes as percentages."""
    for scale in scales:
        scale.set_major_formatter(lambda value, _: f"{value:.0%}")


def to_svg(figure: Figure, title: str) -> str:
    """Render the figure as an SVG element for HTML."""
    file = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the reader's own fonts draw the text
        figure.savefig(file, format="svg", metadata=NO_METADATA)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # it would style the whole page
    svg = re.sub(r' id="[\w.]*_\d+"', "", svg)  # not needed, and the same in all figures
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg role="img" aria-label="{title}" viewBox="\1">', svg
    )
    return re.sub("|".join(COLOURS), lambda match: COLOURS[match[0]], svg)
