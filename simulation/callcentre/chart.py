"""The picture of two call floors side by side, a few minutes of each. Needs matplotlib (extra ``train``)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dialer.pacing import Busy, Kind
from simulation.callcentre.engine import ABANDONED, Span

TALK, WRAP_UP, LINE, LOST, IDLE = "#2f6f9f", "#9fc3da", "#3d3d3d", "#c0392b", "#f4efe6"
MOST_AGENTS = 12
MINUTE = 60.0
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "callcentre",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "figure.facecolor": "white",
}


def draw(floors: Mapping[str, Sequence[Span]], agents: int, begins: float, minutes: float, path: Path) -> None:
    """Write what agents and calls did in so many minutes, a column for each titled floor, as PNG or SVG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2 * len(floors), 5.2), layout="constrained")
        columns = figure.subplots(2, len(floors), squeeze=False, sharex=True, sharey="row", height_ratios=(2, 1))
        for (title, spans), above, below in zip(floors.items(), *columns, strict=True):
            shown = [
                Span(span.who, span.what, (span.begins - begins) / MINUTE, (span.ends - begins) / MINUTE)
                for span in spans
                if span.ends > begins and span.begins < begins + minutes * MINUTE
            ]
            _agents(above, shown, min(agents, MOST_AGENTS), minutes)
            _calls(below, shown, minutes)
            above.set_title(title)
        columns[0][0].set_ylabel("agent")
        columns[1][0].set_ylabel("calls in flight")
        columns[1][0].set_ylim(bottom=0)
        figure.legend(
            handles=[
                Patch(color=TALK, label="talks"),
                Patch(color=WRAP_UP, label="wraps up"),
                Patch(facecolor=IDLE, edgecolor="#c8c0b0", label="waits for a call"),
                Patch(color=LOST, label="abandoned call"),
            ],
            loc="outside lower center",
            ncols=4,
            frameon=False,
        )
        # Nothing about when or by which version: the same floor, the same file.
        told = ("Date", "Creator", "Format", "Type") if path.suffix == ".svg" else ("Software",)
        figure.savefig(path, dpi=144, metadata=dict.fromkeys(told))


def _agents(axes: Axes, spans: Sequence[Span], agents: int, minutes: float) -> None:
    for agent in range(agents):
        axes.broken_barh([(0, minutes)], (agent + 0.6, 0.8), facecolor=IDLE)
        for what, colour in ((Busy.TALKING, TALK), (Busy.WRAP_UP, WRAP_UP)):
            own = [(one.begins, one.ends - one.begins) for one in spans if one.who == agent and one.what == what]
            axes.broken_barh(own, (agent + 0.6, 0.8), facecolor=colour)
    axes.set_xlim(0, minutes)
    axes.set_ylim(agents + 0.5, 0.5)
    axes.set_yticks(range(1, agents + 1))
    axes.tick_params(length=0)


def _calls(axes: Axes, spans: Sequence[Span], minutes: float) -> None:
    rings = [span for span in spans if span.what in set(Kind)]
    times = sorted({0.0, minutes, *(edge for ring in rings for edge in ring[2:] if 0 < edge < minutes)})
    counts = [sum(ring.begins <= time < ring.ends for ring in rings) for time in times]
    axes.fill_between(times, counts, step="post", color=LINE, alpha=0.2, linewidth=0)
    axes.step(times, counts, where="post", color=LINE, linewidth=1.2)
    for span in spans:
        if span.what == ABANDONED:
            axes.axvline(span.begins, color=LOST, linewidth=2)
    axes.set_xlabel("minutes")
